"""The daemon while no client asks: it sleeps, and still tells what is true now to whoever asks then."""

import http.client
import json
import os
import re
import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest
from tests.bench.idle import DAY, Started, started

SETTLE, QUIET = 40.0, 25.0
"""Seconds until it follows the server at its usual poll, and in which nobody asks."""
WAKE_UPS = 0.5
"""A second; 25 were usual in two of the processes before."""
CPU = 60.0
"""Seconds a day; the loaded machines that tests run on wake slowly."""

pytestmark = [
    pytest.mark.peer,
    pytest.mark.skipif(os.geteuid() != 0, reason="the reference, chronyd, wants to be root"),
]


@pytest.fixture(scope="module")
def server(require_peer: Any) -> Iterator[Started]:
    require_peer("chronyd")
    with started(["ours"]) as [made]:
        time.sleep(SETTLE)
        yield made


def ask_control(server: Started) -> bytes:
    """The system variables of mode 6, as ntpq asks for them."""
    [port] = re.findall(r"serves on 127\.0\.0\.1:(\d+)", server.log)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(5)
        sock.connect(("127.0.0.1", int(port)))
        sock.send(b"\x16\x02" + bytes(10))
        return sock.recv(1000)


def get(server: Started, page: str) -> str:
    connection = http.client.HTTPConnection("localhost")
    with socket.socket(socket.AF_UNIX) as connection.sock:
        connection.sock.settimeout(5)
        connection.sock.connect(str(server.folder / "control.sock"))
        connection.request("GET", page)
        return connection.getresponse().read().decode()


def test_nobody_wakes_up_for_nothing(server):
    meters = server.meters()
    assert sorted(role for role, _ in meters) == ["control", "spare", "spare", "worker"], server.log
    time.sleep(QUIET)
    for role, meter in meters:
        rest = meter.read()
        assert rest.wake_ups <= WAKE_UPS, role
        assert rest.cpu * DAY <= CPU, role


def test_after_that_everything_shown_is_of_this_moment(server):
    before, variables = json.loads(get(server, "/api/v1/status")), ask_control(server)
    assert before["system"]["phase"] == "synchronised", server.log
    time.sleep(2)
    after = json.loads(get(server, "/api/v1/status"))
    ages = [status["sources"][0]["last_heard_age"] for status in (before, after)]
    assert ages[1] - ages[0] > 1.9 or ages[1] < 2
    assert after["system"]["root_dispersion"] != before["system"]["root_dispersion"]
    assert b"rootdisp=" in variables
    assert ask_control(server) != variables
    assert "ntp_usg_synchronised 1" in get(server, "/metrics")
