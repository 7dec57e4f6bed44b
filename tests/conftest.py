"""What every test may ask for: real peers to talk to, and a CI that does not believe a skipped test."""

import os
import shutil
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from ntp_usg.core.base.instants import MonoNs, WallNs
from ntp_usg.core.base.samples import Fix, FixQuality, MessageLatency
from ntp_usg.core.base.snapshots import (
    LatencyOrigin,
    Leap,
    ServerPath,
    ServingState,
    SourceKind,
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
        association=1,
        name="GPS_NMEA(0)",
        kind=SourceKind.CLOCK,
        driver="nmea",
        unit=0,
        path=None,
        origin="server.toml:7",
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
        root_delay=0.0,
        root_dispersion=0.0,
        leap=Leap.NONE,
        reference_time=WallNs(noon - 1_000_000_000),
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
        association=2,
        name="PPS(0)",
        kind=SourceKind.CLOCK,
        driver="pps",
        unit=0,
        path=None,
        origin="server.toml:10",
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
        root_delay=0.0,
        root_dispersion=0.0,
        leap=Leap.NONE,
        reference_time=WallNs(noon - 1_000_000_000),
        jitter=45e-9,
        dispersion=1e-6,
        pulse_rate_hz=1.0,
        verdicts={"accepted/used": 100},
    )
    return SystemSnapshot(
        serving=serving,
        phase=SyncPhase.SYNCHRONISED,
        selected="PPS(0)",
        reserve=None,
        offset=-20e-9,
        jitter=45e-9,
        frequency_ppm=12.5,
        host_offset=1.5,
        clock="virtual",
        holdover_age=None,
        holdover_left=None,
        sources=(gps, pps),
    )


@pytest.fixture
def following_snapshot(locked_snapshot: SystemSnapshot) -> SystemSnapshot:
    """Two servers, one by name and one by address, of which the first is followed; made as `locked_snapshot`."""
    first = SourceSnapshot(
        association=1,
        name="ntp1.example.net",
        kind=SourceKind.SERVER,
        driver="ntp",
        unit=0,
        path=ServerPath("192.0.2.1", 123, "198.51.100.7", 40123),
        origin="server.toml:7",
        device="ntp1.example.net",
        reference_id=b"GPS\0",
        stratum=1,
        tally=Tally.SELECTED,
        healthy=True,
        reason="the clock follows it",
        reach=0o377,
        poll_interval=64.0,
        last_heard_age=1.0,
        offset=250e-6,
        delay=12e-3,
        root_delay=1e-3,
        root_dispersion=2e-3,
        leap=Leap.NONE,
        reference_time=WallNs(1_771_243_190_000_000_000),
        jitter=30e-6,
        dispersion=9e-3,
    )
    second = replace(
        first,
        association=2,
        name="[2001:db8::5]:1123",
        device="[2001:db8::5]:1123",
        path=ServerPath("2001:db8::5", 1123, "2001:db8::7", 40124),
        origin="server.toml:9",
        reference_id=bytes([192, 0, 2, 77]),
        stratum=2,
        tally=Tally.CANDIDATE,
        root_delay=15e-3,
    )
    serving = replace(locked_snapshot.serving, stratum=2, reference_id=bytes([192, 0, 2, 1]), root_delay=13e-3)
    return replace(locked_snapshot, serving=serving, selected=first.name, sources=(first, second))


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
