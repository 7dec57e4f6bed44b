import json
import re
import time
from collections.abc import Callable
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from ntp_usg.cli import query
from ntp_usg.cli.main import app
from ntp_usg.core.base.instants import WallNs
from ntp_usg.core.base.snapshots import Leap
from ntp_usg.core.wire.header import Header, Mode, build_header, parse_header
from ntp_usg.core.wire.timestamps import to_ntp

UdpServer = Callable[..., int]


def server(ahead: float = 0.0, **fields: Any) -> Callable[[bytes], list[bytes]]:
    """A Stratum 1 server, but for these fields, whose clock is ahead of this machine's."""

    def answers(request: bytes) -> list[bytes]:
        now = to_ntp(WallNs(time.time_ns() + round(ahead * 1e9)))
        standard: dict[str, Any] = {
            "mode": Mode.SERVER,
            "stratum": 1,
            "precision": -20,
            "root_dispersion": 1e-3,
            "reference_id": b"GPS\0",
            "origin_timestamp": parse_header(request).transmit_timestamp,
            "receive_timestamp": now,
            "transmit_timestamp": now,
        }
        return [build_header(Header(**(standard | fields)))]

    return answers


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["query", "--timeout", "0.5", *arguments], catch_exceptions=False)


def test_a_good_server_is_shown_with_its_figures(udp_server: UdpServer):
    port = udp_server(server(ahead=1.5))
    result = run(f"127.0.0.1:{port}", "--timeout", "5")
    heading, row, explanation = result.stdout.splitlines()
    assert heading.split() == ["server", "st", "ref", "id", "leap", "offset", "delay", "distance", "verdict"]
    assert re.fullmatch(rf"127\.0\.0\.1:{port} +1 +GPS +none +\+1\.\d{{3}} s +-?[\d.]+ [num]s +[\d.]+ ms +good *", row)
    assert explanation == f"127.0.0.1:{port}: follows GPS at stratum 1"
    assert result.exit_code == 0


def test_json_is_one_document_with_every_server(udp_server: UdpServer):
    good, lost = udp_server(server(ahead=-2.0, leap=Leap.INSERT)), udp_server(lambda _: [])
    result = run("--json", f"127.0.0.1:{good}", f"127.0.0.1:{lost}")
    first, second = json.loads(result.stdout)["servers"]
    assert first.pop("offset") == pytest.approx(-2.0, abs=0.5)
    assert first.pop("root_distance") == pytest.approx(first.pop("delay") / 2 + 1e-3, abs=1e-4)
    assert first.pop("root_dispersion") == pytest.approx(1e-3, abs=2**-16)
    assert first == {
        "server": f"127.0.0.1:{good}",
        "ok": True,
        "verdict": "good",
        "explanation": "follows GPS at stratum 1",
        "answers": 1,
        "address": "127.0.0.1",
        "version": 4,
        "stratum": 1,
        "leap": "insert",
        "reference_id": "GPS",
        "root_delay": 0.0,
        "precision": -20,
    }
    assert second.pop("explanation").startswith("no answer within 0.5 s")
    assert second == {"server": f"127.0.0.1:{lost}", "ok": False, "verdict": "no answer", "answers": 0}
    assert result.exit_code == 1


def test_the_ntpdate_line_is_the_guides(udp_server: UdpServer):
    port = udp_server(server())
    result = run("--ntpdate", f"127.0.0.1:{port}", "--timeout", "5")
    assert re.fullmatch(r"server 127\.0\.0\.1, stratum 1, offset -?\d\.\d{6}, delay -?\d\.\d{5}\n", result.stdout)
    assert result.exit_code == 0


def test_without_any_answer_the_exit_code_is_2_and_the_reason_is_told(udp_server: UdpServer):
    port = udp_server(lambda _: [])
    assert run(f"127.0.0.1:{port}").exit_code == 2
    result = run("--ntpdate", f"127.0.0.1:{port}")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "no answer within 0.5 s" in result.stderr


@pytest.mark.parametrize(
    ("fields", "verdict", "words"),
    [
        (
            {"leap": Leap.UNSYNCHRONISED, "stratum": 0, "reference_id": b"INIT"},
            "not set",
            "says that its own clock is not set (INIT): do not use its time",
        ),
        ({"leap": Leap.UNSYNCHRONISED}, "not set", "its own clock is not set (GPS)"),
        ({"stratum": 16, "reference_id": bytes(4)}, "not set", "(no reason given)"),
        ({"stratum": 0, "reference_id": b"RATE"}, "refused", "asks us to slow down (kiss code RATE)"),
        ({"stratum": 0, "reference_id": b"DENY"}, "refused", "refuses this address (kiss code DENY)"),
        ({"root_dispersion": 3.0}, "too far", "may be off by 3.0"),
        ({"root_delay": 4.0}, "too far", "may be off by 2.00"),
    ],
)
def test_a_server_without_good_time_is_told_apart_in_words(
    udp_server: UdpServer, fields: dict[str, Any], verdict: str, words: str
):
    port = udp_server(server(**fields))
    result = run("--json", f"127.0.0.1:{port}", "--timeout", "5")
    (found,) = json.loads(result.stdout)["servers"]
    assert (found["ok"], found["verdict"]) == (False, verdict)
    assert words in found["explanation"]
    assert ("offset" in found) is (verdict != "refused")
    assert result.exit_code == 1
    assert words.partition(" (")[0] in run(f"127.0.0.1:{port}", "--timeout", "5").stdout.replace("\n", " ")


NOW = 3_900_000_000 << 32
"""Any NTP timestamp."""


@pytest.mark.fault(
    group="Servers",
    kind="A server whose timestamps are zero or contradict each other.",
    noticed="`ntp_usg query` and the daemon hold each answer to the same checks: `bad times`, exit code 1.",
    served="Nothing of it: the daemon rejects such an answer (bad_timestamps).",
)
@pytest.mark.parametrize(
    "fields",
    [
        {"transmit_timestamp": 0},
        {"receive_timestamp": 0},
        {"receive_timestamp": 0, "transmit_timestamp": 0},
        {"receive_timestamp": NOW + (1 << 39), "transmit_timestamp": NOW},
        {"receive_timestamp": NOW, "transmit_timestamp": NOW + (1 << 39)},
        {"reference_timestamp": NOW + (1 << 48), "receive_timestamp": NOW, "transmit_timestamp": NOW},
    ],
)
def test_impossible_timestamps_are_never_called_good(udp_server: UdpServer, fields: dict[str, Any]):
    port = udp_server(server(**fields))
    result = run("--json", f"127.0.0.1:{port}", "--timeout", "5")
    (found,) = json.loads(result.stdout)["servers"]
    assert (found["ok"], found["verdict"], result.exit_code) == (False, "bad times", 1)
    assert ("offset" in found) is ("reference_timestamp" in fields), "figures of impossible timestamps mean nothing"


def test_a_good_answer_goes_before_one_with_a_shorter_round_trip(
    udp_server: UdpServer, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(query, "PAUSE", 0.0)
    turn = iter([server(receive_timestamp=NOW, transmit_timestamp=NOW + (1 << 39)), server()])
    port = udp_server(lambda request: next(turn)(request))  # noqa: PLW0108 - each request has its turn
    (found,) = json.loads(run("--json", "--count", "2", f"127.0.0.1:{port}", "--timeout", "5").stdout)["servers"]
    assert (found["answers"], found["verdict"]) == (2, "good")


def test_of_several_answers_the_one_with_the_shortest_round_trip_counts(
    udp_server: UdpServer, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(query, "PAUSE", 0.0)
    turn = iter([0.2, 0.0, 0.2])

    def answers(request: bytes) -> list[bytes]:
        time.sleep(next(turn))
        return server()(request)

    port = udp_server(answers)
    (found,) = json.loads(run("--json", "--count", "3", f"127.0.0.1:{port}", "--timeout", "5").stdout)["servers"]
    assert found["answers"] == 3
    assert found["delay"] < 0.15


def test_a_server_that_asks_to_slow_down_is_not_asked_again(udp_server: UdpServer, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(query, "PAUSE", 0.0)
    asked = []
    refuse = server(stratum=0, reference_id=b"RATE")

    def answers(request: bytes) -> list[bytes]:
        asked.append(request)
        return refuse(request)

    port = udp_server(answers)
    assert run("--count", "5", f"127.0.0.1:{port}", "--timeout", "5").exit_code == 1
    assert len(asked) == 1


def test_names_with_brackets_are_printed_as_they_are(udp_server: UdpServer):
    port = udp_server(server(reference_id=b"[b]\0"), host="::1")
    result = run(f"[::1]:{port}", "--timeout", "5")
    assert f"[::1]:{port}" in result.stdout.splitlines()[1]
    assert result.stdout.splitlines()[2] == f"[::1]:{port}: follows [b] at stratum 1"


@pytest.mark.parametrize(
    "arguments",
    [(), ("host:port",), ("--count", "0", "::1"), ("--json", "--ntpdate", "::1"), ("--timeout", "x", "::1")],
)
def test_wrong_usage_exits_with_2_and_says_what_is_wrong(arguments: tuple[str, ...]):
    result = run(*arguments)
    assert result.exit_code == 2
    assert "Error" in result.stderr
