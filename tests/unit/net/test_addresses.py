import socket

import pytest

from ntp_usg.core.base.errors import NtpUsgError
from ntp_usg.net.addresses import ListenAddress, parse_listen_address, resolve


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0.0.0.0:123", ListenAddress("0.0.0.0", None, 123)),
        ("127.0.0.1:11123", ListenAddress("127.0.0.1", None, 11123)),
        ("192.0.2.1", ListenAddress("192.0.2.1", None, 123)),
        ("[::]:123", ListenAddress("::", None, 123)),
        ("[::1]", ListenAddress("::1", None, 123)),
        ("::1", ListenAddress("::1", None, 123)),
        ("fd00::2:123", ListenAddress("fd00::2:123", None, 123)),
        ("[fe80::1%eth0]:11123", ListenAddress("fe80::1%eth0", None, 11123)),
        ("eth0", ListenAddress(None, "eth0", 123)),
        ("enp3s0f1:11123", ListenAddress(None, "enp3s0f1", 11123)),
        (" 127.0.0.1:0 ", ListenAddress("127.0.0.1", None, 0)),
    ],
)
def test_every_way_to_write_a_listen_address_is_understood(text, expected):
    assert parse_listen_address(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":",
        ":123",
        "0.0.0.0:",
        "0.0.0.0:http",
        "0.0.0.0:65536",
        "127.0.0.1:١٢٣",
        "[::1",
        "::1]:123",
        "[eth0]:123",
        "[::1]:123:4",
        "fe80::zz",
        "256.1.1.1:123",
        "1.2.3:123",
        "time.example.org:123",
        "127.0.0.1:123\0",
    ],
)
def test_anything_else_is_refused_with_the_text_that_was_written(text):
    with pytest.raises(NtpUsgError) as refused:
        parse_listen_address(text)
    assert f"`{text}`" in str(refused.value)


def test_a_listen_address_is_shown_as_it_would_be_written():
    for text in ("0.0.0.0:123", "[::1]:11123", "eth0:123"):
        assert str(parse_listen_address(text)) == text


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
    with pytest.raises(NtpUsgError, match="cannot listen on"):
        resolve(parse_listen_address("fe80::1%eth97"))
    with pytest.raises(NtpUsgError, match="cannot listen on"):
        resolve(parse_listen_address("fe80::1%\N{LATIN SMALL LETTER E WITH ACUTE}" + "x" * 80))
