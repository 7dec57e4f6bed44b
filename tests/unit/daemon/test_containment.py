"""A part of the daemon that fails is logged once and begun again, ever later."""

import asyncio
import logging

import pytest

from ntp_usg.core.base.errors import ClockError, DeviceError
from ntp_usg.daemon.containment import FaultLog, keep_running


@pytest.fixture
def pauses(monkeypatch) -> list[float]:
    """The pauses that were made; the tenth ends the test's work."""
    made: list[float] = []

    async def sleep(pause: float) -> None:
        made.append(pause)
        if len(made) == 10:
            raise asyncio.CancelledError

    monkeypatch.setattr(asyncio, "sleep", sleep)
    return made


def run(work, told) -> None:
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(keep_running("The driver of GPS(0)", work, FaultLog(), told.append))


async def fail() -> None:
    raise ZeroDivisionError("a fault of ours")


def test_a_driver_that_fails_is_begun_again_ever_later_and_logged_once(pauses, caplog):
    told: list[str] = []
    run(fail, told)
    assert pauses == [1, 2, 4, 8, 16, 32, 64, 128, 256, 512]
    [record] = caplog.records
    assert record.getMessage().startswith("The driver of GPS(0) failed. This is a fault of ntp_usg: please report")
    assert record.exc_info
    assert len(told) == 10
    assert told[0] == "failed by a fault of the program (ZeroDivisionError): see the log"


def test_what_a_driver_says_on_purpose_is_told_without_a_traceback(pauses, caplog):
    async def refuse() -> None:
        raise DeviceError("no such port")

    told: list[str] = []
    run(refuse, told)
    assert caplog.messages[0] == "The driver of GPS(0): no such port"
    assert caplog.records[0].exc_info is None
    assert told[0] == "no such port"


def test_a_clock_that_refuses_to_be_steered_is_no_fault_of_one_part(pauses):
    async def refuse() -> None:
        raise ClockError("needs CAP_SYS_TIME")

    with pytest.raises(ClockError):
        asyncio.run(keep_running("The engine", refuse, FaultLog()))
    assert not pauses


def test_different_faults_are_logged_and_the_same_only_once(caplog):
    faults = FaultLog()
    for _ in range(3):
        for divisor in (0, None):
            try:
                1 / divisor  # type: ignore[operator]
            except (ZeroDivisionError, TypeError) as error:
                faults.tell("The sum", error)
    assert len(caplog.records) == 2


def test_a_callback_of_the_loop_that_fails_again_and_again_is_logged_once(caplog):
    async def call() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(FaultLog().on_loop)
        for _ in range(3):
            loop.call_soon(lambda: 1 / 0)
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    with caplog.at_level(logging.ERROR):
        asyncio.run(call())
    assert len(caplog.records) == 1
