"""What `ntp_usg explain` says of a status document, and when there is none."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from ntp_usg.cli import explain as module
from ntp_usg.cli.explain import paragraph
from ntp_usg.cli.main import app
from ntp_usg.core.base.doubts import Doubt, Trouble
from ntp_usg.core.base.snapshots import SystemSnapshot, Tally
from ntp_usg.observe.status import describe_status


@pytest.fixture
def document(view_of, locked_snapshot: SystemSnapshot):
    gps = replace(
        locked_snapshot.sources[0],
        tally=Tally.REJECTED,
        reason="Not trusted: moved by 312 m.",
        trust=0.4,
        doubts=(Trouble(Doubt.MOVED, "moved by 312 m", severe=True),),
        verdicts={"accepted/used": 20, "rejected/no_fix": 3},
    )
    return describe_status(view_of(replace(locked_snapshot, sources=(gps, locked_snapshot.sources[1]))))


def test_a_source_is_explained_with_doubts_and_verdicts_in_words(document):
    text = "\n".join(paragraph(document["sources"][0]))
    assert "GPS_NMEA(0): driver nmea on /dev/ttyAMA0 (server.toml:7), stratum 0" in text
    assert "It has no part in the vote. Not trusted: moved by 312 m." in text
    assert "Its messages come 125.000 ms late, give or take 4.000 ms: pulses show it." in text
    assert "Trusted to 40%:" in text
    assert f"- moved by 312 m (severe). {Doubt.MOVED.explanation}" in text
    assert "3 rejected: The receiver says it has no fix" in text


def test_a_server_is_explained_by_its_address_and_where_it_was_configured(view_of, following_snapshot: SystemSnapshot):
    document: dict[str, Any] = {**describe_status(view_of(following_snapshot))}
    first, second = document["sources"]
    assert "ntp1.example.net: server 192.0.2.1 port 123 (server.toml:7), stratum 1" in "\n".join(paragraph(first))
    assert "server without a known address" in "\n".join(paragraph({**second, "path": None}))


def test_a_source_beyond_doubt_says_so(document):
    text = "\n".join(paragraph(document["sources"][1]))
    assert "It leads with its pulses (o)." in text
    assert "Trusted to 100%: nothing speaks against it." in text


def test_json_has_every_explanation(document, monkeypatch):
    monkeypatch.setattr(module, "fetch_status", lambda _: document)
    result = CliRunner().invoke(app, ["explain", "gps_nmea(0)", "--json"], catch_exceptions=False)
    (gps,) = json.loads(result.stdout)
    assert gps["doubts"][0]["explanation"] == Doubt.MOVED.explanation
    assert [each["count"] for each in gps["verdicts"]] == [20, 3]


def test_a_source_that_is_not_there_is_answered_with_those_that_are(document, monkeypatch):
    monkeypatch.setattr(module, "fetch_status", lambda _: document)
    result = CliRunner().invoke(app, ["explain", "SHM(0)"], catch_exceptions=False)
    assert result.exit_code == 2
    assert "there is no source SHM(0); the sources are: GPS_NMEA(0), PPS(0)" in result.stderr


def test_without_a_daemon_it_says_what_to_do(tmp_path: Path):
    result = CliRunner().invoke(app, ["explain", "--socket", str(tmp_path / "none")], catch_exceptions=False)
    assert result.exit_code == 2
    assert "no daemon here" in result.stderr
