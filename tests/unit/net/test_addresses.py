import socket

import pytest

from ntp_usg.core.base.addresses import parse_listen_address
from ntp_usg.core.base.errors import NtpUsgError
from ntp_usg.net.addresses import resolve


def test_an_address_is_one_socket_and_an_interface_two():
    assert resolve(parse_listen_address("127.0.0.1:1")) == [(socket.AF_INET, ("127.0.0.1", 1))]
    assert resolve(parse_listen_address("[::1]:1")) == [(socket.AF_INET6, ("::1", 1, 0, 0))]
    assert resolve(parse_listen_address("lo:1")) == [(socket.AF_INET, ("0.0.0.0", 1)), (socket.AF_INET6, ("::", 1))]


def test_a_link_local_address_knows_its_interface():
    [(_, where)] = resolve(parse_listen_address("[fe80::1%lo]:1"))
    assert where == ("fe80::1", 1, 0, socket.if_nametoindex("lo"))


def test_an_unknown_interface_is_answered_with_those_that_exist():
    with pytest.raises(NtpUsgError, match=r"cannot listen on eth97:123: no such interface; this machine has .*\blo\b"):
        resolve(parse_listen_address("eth97"))
    with pytest.raises(NtpUsgError, match=r"cannot listen on eth97\.100:123: no such interface"):
        resolve(parse_listen_address("eth97.100"))
    with pytest.raises(NtpUsgError, match="cannot listen on"):
        resolve(parse_listen_address("fe80::1%eth97"))
    with pytest.raises(NtpUsgError, match="cannot listen on"):
        resolve(parse_listen_address("fe80::1%\N{LATIN SMALL LETTER E WITH ACUTE}" + "x" * 80))
