"""The monitor's picture, fed by hand; then over a real pseudo-terminal, with the simulated receiver behind it."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from typer.testing import CliRunner, Result

from ntp_usg.cli.gps_portrait import MOST_KINDS, Portrait
from ntp_usg.cli.main import app
from ntp_usg.core.base.instants import NS_PER_SECOND, HostNs, MonoNs, WallNs
from ntp_usg.core.base.samples import FixQuality
from ntp_usg.core.receivers.nmea import BURST_SILENCE_NS
from ntp_usg.core.receivers.nmea_sentences import build_sentence
from ntp_usg.core.receivers.ubx import UbxAssembler
from ntp_usg.simulate.pseudo_terminal import PseudoTerminal
from ntp_usg.simulate.sentences import Sky, build_burst
from ntp_usg.simulate.ubx import build_hw, build_ubx_burst

NOON = WallNs(1_771_243_200 * NS_PER_SECOND)


def hear(portrait: Portrait, sky: Sky, *latencies: float) -> None:
    """One burst a second, each so long after its second."""
    for number, latency in enumerate(latencies):
        second = WallNs(NOON + number * NS_PER_SECOND)
        portrait.feed(build_burst(second, sky), HostNs(second + round(latency * 1e9)), MonoNs(number * NS_PER_SECOND))
    portrait.pause(MonoNs((len(latencies) - 1) * NS_PER_SECOND + BURST_SILENCE_NS))


def look(portrait: Portrait, now: float = 1.0) -> list[str]:
    console = Console(file=StringIO(), width=80)
    console.print(portrait.picture(MonoNs(round(now * 1e9))))
    assert isinstance(console.file, StringIO)
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


@pytest.fixture
def portrait() -> Portrait:
    return Portrait("/dev/ttyAMA0", 9600)


def test_time_latency_fix_and_sentences_are_shown(portrait: Portrait):
    hear(portrait, Sky(), 0.1, 0.2)
    assert look(portrait)[:7] == [
        "line       /dev/ttyAMA0 at 9600 baud, 1012 bytes",
        "time       2026-02-16 12:00:01 UTC",
        "latency    +0.150 s from the second to its message by this machine's clock",
        "           (+0.100 to +0.200 s, last 2)",
        "fix        GPS, 9 of 12 satellites, HDOP 0.67",
        "position   51.47790 N, 0.00147 W, 47 m, 3D, PDOP 0.67",
        "sentences  GNGGA 2, GNGLL 2, GNGSA 2, GNRMC 2, GNZDA 2, GPGSV 6",
    ]
    assert portrait.synchronisable


def test_satellites_are_shown_best_signal_first_and_forgotten_when_no_longer_named(portrait: Portrait):
    hear(portrait, Sky(satellites=1), 0.1)
    rows = look(portrait)[-5:]
    assert rows[0].split() == ["satellite", "elevation", "azimuth", "dB-Hz"]
    assert rows[1].split() == ["GPS", "1", "5", "180", "26", "#" * 13]
    assert [row.split()[4] for row in rows[2:]] == ["-", "-", "-"]
    assert "GPS 1" in "\n".join(look(portrait, 4.9))
    assert "satellite  " not in "\n".join(look(portrait, 5.1))


def test_a_receiver_without_fix_is_shown_as_such(portrait: Portrait):
    hear(portrait, Sky(quality=FixQuality.NO_FIX), 0.1)
    assert "fix        No fix, 0 of 3 satellites, HDOP 99.99" in look(portrait)
    assert not portrait.synchronisable


def test_what_is_not_believed_is_counted_with_its_reason(portrait: Portrait):
    portrait.feed(b"$GNRMC,noise*00\r\n" * 3, HostNs(NOON), MonoNs(0))
    picture = " ".join(" ".join(look(portrait)).split())
    assert "rejected 3: The sentence has no checksum or a wrong one" in picture
    assert "sentences none" in picture


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "nothing comes: is the receiver wired?"),
        (b"\x80\xff", "no NMEA: is this the receiver's baud rate?"),
        (build_sentence("GPGSV,1,1,00"), "none yet: a time needs its date, from RMC or ZDA"),
    ],
)
def test_what_keeps_a_time_from_coming_is_told(portrait: Portrait, data: bytes, words: str):
    portrait.feed(data, HostNs(NOON), MonoNs(0))
    assert f"time       {words}" in look(portrait)


@pytest.fixture
def ubx() -> Portrait:
    return Portrait("/dev/ttyAMA0", 9600, "UBX", UbxAssembler())


def test_a_receiver_that_speaks_ubx_is_shown_with_its_satellites(ubx: Portrait):
    ubx.feed(build_ubx_burst(NOON, Sky()), HostNs(NOON + 10**8), MonoNs(0))
    ubx.pause(MonoNs(BURST_SILENCE_NS))
    picture = "\n".join(look(ubx))
    assert "time       2026-02-16 12:00:00 UTC" in picture
    assert "NAV-PVT 1, NAV-SAT 1" in picture
    assert "satellite  elevation  azimuth  dB-Hz" in picture


def test_what_a_receiver_finds_wrong_is_shown_until_it_is_over(ubx: Portrait):
    for antenna, shown in ((4, True), (2, False)):
        ubx.feed(build_hw(antenna=antenna), HostNs(NOON), MonoNs(0))
        assert ("trouble    antenna open" in look(ubx)) is shown


def test_pulses_are_shown_with_how_evenly_they_come(portrait: Portrait):
    for number in range(20):
        portrait.pulse(HostNs(NOON + number * NS_PER_SECOND + number % 3 * 100))
    picture = look(portrait)
    assert any(line.startswith("pulses     last 20: 0 missing, 0 extra, jitter") for line in picture)
    assert sum("█" in line for line in picture) >= 3


def test_programs_get_the_same_as_people(portrait: Portrait):
    hear(portrait, Sky(), 0.1)
    portrait.pulse(HostNs(NOON))
    found = json.loads(json.dumps(portrait.document(MonoNs(0))))
    assert (found["time"], found["latency"]) == ("2026-02-16T12:00:00Z", 0.1)
    assert found["fix"]["position"]["latitude_deg"] == pytest.approx(51.4779)
    assert found["satellites"][0]["system"] == "GPS"
    assert found["sentences"]["GNRMC"] == 1
    assert found["pulses"]["pulses"] == 1
    assert found["troubles"] == []


def test_of_what_has_not_been_said_programs_get_nothing(portrait: Portrait):
    found = portrait.document(MonoNs(0))
    assert [found[name] for name in ("time", "latency", "fix", "pulses")] == [None] * 4


def test_kinds_of_sentences_without_end_and_unprintable_ones_are_counted_together(portrait: Portrait):
    for number in range(MOST_KINDS + 5):
        portrait.feed(build_sentence(f"P{number:04d},"), HostNs(NOON), MonoNs(0))
    portrait.feed(build_sentence("\x1b[2J,"), HostNs(NOON), MonoNs(0))
    picture = "\n".join(look(portrait))
    assert "others 6" in picture
    assert "\x1b" not in picture


@given(st.lists(st.binary(max_size=60) | st.sampled_from([build_burst(NOON, Sky()), b"\r\n$GPGSV,"]), max_size=20))
def test_whatever_comes_there_is_a_picture(pieces):
    portrait = Portrait("[red]", 9600)
    for number, piece in enumerate(pieces):
        portrait.feed(piece, HostNs(NOON + number), MonoNs(number * 10**8))
    assert look(portrait)[0].startswith("line       [red] at 9600 baud")


@contextmanager
def talking(link: Path) -> Iterator[None]:
    """A receiver in a hurry: a second every 20 ms."""
    line = PseudoTerminal(link)
    line.plug_in()
    stop = threading.Event()

    def talk() -> None:
        second = NOON
        while not stop.wait(0.02):
            line.write(build_burst(second, Sky()))
            second = WallNs(second + NS_PER_SECOND)

    talker = threading.Thread(target=talk)
    talker.start()
    try:
        yield
    finally:
        stop.set()
        talker.join()
        line.unplug()


def run(device: Path, *arguments: str) -> Result:
    return CliRunner().invoke(app, ["gps", "monitor", str(device), *arguments], catch_exceptions=False)


def test_without_a_terminal_each_time_is_a_line_and_the_picture_comes_last(tmp_path: Path):
    with talking(tmp_path / "gps"):
        result = run(tmp_path / "gps", "--for", "0.5", "--baud", "115200")
    first, *_ = result.stdout.splitlines()
    assert re.fullmatch(
        r"2026-02-16 12:\d\d:\d\d UTC [+-]\d+\.\d{3} s GPS, 9 of 12 satellites, HDOP 0\.67", first.strip()
    )
    assert "at 115200 baud" in re.sub(r"\s+", " ", result.stdout)  # a long path before it is cut
    assert "satellite  elevation  azimuth" in result.stdout
    assert result.exit_code == 0


def test_on_a_terminal_one_picture_is_kept_fresh_until_ctrl_c(tmp_path: Path):
    screen, far_end = os.openpty()
    command = [sys.executable, "-c", "from ntp_usg.cli.main import app; app()", "gps", "monitor", str(tmp_path / "gps")]
    environment = os.environ | {"TERM": "xterm", "COLUMNS": "80", "LINES": "50"}
    with talking(tmp_path / "gps"), subprocess.Popen(command, stdout=far_end, env=environment) as program:
        os.close(far_end)
        shown = b""
        while shown.count(b"2026-02-16") < 3:
            shown += os.read(screen, 4096)
        program.send_signal(signal.SIGINT)
        with contextlib.suppress(OSError):  # the far end is closed
            while data := os.read(screen, 4096):
                shown += data
    os.close(screen)
    assert b"\x1b[1A" in shown  # back up, to draw it again
    assert program.returncode == 0


def test_with_json_each_second_is_a_document_on_a_line(tmp_path: Path):
    with talking(tmp_path / "gps"):
        result = run(tmp_path / "gps", "--for", "1.3", "--json")
    documents = [json.loads(line) for line in result.stdout.splitlines()]
    assert len(documents) == 2
    assert documents[-1]["fix"]["quality"] == "gps"


def test_an_unknown_protocol_is_wrong_use(tmp_path: Path):
    result = run(tmp_path / "gps", "--protocol", "morse")
    assert "must be one of gps," in " ".join(result.stderr.replace("│", " ").split())
    assert result.exit_code == 2


def test_a_pulse_line_that_cannot_be_used_ends_the_monitor(tmp_path: Path):
    with talking(tmp_path / "gps"):
        result = run(tmp_path / "gps", "--pps", str(tmp_path / "pps9"))
    assert "pps9" in result.stderr
    assert result.exit_code == 69


def test_a_silent_line_ends_with_1(tmp_path: Path):
    line = PseudoTerminal(tmp_path / "gps")
    line.plug_in()
    result = run(tmp_path / "gps", "--for", "0.1")
    line.unplug()
    assert "nothing comes" in result.stdout
    assert result.exit_code == 1


def test_a_missing_device_is_told_with_advice(tmp_path: Path):
    result = run(tmp_path / "gps")
    assert "is the receiver plugged in?" in result.stderr
    assert result.exit_code == 69


def test_a_receiver_that_is_unplugged_ends_the_monitor(tmp_path: Path):
    line = PseudoTerminal(tmp_path / "gps")
    line.plug_in()

    def leave() -> None:
        while not line.has_reader:
            time.sleep(0.005)
        line.unplug()

    leaver = threading.Thread(target=leave)
    leaver.start()
    result = run(tmp_path / "gps")
    leaver.join()
    assert "hung up: was the receiver unplugged?" in result.stderr
    assert result.exit_code == 69
