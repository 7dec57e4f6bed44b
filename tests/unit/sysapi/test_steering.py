"""Clients are shared out to workers by address, in a way that nobody outside can foresee."""

import socket
from collections import Counter
from contextlib import ExitStack

import pytest

from ntp_usg.sysapi.steering import steer_by_source

SOURCES = [f"127.{number % 5}.7.{number}" for number in range(1, 129)]


def shared_out(number):
    """Which of some sockets gets the datagrams of each source; all of a source must go to one."""
    with ExitStack() as opened:
        sockets: list[socket.socket] = []
        for _ in range(number):
            sock = opened.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            sock.bind(sockets[0].getsockname() if sockets else ("127.0.0.1", 0))
            sock.settimeout(0)
            sockets.append(sock)
        steer_by_source(sockets[0], number)
        for source in SOURCES * 2:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
                client.bind((source, 0))
                client.sendto(b"", sockets[0].getsockname())
        return [list(heard(sock)) for sock in sockets]


def heard(sock):
    while True:
        try:
            yield sock.recvfrom(1)[1][0]
        except BlockingIOError:
            return


@pytest.mark.parametrize("number", [2, 3])
def test_each_source_has_one_socket_and_each_socket_its_share(number):
    by_socket = shared_out(number)
    assert Counter(source for each in by_socket for source in each) == dict.fromkeys(SOURCES, 2)
    assert all(set(Counter(each).values()) == {2} for each in by_socket)
    assert min(map(len, by_socket)) > len(SOURCES) // number // 2


def test_where_a_source_goes_is_another_secret_each_time():
    assert len({tuple(sorted(shared_out(2)[0])) for _ in range(4)}) > 1
