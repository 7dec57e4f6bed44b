"""What `ntp_usg clients` shows; that the daemon gives it is tested in tests/interop."""

import json
import socket
import time
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner

from ntp_usg.cli import clients as module
from ntp_usg.cli.clients import clients_table, look_up
from ntp_usg.cli.main import app

FEW = {
    "total": 7,
    "clients": [
        {"address": "192.0.2.1", "hits": 9, "last_seen_age": 4.2, "average_interval": 64.0, "rate_limited": False},
        {"address": "2001:db8::1", "hits": 1, "last_seen_age": 9000.0, "average_interval": None, "rate_limited": True},
        {"address": "192.0.2.3", "hits": 999, "last_seen_age": 0.1, "average_interval": 0.002, "rate_limited": False},
    ],
}


def rendered(document: dict[str, Any]) -> list[str]:
    console = Console(width=80, highlight=False)
    with console.capture() as capture:
        console.print(clients_table(document))
    return [line.rstrip() for line in capture.get().splitlines()]


def test_the_table_has_a_line_for_each_and_says_how_many_more_there_are():
    assert rendered(FEW) == [
        "address      hits  last seen  interval",
        "192.0.2.1       9    4 s ago      64 s",
        "2001:db8::1     1  2.5 h ago         -  refused",
        "192.0.2.3     999    0 s ago  2.000 ms",
        "3 of 7 clients",
    ]


def test_names_are_shown_where_they_are_known():
    named = {"total": 1, "clients": [FEW["clients"][0] | {"name": "[b]a.example.net"}]}  # type: ignore[index]
    assert rendered(named)[1].endswith("64 s    [b]a.example.net")
    assert rendered({"total": 0, "clients": []})[-1] == "0 of 0 clients"


@pytest.fixture
def resolver(monkeypatch: pytest.MonkeyPatch) -> None:
    """Knows one name, lies about another, is slow about a third, and has never heard of the rest."""

    def answer(address: tuple[str, int], flags: int) -> tuple[str, str]:
        match address[0]:
            case "192.0.2.1":
                return "one.example.net", "ntp"
            case "192.0.2.2":
                return "two\x1b[2J.example.net", "ntp"
            case "192.0.2.3":
                time.sleep(0.5)
                return "three.example.net", "ntp"
        raise socket.gaierror(socket.EAI_NONAME, "no name")

    monkeypatch.setattr(socket, "getnameinfo", answer)


def test_names_that_come_in_time_and_are_names_are_taken(resolver: None):
    addresses = [f"192.0.2.{host}" for host in range(1, 50)]
    assert look_up(addresses, seconds=0.2) == {"192.0.2.1": "one.example.net"}
    assert look_up([]) == {}


def test_the_command_asks_the_daemon_and_prints_its_document(monkeypatch: pytest.MonkeyPatch, resolver: None):
    asked: list[tuple[str, str]] = []

    def fetch(path: Path, page: str, key: str) -> dict[str, Any]:
        asked.append((page, key))
        return json.loads(json.dumps(FEW))  # type: ignore[no-any-return]

    monkeypatch.setattr(module, "fetch", fetch)
    options = ["clients", "--by", "hits", "-n", "3", "--json", "--names"]
    result = CliRunner().invoke(app, options, catch_exceptions=False)
    assert asked == [("/api/v1/clients?by=hits&limit=3", "clients")]
    assert [each["name"] for each in json.loads(result.stdout)["clients"]][:2] == ["one.example.net", None]


def test_without_a_daemon_it_says_what_to_do(tmp_path: Path):
    result = CliRunner().invoke(app, ["clients", "--socket", str(tmp_path / "none")], catch_exceptions=False)
    assert result.exit_code == 2
    assert "ntp_usg clients: no daemon here" in result.stderr


@pytest.mark.parametrize("options", [["--limit", "0"], ["--limit", "10001"], ["--by", "name"]])
def test_impossible_questions_are_not_asked(options: list[str]):
    assert CliRunner().invoke(app, ["clients", *options]).exit_code == 2
