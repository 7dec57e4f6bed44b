"""Debian's ntpq against our mode 6 answers, over a socket on loopback."""

import re
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from ntp_usg.core.base.samples import Fix, FixQuality
from ntp_usg.core.base.snapshots import ServingState, SyncPhase, SystemSnapshot, Tally
from ntp_usg.core.server.monitor import Identity, answer_control

pytestmark = pytest.mark.peer

# ntpq knows no port but 123, which only root may open and which may be taken: here its name leads to another.
NTPQ_AT_ANOTHER_PORT = """
import runpy, socket, sys
port, look_up = sys.argv[1], socket.getaddrinfo
socket.getaddrinfo = lambda host, service, *rest: look_up(host, port if service == "ntp" else service, *rest)
sys.argv = sys.argv[2:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@contextmanager
def monitor_port(snapshot: SystemSnapshot) -> Iterator[int]:
    """A port of 127.0.0.1 that answers mode 6 from the snapshot; an empty datagram ends it."""
    identity = Identity(version="ntp_usg 1.2.3", processor="x86_64", system="Linux/6.1")

    def answer() -> None:
        while (request := endpoint.recvfrom(1024))[0]:
            for packet in answer_control(request[0], snapshot, identity, snapshot.serving.as_of):
                endpoint.sendto(packet, request[1])

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as endpoint:
        endpoint.bind(("127.0.0.1", 0))
        thread = threading.Thread(target=answer)
        thread.start()
        try:
            yield endpoint.getsockname()[1]
        finally:
            endpoint.sendto(b"", endpoint.getsockname())
            thread.join()


Ntpq = Callable[..., str]


@pytest.fixture
def ntpq(require_peer: Callable[[str], Path]) -> Ntpq:
    """Runs `ntpq ARGUMENTS 127.0.0.1` against a server in this state; all that it prints."""
    program = require_peer("ntpq")

    def run(snapshot: SystemSnapshot, *arguments: str) -> str:
        with monitor_port(snapshot) as port:
            command = ["/usr/bin/python3", "-c", NTPQ_AT_ANOTHER_PORT, str(port), str(program), *arguments, "127.0.0.1"]
            result = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
        return result.stdout + result.stderr

    return run


def test_the_peers_table_is_the_guides(ntpq: Ntpq, locked_snapshot: SystemSnapshot):
    header, rule, gps, pps = ntpq(locked_snapshot, "-p").splitlines()
    assert " ".join(header.split()) == "remote refid st t when poll reach delay offset jitter"
    assert set(rule) == {"="}
    # `when` is counted by the clock of the machine that asks, so it is not compared
    assert re.fullmatch(
        r"\*GPS_NMEA\(0\)     \.GPS\.            0 l .{4}   16  377    0\.000    0\.123    0\.002", gps.rstrip()
    )
    assert re.fullmatch(
        r"oPPS\(0\)          \.PPS\.            0 l .{4}   16  377    0\.000   -0\.000    0\.000", pps.rstrip()
    )


def test_the_peers_table_shows_servers_and_what_they_follow(ntpq: Ntpq, following_snapshot: SystemSnapshot):
    """Debian's ntpq, by address: neither pseudo addresses nor empty reference ids."""
    first, second = ntpq(following_snapshot, "-n", "-p").splitlines()[2:]
    assert re.fullmatch(
        r"\*192\.0\.2\.1       \.GPS\.            1 u .{4}   64  377   12\.000    0\.250    0\.030", first.rstrip()
    )
    assert re.match(r"\+2001:db8::5     192\.0\.2\.77       2 u", second)


def test_nanoseconds_are_there_for_who_asks_for_units(ntpq: Ntpq, locked_snapshot: SystemSnapshot):
    pps = ntpq(locked_snapshot, "-u", "-p").splitlines()[3]
    assert pps.split()[-2:] == ["-123ns", "45ns"]


def test_a_lost_receiver_is_marked_as_unusable(ntpq: Ntpq, locked_snapshot: SystemSnapshot):
    gps = replace(
        locked_snapshot.sources[0],
        tally=Tally.REJECTED,
        healthy=False,
        reach=0,
        last_heard_age=None,
        offset=None,
        jitter=None,
        dispersion=None,
        fix=Fix(FixQuality.NO_FIX),
    )
    lost = replace(
        locked_snapshot, serving=ServingState(), phase=SyncPhase.UNSYNCHRONISED, selected=None, sources=(gps,)
    )
    assert re.fullmatch(
        r" GPS_NMEA\(0\) +\.GPS\. +0 l +- +16 +0 +0\.000 +0\.000 +0\.000 *", ntpq(lost, "-p").splitlines()[2]
    )
    assert re.fullmatch(r" +1 +1 +8011 +yes +no +none +reject +mobilize +1", ntpq(lost, "-c", "as").splitlines()[-1])
    assert "leap_alarm, sync_unspec, 1 event, no_sys_peer" in ntpq(lost, "-c", "rv")
    assert "1 event, clk_no_reply" in ntpq(lost, "-c", "cv 1")


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("rv", "associd=0 status=0115 leap_none, sync_pps, 1 event, clock_sync,"),
        ("rv", 'version="ntp_usg 1.2.3"'),
        ("rv 0 stratum", "stratum=1"),
        ("rv &1", "associd=1 status=961a conf, reach, sel_sys.peer, 1 event, sys_peer,"),
        ("rv &1", "rec=ed3d853f.00000000 2026-02-16T11:59:59.000Z, reach=377"),
        ("rv &1 reach", "reach=377"),
        ("as", "  2     2  971a   yes   yes  none  pps.peer    sys_peer  1"),
        ("cv 1", "associd=1 status=0000 no events"),
        ("cv 1", 'device="/dev/ttyAMA0"'),
        ("apeers", "*GPS_NMEA(0)     .GPS.    1       0 l"),
        ("opeers", "oPPS(0)          127.0.0.1        0 l"),
        ("sysinfo", "system peer mode:   client"),
        ("rv 0 nonsense", "UNKNOWNVAR"),
        ("mrulist", "BADOP"),
    ],
)
def test_a_command_of_ntpq_prints(ntpq: Ntpq, locked_snapshot: SystemSnapshot, command: str, expected: str):
    assert expected in ntpq(locked_snapshot, "-n", "-c", command)


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("rv", "associd=0 status=0615 leap_none, sync_ntp, 1 event, clock_sync,"),
        ("rv 0 peeradr", "peeradr=192.0.2.1"),
        ("rv &2", "srcadr=2001:db8::5, srcport=1123"),
        ("rv &2", "rootdelay=15.0,"),
        ("rv &2 reftime", "2026-02-16T11:59:50.000Z"),
        ("as", "  2     2  9414   yes   yes  none candidate   reachable  1"),
        ("opeers", "*192.0.2.1       198.51.100.7     1 u"),
    ],
)
def test_a_command_of_ntpq_prints_of_servers(
    ntpq: Ntpq, following_snapshot: SystemSnapshot, command: str, expected: str
):
    assert expected in ntpq(following_snapshot, "-n", "-c", command)
