"""What every test may ask for: real peers to talk to, and a CI that does not believe a skipped test."""

import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from ntp_usg.core.base.instants import MonoNs, WallNs
from ntp_usg.core.base.samples import Fix, FixQuality, MessageLatency
from ntp_usg.core.base.snapshots import (
    LatencyOrigin,
    Leap,
    ServingState,
    SourceSnapshot,
    SyncPhase,
    SystemSnapshot,
    Tally,
)

PEERS = Path(__file__).parents[1] / ".peers"  # where `script/setup --system` unpacks Debian's time daemons

# PATH, because a peer must find its own helpers too (ntpdate is a shell script around ntpdig), and a user's PATH lacks
# the sbin directories.
os.environ["PATH"] = os.pathsep.join(
    [str(PEERS / "usr/sbin"), str(PEERS / "usr/bin"), os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"]
)


# Who starts us in the background may have it ignored, which children inherit: Ctrl-C could not be tested then.
signal.signal(signal.SIGINT, signal.default_int_handler)


def find_peer(name: str) -> Path:
    """The program `name` of Debian's own; where it is not installed, the test is skipped with the way to get it."""
    path = shutil.which(name)
    if path is None:
        pytest.skip(f"{name} is not installed: run `sudo script/setup --system`")
    return Path(path)


@pytest.fixture(scope="session")
def require_peer() -> Callable[[str], Path]:
    """As `chronyd = require_peer("chronyd")`, in a test marked `peer`."""
    return find_peer


@pytest.fixture
def locked_snapshot() -> SystemSnapshot:
    """A GPS receiver with a pulse, synchronised: made 100 s after boot, at 2026-02-16 12:00:00 UTC."""
    as_of, noon = MonoNs(100_000_000_000), WallNs(1_771_243_200_000_000_000)
    serving = ServingState(
        leap=Leap.NONE,
        stratum=1,
        root_dispersion=2e-6,
        dispersion_rate=1e-6,
        reference_id=b"PPS\0",
        reference_time=WallNs(noon - 1_000_000_000),
        as_of=as_of,
        expires_at=MonoNs(as_of + 10_000_000_000),
        host_minus_mono_ns=noon - as_of,
        epoch=1,
    )
    gps = SourceSnapshot(
        name="GPS_NMEA(0)",
        driver="gps",
        device="/dev/ttyAMA0",
        reference_id=b"GPS\0",
        stratum=0,
        tally=Tally.SELECTED,
        healthy=True,
        reason="numbers the seconds of PPS(0)",
        reach=0o377,
        poll_interval=16.0,
        last_heard_age=1.0,
        offset=123.4e-6,
        delay=0.0,
        jitter=1.5e-6,
        dispersion=0.2,
        fix=Fix(FixQuality.GPS, satellites_used=8, satellites_in_view=12, hdop=0.9),
        message_latency=0.125,
        latency_origin=LatencyOrigin.PULSES,
        timed_part="RMC",
        latencies={"RMC": MessageLatency(0.125, spread=0.004, uncertainty=0.0005, count=600)},
        verdicts={"accepted/used": 100, "rejected/bad_checksum": 3, "rejected/stale": 2},
    )
    pps = SourceSnapshot(
        name="PPS(0)",
        driver="pps",
        device="/dev/pps0",
        reference_id=b"PPS\0",
        stratum=0,
        tally=Tally.PPS,
        healthy=True,
        reason="the clock follows it",
        reach=0o377,
        poll_interval=16.0,
        last_heard_age=0.5,
        offset=-123e-9,
        delay=0.0,
        jitter=45e-9,
        dispersion=1e-6,
        pulse_rate_hz=1.0,
        verdicts={"accepted/used": 100},
    )
    return SystemSnapshot(
        serving=serving,
        phase=SyncPhase.SYNCHRONISED,
        selected="PPS(0)",
        offset=-20e-9,
        jitter=45e-9,
        frequency_ppm=12.5,
        host_offset=1.5,
        clock="virtual",
        holdover_age=None,
        holdover_left=None,
        sources=(gps, pps),
    )


def tests_skipped_in_ci(config: pytest.Config) -> list[str]:
    """The names of the tests that CI counts as failed: a skipped test proves nothing."""
    if os.environ.get("CI") != "true":
        return []
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    assert isinstance(reporter, pytest.TerminalReporter)
    return sorted({report.nodeid for report in reporter.stats.get("skipped", ())})


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    if exitstatus == pytest.ExitCode.OK and tests_skipped_in_ci(session.config):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if skipped := tests_skipped_in_ci(config):
        terminalreporter.section("FAILED: in CI no test may be skipped", red=True)
        for nodeid in skipped:
            terminalreporter.line(nodeid)
