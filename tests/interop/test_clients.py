"""Who asks, by ntpq's mrulist and by `ntp_usg clients`, from a whole daemon; over TCP nobody learns it."""

import json
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

COMMAND = Path(sys.executable).with_name("ntp_usg")

ASK = """
import socket
for host in range(1, 201):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.bind((f"127.0.1.{host}", 0))
        client.settimeout(5)
        for _ in range(1 + host % 2):
            client.sendto(bytes([0x23]) + bytes(47), ("127.0.0.1", 123))
            client.recv(100)
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as flood:
    flood.bind(("127.0.2.1", 0))
    for _ in range(300):
        flood.sendto(bytes([0x23]) + bytes(47), ("127.0.0.1", 123))
with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as client:
    client.settimeout(5)
    client.sendto(bytes([0x23]) + bytes(47), ("::1", 123))
    client.recv(100)
"""


@pytest.fixture(scope="module")
def asked(start_daemon: Callable[..., Any]) -> Iterator[Any]:
    """A daemon that 202 clients have asked, one of them too often."""
    with start_daemon("[rate_limit]\npackets_per_second = 0.001\nburst_size = 200\n") as station:
        station.wait_until(lambda: station.status()["health"], "an answer")
        station.host.run(sys.executable, "-c", ASK)
        station.wait_until(lambda: station.status()["queries"]["clients"] == 202, "all clients")
        yield station


@pytest.mark.peer
def test_ntpqs_mrulist_shows_every_client_with_its_hits(asked, require_peer):
    ntpq = require_peer("ntpq")
    output = asked.host.run(ntpq, "-n", "-c", "mrulist", "127.0.0.1")
    table = [line.split() for line in output.splitlines() if re.match(r" +\d", line)]
    found = {row[-1]: row for row in table}
    assert {f"127.0.1.{host}" for host in range(1, 201)} | {"127.0.2.1", "::1", "127.0.0.1"} == set(found), output
    lstint, avgint, rstr, r, m, v, count, *_ = found["127.0.2.1"]
    assert (rstr, r, m, v, count) == ("20", "L", "0", "0", "300")
    assert int(lstint) < 60
    assert float(avgint) < 1
    assert [found[f"127.0.1.{host}"][6] for host in (1, 2)] == ["2", "1"]
    assert [found["::1"][3], found["::1"][6]] == [".", "1"]


@pytest.mark.peer
@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("mincount=300", {"127.0.2.1"}),
        ("limited", {"127.0.2.1"}),
        ("frags=2 mincount=2", {"127.0.2.1", *(f"127.0.1.{host}" for host in range(1, 201, 2))}),
        ("limit=10 minlstint=3600", set()),
    ],
)
def test_ntpqs_filters_choose(asked, require_peer, options: str, expected: set[str]):
    output = asked.host.run(require_peer("ntpq"), "-n", "-c", f"mrulist {options}", "127.0.0.1")
    assert "Collected" in output
    # who asks here is a client too
    assert {line.split()[-1] for line in output.splitlines() if re.match(r" +\d", line)} - {"127.0.0.1"} == expected


@pytest.mark.peer
def test_the_latest_are_enough_for_ntpmon(asked, require_peer):
    output = asked.host.run(require_peer("ntpq"), "-n", "-c", "mrulist recent=5", "127.0.0.1")
    assert "Collected 5 slots" in output
    assert "127.0.2.1" in output


@pytest.mark.peer
def test_ntpqs_monstats_shows_how_full_the_tables_are(asked, require_peer):
    output = asked.host.run(require_peer("ntpq"), "-n", "-c", "monstats", "127.0.0.1")
    figures = {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in output.splitlines())}
    assert list(figures) == [
        "enabled",
        "addresses in use",
        "peak addresses",
        "maximum addresses",
        "reclaim minage",
        "age of oldest slot",
    ], output
    assert figures["addresses in use"] == figures["peak addresses"] == "203"  # with who asks here
    assert (figures["enabled"], figures["maximum addresses"]) == ("1", "100000")
    assert re.fullmatch(r"00:0\d:\d\d", figures["age of oldest slot"])


@pytest.mark.peer
def test_a_filter_that_we_do_not_have_ends_in_an_error_and_not_in_a_loop(asked, require_peer):
    output = asked.host.run(require_peer("ntpq"), "-n", "-c", "mrulist laddr=127.0.0.1", "127.0.0.1")
    assert "BADFMT" in output


def test_the_command_shows_the_busiest_first(asked):
    command = COMMAND, "clients", "--by", "hits", "--limit", "3", "--socket", str(asked.folder / "control.sock")
    document = json.loads(asked.host.run(*command, "--json"))
    assert document["total"] in {202, 203}
    assert document["clients"][0]["address"] == "127.0.2.1", document
    assert document["clients"][0]["rate_limited"], document
    assert document["clients"][1]["hits"] <= document["clients"][0]["hits"] == 300
    assert document["clients"][0]["average_interval"] < 1
    lines = asked.host.run(*command).splitlines()
    assert re.match(r"127\.0\.2\.1 +300 +\d+ s ago +\S+ .s +refused", lines[1]), lines
    assert lines[-1].startswith("3 of 20")


def test_over_tcp_nobody_learns_who_asks(asked):
    assert asked.get("/api/v1/clients?limit=1")[0] == 200
    for path in ("/api/v1/clients", "/metrics", "/api/v1/status"):
        page = asked.host.run("curl", "-s", f"http://127.0.0.1:8080{path}")
        assert page
        assert "127.0.2.1" not in page
    assert "no such path" in asked.host.run("curl", "-s", "http://127.0.0.1:8080/api/v1/clients")
