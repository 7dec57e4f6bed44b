"""When a calibration is good, what it warns of, and what it says to do; the measuring itself is an interop test."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from ntp_usg.cli.gps_calibrate import Calibration, Setup, advice, document, is_good, warnings
from ntp_usg.cli.main import app
from ntp_usg.core.base.samples import MessageLatency
from ntp_usg.core.base.snapshots import LatencyOrigin, SourceSnapshot, SystemSnapshot
from ntp_usg.refclocks.nmea import NmeaOptions
from ntp_usg.refclocks.pps import PpsOptions
from ntp_usg.simulate.pseudo_terminal import PseudoTerminal

GOOD = MessageLatency(0.08, spread=0.004, uncertainty=0.0008, count=60)


@pytest.fixture
def measured(locked_snapshot: SystemSnapshot) -> SystemSnapshot:
    gps, pps = locked_snapshot.sources
    gps = replace(gps, latencies={"RMC": GOOD, "ZDA": replace(GOOD, median=0.55)}, timed_part="RMC", verdicts={})
    return replace(locked_snapshot, sources=(gps, pps), host_offset=0.001)


class Ended(Calibration):
    """One whose engine has come to a snapshot."""

    def __init__(self, snapshot: SystemSnapshot) -> None:
        super().__init__(Setup("gps", NmeaOptions(device="/dev/gps"), PpsOptions(device="/dev/null")))
        self._end = snapshot

    def snapshot(self) -> SystemSnapshot:
        return self._end


def changed(measured: SystemSnapshot, latency: MessageLatency) -> SystemSnapshot:
    gps, pps = measured.sources
    return replace(measured, sources=(replace(gps, latencies={"RMC": latency}), pps))


@pytest.mark.parametrize(
    ("latency", "good"),
    [
        (GOOD, True),
        (replace(GOOD, count=59), False),
        (replace(GOOD, uncertainty=0.0011), False),
        (replace(GOOD, spread=0.02, uncertainty=0.005), True),
    ],
)
def test_a_minute_of_messages_is_enough_where_more_would_not_make_it_surer(measured, latency, good):
    assert is_good(changed(measured, latency).sources[0]) is good


def test_without_messages_against_pulses_nothing_is_good(measured):
    assert not is_good(replace(measured.sources[0], timed_part="GGA"))
    assert not is_good(replace(measured.sources[0], latency_origin=LatencyOrigin.SAVED))


def warned(snapshot: SystemSnapshot) -> str:
    return "\n".join(warnings(snapshot))


def test_where_all_is_well_there_is_no_warning(measured):
    assert warned(measured) == ""


@pytest.mark.parametrize(
    ("late", "words"),
    [(0.39, ""), (0.45, "come 0.45 s late; beyond a second"), (1.2, "come 1.20 s late, after the next pulse")],
)
def test_late_messages_are_warned_of(measured, late, words):
    warning = warned(changed(measured, replace(GOOD, median=late)))
    assert words in warning
    assert bool(warning) is bool(words)


def with_pulses(measured: SystemSnapshot, pps: SourceSnapshot) -> SystemSnapshot:
    return replace(measured, sources=(measured.sources[0], pps))


def test_missing_and_irregular_pulses_are_warned_of(measured):
    pps = measured.sources[1]
    assert "no pulses come" in warned(with_pulses(measured, replace(pps, pulse_rate_hz=0.0)))
    assert "0.90 pulses a second" in warned(with_pulses(measured, replace(pps, pulse_rate_hz=0.9)))


def test_seconds_that_do_not_agree_are_warned_of(measured):
    disputed = replace(measured.sources[1], verdicts={"rejected/numbering_disputed": 3})
    assert "3 messages named another second" in warned(with_pulses(measured, disputed))
    assert "-1.0 s from this machine's clock" in warned(replace(measured, host_offset=-1.0))


def test_a_receiver_that_is_of_no_use_says_why(measured):
    gps = replace(measured.sources[0], healthy=False, reason="No fix.")
    assert warned(replace(measured, sources=(gps, measured.sources[1]))) == "GPS_NMEA(0): No fix."


def test_the_advice_can_be_put_into_the_configuration(measured):
    text = "\n".join(advice(Ended(measured)))
    assert "\noffset_secs = 0.0800 " in text
    assert "\naccuracy_secs = 0.0144 " in text
    assert "[gps] of server.toml, or gps.conf" in text
    assert "(kernel interrupt): taken to be stamped 12 us late" in text


def test_where_nothing_was_measured_nothing_is_advised(measured):
    gps = replace(measured.sources[0], latencies={})
    (text,) = advice(Ended(replace(measured, sources=(gps, measured.sources[1]))))
    assert "Nothing was measured" in text


def test_programs_get_the_same(measured):
    result = json.loads(json.dumps(document(Ended(measured))))
    assert (result["good"], result["part"], result["offset_secs"]) == (True, "RMC", 0.08)
    assert result["parts"]["ZDA"]["median"] == 0.55
    assert result["pulses"]["input"] == "kernel interrupt"


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["gps", "calibrate", *map(str, arguments)], catch_exceptions=False)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["/dev/gps"], "is needed: messages are measured against pulses"),
        (["/dev/gps", "--pps", "/dev/pps0", "--protocol", "morse"], "must be one of gps,"),
        (["/dev/gps", "--pps", "/dev/pps0", "--baud", "fast"], "must be a number from 50"),
        (["--config", "/nonexistent/server.toml"], "cannot be read"),
    ],
)
def test_wrong_use_ends_with_2_and_says_what_is_wrong(arguments, complaint):
    result = run(*arguments)
    assert complaint in " ".join(result.stderr.replace("│", " ").split())
    assert result.exit_code == 2


def test_a_configuration_without_pulses_is_wrong_use(tmp_path):
    (tmp_path / "server.toml").write_text("[gps]\ndevice = '/dev/gps'\n")
    assert run("--config", tmp_path / "server.toml").exit_code == 2


def test_a_receiver_that_does_not_exist_is_told_with_advice(tmp_path):
    result = run(tmp_path / "gps", "--pps", tmp_path / "pps.sock")
    assert "is the receiver plugged in?" in result.stderr
    assert result.exit_code == 69


def test_a_line_on_which_nothing_comes_gives_nothing(tmp_path):
    line = PseudoTerminal(tmp_path / "gps")
    line.plug_in()
    result = run(tmp_path / "gps", "--pps", tmp_path / "pps.sock", "--for", "0.1", "--json")
    line.unplug()
    found = json.loads(result.stdout)
    assert found["offset_secs"] is None
    assert any("no pulses come" in each for each in found["warnings"])
    assert result.exit_code == 1
