"""The PPS driver; the kernel's own pulses are tested in tests/system, on a kernel that has some."""

import asyncio
import socket

import pytest
from pydantic import ValidationError

from ntp_usg.core.base.instants import HostNs
from ntp_usg.core.base.samples import Pulse
from ntp_usg.core.base.verdicts import Outcome, Reason, Verdict
from ntp_usg.core.receivers.pulses import CaptureMode
from ntp_usg.refclocks.pps import PpsDriver, PpsOptions
from ntp_usg.sysapi.pps import PpsInfo

SECOND, WIDTH = 10**9, 10**8


def record(asserts: int, clears: int) -> bytes:
    return PpsInfo(asserts, clears, HostNs(asserts * SECOND), HostNs(clears * SECOND + WIDTH)).pack()


START = record(0, 0)


async def send(path, *records: bytes) -> None:
    """Send as soon as the driver listens; it counts from the first record."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        while not path.is_socket():  # noqa: ASYNC110 - the other side of a wire has nothing to await
            await asyncio.sleep(0.005)
        for each in records:
            sender.sendto(each, str(path))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "pps.sock"


def test_the_guides_table_is_understood():
    table = {
        "device": "/dev/pps0",
        "capture_mode": "Assert",
        "reference_id": "PPS\0",
        "timeout_secs": 2,
        "dispersion": 1e-6,
    }
    assert PpsOptions.model_validate(table) == PpsOptions(dispersion=1e-6)


@pytest.mark.parametrize(
    ("written", "mode"), [("clear", CaptureMode.CLEAR), ("BOTH", CaptureMode.BOTH), ("Assert", CaptureMode.ASSERT)]
)
def test_a_capture_mode_may_be_written_in_any_case(written, mode):
    assert PpsOptions.model_validate({"capture_mode": written}).capture_mode is mode


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"capture_mode": "rising"}, "must be one of Assert, Clear, Both"),
        ({"capture_mode": 1}, "must be one of"),
        ({"edge": 1}, "edge"),
    ],
)
def test_a_wrong_option_is_named(wrong, said):
    with pytest.raises(ValidationError, match=said):
        PpsOptions.model_validate(wrong)


@pytest.mark.parametrize(("mode", "offset"), [("Assert", 0), ("Clear", WIDTH), ("Both", 0)])
def test_one_edge_of_a_pulse_is_reported(recorder, path, mode, offset):
    async def scenario():
        driver = PpsDriver(PpsOptions.model_validate({"device": str(path), "capture_mode": mode}))
        async with recorder.watching(driver):
            await send(path, START, record(1, 0), record(1, 1), b"noise", record(2, 1), record(2, 2))
            await recorder.until(lambda: len(recorder.pulses) == 2)

    asyncio.run(scenario())
    assert recorder.pulses == [Pulse(HostNs(sequence * SECOND + offset), sequence) for sequence in (1, 2)]
    assert [status.connected for status in recorder.statuses] == [True]
    assert not path.exists()


def test_a_repeated_record_is_a_verdict(recorder, path):
    async def scenario():
        async with recorder.watching(PpsDriver(PpsOptions(device=str(path)))):
            await send(path, START, record(1, 0), record(1, 0))
            await recorder.until(lambda: recorder.verdicts)

    asyncio.run(scenario())
    assert recorder.verdicts == [Verdict(Outcome.REJECTED, Reason.REPEATED)]
    assert len(recorder.pulses) == 1


@pytest.mark.usefixtures("impatient")
def test_a_line_that_falls_silent_is_missed_and_found_again(recorder, path):
    async def scenario():
        async with recorder.watching(PpsDriver(PpsOptions(device=str(path), timeout_secs=0.1))):
            await send(path, START, record(1, 0))
            await recorder.until(lambda: len(recorder.statuses) == 2)
            await asyncio.sleep(0.05)
            await send(path, record(8, 8), record(9, 8))
            await recorder.until(lambda: len(recorder.statuses) == 3)

    asyncio.run(scenario())
    assert [status.connected for status in recorder.statuses] == [True, False, True]
    assert "no pulse for 0.1 s" in recorder.statuses[1].detail
    assert [pulse.sequence for pulse in recorder.pulses] == [1, 9]


@pytest.mark.usefixtures("impatient")
def test_clear_edges_do_not_keep_an_assert_line_alive(recorder, path):
    async def scenario():
        async with recorder.watching(PpsDriver(PpsOptions(device=str(path), timeout_secs=0.1))):
            await send(path, START, record(1, 0), record(1, 1))
            for clears in range(2, 6):
                await asyncio.sleep(0.05)
                await send(path, record(1, clears))
            await recorder.until(lambda: len(recorder.statuses) == 2)

    asyncio.run(scenario())
    assert not recorder.statuses[1].connected


def test_a_socket_left_behind_is_replaced(recorder, path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as dead:
        dead.bind(str(path))

    async def scenario():
        async with recorder.watching(PpsDriver(PpsOptions(device=str(path)))):
            await asyncio.sleep(0.05)
            await send(path, START, record(1, 0))
            await recorder.until(lambda: recorder.pulses)
            assert path.stat().st_mode & 0o777 == 0o600

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("device", "said"),
    [
        ("/dev/pps-none", "does not exist"),
        ("/dev/null", "is not a PPS device"),
        ("/nowhere/pps.sock", "cannot be made a socket for pulses"),
    ],
)
def test_a_device_that_cannot_be_used_says_why(recorder, device, said):
    async def scenario():
        async with recorder.watching(PpsDriver(PpsOptions(device=device))):
            await recorder.until(lambda: recorder.statuses)

    asyncio.run(scenario())
    assert not recorder.statuses[0].connected
    assert said in recorder.statuses[0].detail


def test_a_file_of_the_sockets_name_is_not_removed(recorder, path):
    path.write_text("somebody's")

    async def scenario():
        async with recorder.watching(PpsDriver(PpsOptions(device=str(path)))):
            await recorder.until(lambda: recorder.statuses)

    asyncio.run(scenario())
    assert "cannot be made a socket" in recorder.statuses[0].detail
    assert path.read_text() == "somebody's"
