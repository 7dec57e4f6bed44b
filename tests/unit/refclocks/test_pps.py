"""The PPS driver; the kernel's own pulses are tested in tests/system, on a kernel that has some."""

import asyncio
import socket
from dataclasses import replace

import pytest
from pydantic import ValidationError

from ntp_usg.core.base.instants import HostNs
from ntp_usg.core.base.samples import Pulse, PulseEnd
from ntp_usg.core.base.verdicts import Outcome, Reason, Verdict
from ntp_usg.core.receivers.pulses import CaptureMode
from ntp_usg.refclocks import pps
from ntp_usg.refclocks.pps import PpsDriver, PpsOptions
from ntp_usg.sysapi.cpu_latency import CpuLatencyLimit
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
    pulses = [replace(pulse, end=PulseEnd.UNKNOWN) for pulse in recorder.pulses]
    assert pulses == [Pulse(HostNs(sequence * SECOND + offset), sequence) for sequence in (1, 2)]
    assert [status.connected for status in recorder.statuses] == [True]
    assert not path.exists()


@pytest.mark.parametrize(("options", "end"), [
    ({"capture_mode": "Assert"}, PulseEnd.BEGIN),
    ({"capture_mode": "Clear"}, PulseEnd.END),
    ({"capture_mode": "Assert", "long_pulse": True}, PulseEnd.END),
    ({"capture_mode": "Both"}, PulseEnd.BEGIN),
])  # fmt: skip
def test_a_pulse_says_which_end_it_is(recorder, path, options, end):
    async def scenario():
        async with recorder.watching(PpsDriver(PpsOptions.model_validate({"device": str(path), **options}))):
            await send(path, START, record(1, 0), record(1, 1), record(2, 1), record(2, 2))
            await recorder.until(lambda: len(recorder.pulses) == 2)

    asyncio.run(scenario())
    assert recorder.pulses[1].end is end


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
        ("/nowhere/pps.sock", "cannot be opened as a socket for pulses"),
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
    assert "cannot be opened as a socket" in recorder.statuses[0].detail
    assert path.read_text() == "somebody's"


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"capture": "poll"}, "set `line` too"),
        ({"line": "cts"}, "the kernel stamps only dcd"),
        ({"line": "ri", "capture": "wait"}, "only the end of a pulse"),
        ({"line": "cts", "capture": "poll", "kernel_consumer": True}, "`kernel_consumer` is for edges that the kernel"),
        ({"line": "dtr"}, "line"),
        ({"rate_hz": 3}, "must divide a second evenly: it is one of 1, 2, 4, 5, 8, 10,"),
        ({"rate_hz": 0}, "rate_hz"),
        ({"rate_hz": 200}, "rate_hz"),
        ({"rate_hz": 5, "line": "cts", "capture": "poll"}, "`poll` looks at one pulse a second"),
        ({"cpu_dma_latency_us": -1}, "cpu_dma_latency_us"),
    ],
)
def test_options_that_do_not_fit_together_are_refused(wrong, said):
    with pytest.raises(ValidationError, match=said):
        PpsOptions.model_validate(wrong)


@pytest.mark.parametrize("right", [
    {"line": "dcd"},
    {"line": "cts", "capture": "wait"},
    {"line": "ri", "capture": "poll"},
    {"line": "ri", "capture": "wait", "capture_mode": "Clear"},
    {"line": "dcd", "kernel_consumer": True},
    {"line": "cts", "capture": "wait", "rate_hz": 10},
])  # fmt: skip
def test_each_way_to_stamp_a_modem_line_has_its_lines(right):
    PpsOptions.model_validate({"device": "/dev/ttyS0", **right})


def test_the_engine_is_told_the_rate():
    assert PpsOptions(rate_hz=5).source().rate_hz == 5
    assert PpsOptions().source().rate_hz == 1


def test_edges_that_come_too_fast_are_left_out(recorder, path, monkeypatch):
    """Each record that is read costs the loop that keeps time; a kernel has only the latest one."""
    monkeypatch.setattr(pps, "_REST", 30.0)

    async def scenario():
        async with recorder.watching(PpsDriver(PpsOptions(device=str(path)))):
            await send(path, START, *(record(number, 0) for number in range(1, 8)))
            await recorder.until(lambda: recorder.pulses)
            await asyncio.sleep(0.05)

    asyncio.run(scenario())
    assert len(recorder.pulses) == 1


def test_a_receiver_may_speak_on_the_port_that_its_pulse_is_on():
    assert PpsOptions(device="/dev/ttyS0", line="dcd").occupies != "/dev/ttyS0"
    assert PpsOptions(device="/dev/pps0").occupies == "/dev/pps0"


def offset_and_accuracy(**options) -> tuple[float, float]:
    settings = PpsOptions(**options).source()
    return settings.offset, settings.accuracy


def test_what_is_usual_for_a_line_is_taken_off_where_nobody_has_measured_it():
    assert offset_and_accuracy(device="/dev/pps-none") == (12e-6, 12e-6)
    assert offset_and_accuracy(device="/dev/ttyS0", line="dcd") == (160e-6, 160e-6)
    assert offset_and_accuracy(device="/dev/ttyUSB0", line="cts", capture="wait") == (670e-6, 670e-6)
    assert offset_and_accuracy(device="/dev/ttyS0", line="cts", capture="poll") == (0, 3e-6)


def test_a_processor_that_is_kept_awake_stamps_sooner():
    assert offset_and_accuracy(device="/dev/ttyS0", line="dcd", cpu_dma_latency_us=10) == (20e-6, 15e-6)
    assert offset_and_accuracy(device="/dev/ttyS0", line="dcd", cpu_dma_latency_us=1000) == (160e-6, 160e-6)


def test_what_somebody_has_measured_counts_instead():
    assert offset_and_accuracy(device="/dev/pps-none", offset_secs=0.0) == (0, 1e-6)
    assert offset_and_accuracy(device="/dev/pps-none", offset_secs=5e-6, dispersion=2e-7) == (5e-6, 2e-7)
    assert offset_and_accuracy(device="/dev/pps-none", dispersion=5e-5) == (12e-6, 5e-5)


def test_simulated_pulses_are_on_time():
    assert offset_and_accuracy(device="/run/pps.sock") == (0, 1e-6)


def test_under_a_simulator_the_kernels_pulses_are_on_time(monkeypatch):
    monkeypatch.setenv("NTP_USG_EVENT_LOOP", "select")
    assert offset_and_accuracy(device="/dev/pps-none") == (0, 1e-6)


def detail_of(recorder, path, **options) -> str:
    async def scenario():
        async with recorder.watching(PpsDriver(PpsOptions(device=str(path), **options))):
            await send(path, START, record(1, 0))
            await recorder.until(lambda: recorder.statuses)

    asyncio.run(scenario())
    return str(recorder.statuses[0].detail)


def test_the_status_says_that_the_processor_is_kept_awake(recorder, path, tmp_path, monkeypatch):
    device = tmp_path / "cpu_dma_latency"
    device.touch()
    monkeypatch.setattr(pps, "CpuLatencyLimit", lambda limit_us: CpuLatencyLimit(limit_us, str(device)))
    assert detail_of(recorder, path, cpu_dma_latency_us=5).endswith("edge: Assert, the processor wakes within 5 us")
    assert device.read_bytes() == b"\5\0\0\0"


def test_the_status_says_what_hinders_that_and_the_pulses_come_all_the_same(recorder, path, monkeypatch):
    monkeypatch.setattr(pps, "CpuLatencyLimit", lambda limit_us: CpuLatencyLimit(limit_us, "/nowhere/cpu"))
    assert "the processor may sleep: /nowhere/cpu does not exist" in detail_of(recorder, path, cpu_dma_latency_us=5)
    assert len(recorder.pulses) == 1


@pytest.mark.parametrize(("device", "capture", "said"), [
    ("/dev/null", "poll", "is no serial port"),
    ("/dev/ttyS-none", "kernel", "does not exist"),
    ("/dev/ttyS-none", "wait", "does not exist"),
])  # fmt: skip
def test_a_port_that_cannot_be_used_says_why(recorder, device, capture, said):
    async def scenario():
        async with recorder.watching(PpsDriver(PpsOptions(device=device, line="dcd", capture=capture))):
            await recorder.until(lambda: recorder.statuses)

    asyncio.run(scenario())
    assert not recorder.statuses[0].connected
    assert f"{device} {said}" in recorder.statuses[0].detail
