import os
import struct
import subprocess
import sys

import pytest

from ntp_usg.sysapi.network_news import network_came, open_network_news, tells_of_arrival

NEW_LINK, DELETED_LINK, NEW_ADDRESS, DELETED_ADDRESS, NEW_ROUTE = 16, 17, 20, 21, 24
UP, RUNNING = 0x1, 0x40


def message(kind: int, body: bytes = bytes(12)) -> bytes:
    padded = body + bytes(-len(body) % 4)
    return struct.pack("=IHHII", 16 + len(body), kind, 0, 0, 0) + padded


def link(flags: int) -> bytes:
    return struct.pack("=BxHiII", 0, 1, 2, flags, 0)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (message(NEW_ADDRESS), True),
        (message(NEW_ROUTE), True),
        (message(NEW_LINK, link(UP | RUNNING)), True),
        (message(NEW_LINK, link(UP)), False),
        (message(DELETED_LINK, link(UP | RUNNING)), False),
        (message(DELETED_ADDRESS), False),
        (message(DELETED_ADDRESS, bytes(13)) + message(NEW_ROUTE), True),
        (message(NEW_LINK, b""), False),
        (b"", False),
        (b"\x10", False),
        (bytes(64), False),
    ],
)
def test_what_comes_is_news_and_what_goes_is_not(data: bytes, expected: bool) -> None:
    assert tells_of_arrival(data) is expected


class Kernel:
    """A netlink socket from which this comes, or is raised, by turns."""

    def __init__(self, *outcomes: bytes | OSError, sender: int = 0) -> None:
        self._outcomes = [*outcomes]
        self._sender = sender

    def recvfrom(self, _size: int) -> tuple[bytes, tuple[int, int]]:
        outcome = self._outcomes.pop(0) if self._outcomes else BlockingIOError()
        if isinstance(outcome, OSError):
            raise outcome
        return outcome, (self._sender, 1)


@pytest.mark.parametrize(("sender", "expected"), [(0, True), (4711, False)])
def test_all_that_has_arrived_is_read_and_what_another_program_sends_is_no_news(sender: int, expected: bool) -> None:
    news = message(DELETED_ADDRESS), message(NEW_ADDRESS), message(DELETED_ADDRESS)
    assert network_came(Kernel(*news, sender=sender)) is expected  # type: ignore[arg-type]


def test_news_are_not_read_without_end() -> None:
    endless = Kernel(*[message(NEW_ADDRESS)] * 100)
    assert network_came(endless)  # type: ignore[arg-type]
    assert network_came(endless)  # type: ignore[arg-type]
    assert not network_came(endless)  # type: ignore[arg-type]


def test_news_that_were_lost_may_have_been_of_something_that_came() -> None:
    assert network_came(Kernel(OSError(105, "No buffer space available")))  # type: ignore[arg-type]


CHANGES = """
import select, subprocess
from pathlib import Path
from ntp_usg.sysapi.network_news import network_came, open_network_news
for name in ("all", "default"):
    Path(f"/proc/sys/net/ipv6/conf/{name}/disable_ipv6").write_text("1")  # whose addresses come when they like
news = open_network_news()
for words in ("link set lo up", "link add va type veth peer name vb", "link set vb up", "link set va up",
              "addr add 10.9.9.1/24 dev va", "route add 10.8.0.0/16 dev va", "route del 10.8.0.0/16 dev va",
              "addr del 10.9.9.1/24 dev va", "link set vb down"):
    subprocess.run(["ip", *words.split()], check=True)
    came = False
    while select.select([news], [], [], 0.3)[0]:
        came |= network_came(news)
    print(words, came, sep=": ")
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may make a network namespace here")
def test_the_kernel_tells_of_links_addresses_and_routes_that_come() -> None:
    command = ["unshare", "--net", sys.executable, "-c", CHANGES]
    told = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout.splitlines()
    seen = dict(line.split(": ") for line in told)
    assert [words for words, came in seen.items() if came == "False"] == [
        "link add va type veth peer name vb",
        "link set vb up",
        "route del 10.8.0.0/16 dev va",
        "addr del 10.9.9.1/24 dev va",
        "link set vb down",
    ], seen


def test_listening_needs_no_privileges() -> None:
    open_network_news().close()
