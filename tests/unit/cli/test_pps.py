"""The pulses come from a socket here; those of a real kernel are tried in tests/system."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner, Result

from ntp_usg.cli import pps
from ntp_usg.cli.main import app
from ntp_usg.core.base.instants import HostNs
from ntp_usg.sysapi.pps import PpsInfo

START, WIDTH = 1_707_234_567_000_000_000, 100_000_000
SILENT = PpsInfo(1233, 0, HostNs(START - 10**9), HostNs(0))


def send(path: Path, *records: PpsInfo) -> None:
    """Send as soon as somebody listens."""
    deadline = time.monotonic() + 60  # on a busy machine the tool takes its time to start
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        while not path.is_socket() and time.monotonic() < deadline:
            time.sleep(0.005)
        for record in records:
            sender.sendto(record.pack(), str(path))


@contextmanager
def pulsing(path: Path, *records: PpsInfo) -> Iterator[None]:
    thread = threading.Thread(target=send, args=(path, *records))
    thread.start()
    try:
        yield
    finally:
        thread.join()


def asserts(*edges: float) -> list[PpsInfo]:
    """Records of assert edges so many seconds after the start, after one of old."""
    return [
        SILENT,
        *(PpsInfo(1234 + n, 0, HostNs(START + round(edge * 1e9)), HostNs(0)) for n, edge in enumerate(edges)),
    ]


def run(path: Path, *arguments: str) -> Result:
    return CliRunner().invoke(app, ["pps", "test", str(path), *arguments], catch_exceptions=False)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "pps.sock"


def test_pulses_are_shown_as_ppstest_shows_them(path: Path):
    with pulsing(path, *asserts(0, 1)):
        result = run(path, "--count", "2")
    assert result.stdout.splitlines() == [
        f'trying PPS source "{path}"',
        f'found PPS source "{path}"',
        "ok, found 1 source(s), now start fetching data...",
        "source 0 - assert 1707234567.000000000, sequence: 1234 - clear  0.000000000, sequence: 0",
        "source 0 - assert 1707234568.000000000, sequence: 1235 - clear  0.000000000, sequence: 0",
        "2 pulses, 0 missing, 0 extra",
        "mean interval 1.000000000 s, at most +0 ns from 1 s",
    ]
    assert result.exit_code == 0


def test_json_is_one_document_of_figures(path: Path):
    with pulsing(path, *asserts(0, 1.000001, 1.999999, 3)):
        result = run(path, "--count", "4", "--json")
    assert json.loads(result.stdout) == {
        "device": str(path),
        "line": None,
        "capture": "kernel",
        "input": "simulated line",
        "usual_latency": 0,
        "usual_latency_uncertainty": 1e-6,
        "pulses": 4,
        "missing": 0,
        "extra": 0,
        "mean_interval": pytest.approx(1.0, abs=1e-10),
        "jitter": pytest.approx(1.73e-6, abs=1e-8),
        "largest_deviation": pytest.approx(-2e-6, abs=1e-10),
        "regular": True,
        "right_rate": True,
        "begins_with": None,
        "deviations": pytest.approx([-0.2e-6, 0.9e-6, -1.0e-6, 0.3e-6], abs=0.11e-6),
    }


def test_missing_and_extra_pulses_are_counted_and_end_with_1(path: Path):
    with pulsing(path, *asserts(0, 1, 3, 3.2, 4)):
        result = run(path, "--count", "5")
    assert "5 pulses, 1 missing, 1 extra" in result.stdout
    assert result.exit_code == 1


@pytest.mark.parametrize(
    ("interval", "words"),
    [
        (1.0396, "wrong rate: pulses 1.04 s apart, where 1 pulse a second must come"),
        (0.96, "wrong rate: pulses 0.96 s apart, where 1 pulse a second must come"),
        (0.2, "wrong rate: 5 pulses a second, where 1 pulse a second must come"),
    ],
)
def test_pulses_of_another_rate_are_counted_by_it_and_end_with_1(path: Path, interval: float, words: str):
    with pulsing(path, *asserts(*(number * interval for number in range(12) if number != 5))):
        result = run(path, "--count", "11")
    assert "11 pulses, 1 missing, 0 extra" in result.stdout
    assert words in result.stdout
    assert result.exit_code == 1


def test_the_rate_that_is_expected_may_be_another_one(path: Path):
    with pulsing(path, *asserts(*(number * 0.2 for number in range(8)))):
        result = run(path, "--count", "8", "--rate", "5")
    assert "8 pulses, 0 missing, 0 extra" in result.stdout
    assert "mean interval 0.200000000 s, at most" in result.stdout
    assert result.exit_code == 0


def test_random_edges_are_irregular_and_end_with_1(path: Path):
    random = Random(1)
    with pulsing(path, *asserts(*sorted(random.uniform(0, 20) for _ in range(10)))):
        result = run(path, "--count", "10")
    assert "irregular: edges come at any time, as noise does, where 1 pulse a second must come" in result.stdout
    assert result.exit_code == 1


def test_one_pulse_shows_no_rate_and_ends_with_1(path: Path):
    with pulsing(path, *asserts(0)):
        result = run(path, "--count", "1")
    assert result.exit_code == 1


@given(
    interval=st.floats(0.05, 3),
    missing=st.sets(st.integers(1, 30), max_size=8),
    jitter=st.floats(0, 1e-3),
    rate=st.sampled_from([1, 2, 5, 10]),
)
def test_pulses_of_any_interval_are_counted_by_it(interval: float, missing: set[int], jitter: float, rate: int):
    """A script can trust the exit code: only the expected interval is right."""
    random = Random(1)
    numbers = [number for number in range(40) if number not in missing]
    edges = [HostNs(START + round((number * interval + random.uniform(0, jitter)) * 1e9)) for number in numbers]
    found = pps.measure(edges, rate)
    assert (found.pulses, found.missing, found.extra) == (len(numbers), len(missing), 0)
    assert found.mean_interval == pytest.approx(interval, abs=jitter / 20 + 1e-9)
    assert not found.perfect or abs(interval * rate - 1) < 0.02


def test_both_edges_of_a_pulse_are_shown_but_count_once(path: Path):
    assert_edge = PpsInfo(1234, 1, HostNs(START), HostNs(START - 10**9 + WIDTH))
    clear_edge = PpsInfo(1234, 2, HostNs(START), HostNs(START + WIDTH))
    with pulsing(path, SILENT, assert_edge, clear_edge, PpsInfo(1235, 2, HostNs(START + 10**9), HostNs(START + WIDTH))):
        result = run(path, "-n", "2")
    assert "sequence: 1234 - clear  1707234567.100000000, sequence: 2" in result.stdout
    assert "2 pulses, 0 missing, 0 extra" in result.stdout
    assert 'the pulse begins with its assert edge: capture_mode = "Assert"' in result.stdout


def test_of_an_inverted_pulse_the_clear_edge_begins_it(path: Path):
    records = [PpsInfo(n, n, HostNs(START + n * 10**9 + WIDTH), HostNs(START + n * 10**9)) for n in range(1, 4)]
    halves = [PpsInfo(n, n + 1, HostNs(START + n * 10**9 + WIDTH), HostNs(START + n * 10**9 + 10**9)) for n in (1, 2)]
    with pulsing(path, records[0], halves[0], records[1], halves[1]):
        result = run(path, "-n", "2", "--json")
    assert json.loads(result.stdout)["begins_with"] == "Clear"


def test_a_line_that_stays_silent_is_told_and_ends_a_counted_test(path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(pps, "SILENCE", 0.05)
    result = run(path, "--count", "1")
    assert "has the receiver a fix?" in result.stderr
    assert result.stdout.endswith("0 pulses, 0 missing, 0 extra\n")
    assert result.exit_code == 1


def test_ctrl_c_prints_the_figures(path: Path):
    command = [sys.executable, "-c", "from ntp_usg.cli.main import app; app()", "pps", "test", str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as program:
        assert program.stdout is not None
        send(path, *asserts(0, 1))
        for line in program.stdout:
            if "sequence: 1235" in line:
                break
        os.kill(program.pid, signal.SIGINT)
        assert program.stdout.readline() == "2 pulses, 0 missing, 0 extra\n"
    assert program.returncode == 0


def test_a_line_that_another_program_uses_is_left_to_it(path: Path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as daemon:
        daemon.bind(str(path))
        result = run(path)
        send(path, SILENT)
        assert daemon.recv(64) == SILENT.pack()
    assert "another program uses it" in result.stderr
    assert result.exit_code == 69


@pytest.mark.parametrize(("device", "words"), [("/nowhere", "does not exist"), ("/dev/null", "is not a PPS device")])
def test_a_device_that_cannot_be_used_is_told_with_advice(device: str, words: str):
    result = run(Path(device))
    assert f"ntp_usg pps test: {device} {words}" in result.stderr
    assert result.exit_code == 69


def test_many_pulses_get_a_picture_of_how_late_each_was(path: Path):
    with pulsing(path, *asserts(*(n + (1e-6 if n % 2 else -1e-6) for n in range(10)))):
        result = run(path, "--count", "10")
    bars = [line for line in result.stdout.splitlines() if "█" in line or "#" in line]
    assert [line.split()[-1] for line in bars] == ["1", "4", "4", "1"]  # the slope of these ten takes part of it


def test_extra_pulses_are_not_in_the_picture():
    edges = [HostNs(START + round(at * 1e9)) for at in (0, 0.2, 1, 2, 3.1, 3.4)]
    assert pps.deviations(edges) == pytest.approx([0.02, -0.01, -0.04, 0.03])


@pytest.mark.parametrize("count", [0, 1])
def test_too_few_pulses_show_no_deviation(count: int):
    assert pps.deviations([HostNs(START)] * count) == [0.0] * count


@pytest.mark.parametrize(
    ("arguments", "words"),
    [(("--capture", "poll"), "give --line too"), (("--line", "cts"), "the kernel stamps only dcd")],
)
def test_options_that_do_not_fit_together_are_refused(path: Path, arguments: tuple[str, ...], words: str):
    result = run(path, *arguments)
    assert words in result.stderr
    assert result.exit_code == 2


def test_a_port_without_modem_lines_is_told_with_advice():
    result = run(Path("/dev/null"), "--line", "cts", "--capture", "poll")
    assert "/dev/null is no serial port" in result.stderr
    assert result.exit_code == 69
