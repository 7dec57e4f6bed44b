"""The runner survives faults in what it performs, and ends only with a clock that cannot be steered any more."""

import asyncio
import contextlib

import pytest

from ntp_usg.clocks.virtual import VirtualClock
from ntp_usg.core.base.actions import Level, Note, Publish, SourceFault, Steer
from ntp_usg.core.base.errors import ClockError
from ntp_usg.core.base.mapping import ClockMapping
from ntp_usg.core.engine.engine import Engine
from ntp_usg.core.engine.settings import EngineSettings
from ntp_usg.daemon.runner import FAULT_PAUSE, EngineRunner


def fail(*_: object) -> None:
    raise ZeroDivisionError("a fault of ours")


class Refusing(VirtualClock):
    """A clock that others have taken the right to steer from."""

    def steer(self, mapping: ClockMapping, *, step: bool) -> None:
        raise ClockError("setting the system clock needs CAP_SYS_TIME")


def runner(clock: VirtualClock | None = None) -> EngineRunner:
    clock = clock or VirtualClock()
    engine = Engine(EngineSettings(), clock, lambda bits: 0)
    return EngineRunner(engine, clock, publish=fail, talk=fail)


def test_an_action_that_fails_is_logged_once_and_those_after_it_are_done(caplog):
    caplog.set_level("INFO")
    made = runner()
    for number in range(3):
        made.perform([Publish(), Note(Level.INFO, f"done {number}")])
    assert [text for text in caplog.messages if text.startswith("done")] == ["done 0", "done 1", "done 2"]
    failed = [record for record in caplog.records if record.exc_info]
    assert len(failed) == 1
    assert failed[0].getMessage().startswith("The action Publish failed.")


def test_a_fault_in_a_source_is_logged_with_its_traceback_and_for_how_long_it_is_left_alone(caplog):
    try:
        fail()
    except ZeroDivisionError as error:
        runner().perform([SourceFault("GPS_NMEA(0)", error, 10.0)])
    [record] = [each for each in caplog.records if each.exc_info and "GPS_NMEA" in each.getMessage()]
    assert record.getMessage().startswith("GPS_NMEA(0), which is left alone for 10 s, failed.")


def test_a_timer_that_fails_is_not_served_again_at_once(caplog, monkeypatch):
    made, waits = runner(), []

    @contextlib.asynccontextmanager
    async def timeout(wait):
        waits.append(wait)
        if len(waits) == 3:
            raise asyncio.CancelledError
        made._woken.set()
        yield

    monkeypatch.setattr(asyncio, "timeout", timeout)
    monkeypatch.setattr(made.engine, "timer", fail)
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(made.run())
    assert all(wait >= FAULT_PAUSE for wait in waits)
    assert len([record for record in caplog.records if record.exc_info]) == 1


def test_a_clock_that_refuses_to_be_steered_ends_the_run_and_no_driver():
    made = runner(Refusing())
    made.perform([Steer(ClockMapping(), step=True)])  # as a driver's report would ask
    with pytest.raises(ClockError, match="CAP_SYS_TIME"):
        asyncio.run(made.run())
