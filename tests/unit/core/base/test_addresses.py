import pytest

from ntp_usg.core.base.addresses import ListenAddress, ServerAddress, parse_listen_address, parse_server_address


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0.0.0.0:123", ListenAddress("0.0.0.0", None, 123)),
        ("127.0.0.1:11123", ListenAddress("127.0.0.1", None, 11123)),
        ("192.0.2.1", ListenAddress("192.0.2.1", None, 123)),
        ("[::]:123", ListenAddress("::", None, 123)),
        ("[::1]", ListenAddress("::1", None, 123)),
        ("::1", ListenAddress("::1", None, 123)),
        ("2001:DB8:0::1", ListenAddress("2001:db8::1", None, 123)),
        ("fd00::2:123", ListenAddress("fd00::2:123", None, 123)),
        ("[fe80::1%eth0]:11123", ListenAddress("fe80::1%eth0", None, 11123)),
        ("eth0", ListenAddress(None, "eth0", 123)),
        ("enp3s0f1:11123", ListenAddress(None, "enp3s0f1", 11123)),
        ("eth0.100:11123", ListenAddress(None, "eth0.100", 11123)),
        ("br-lan_2.4.100", ListenAddress(None, "br-lan_2.4.100", 123)),
        (" 127.0.0.1:0 ", ListenAddress("127.0.0.1", None, 0)),
    ],
)
def test_every_way_to_write_a_listen_address_is_understood(text, expected):
    assert parse_listen_address(text) == expected


NO_ENDPOINT = "must be an address with a port, like 0.0.0.0:123"
NEITHER = "is neither an IP address nor an interface name"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", NO_ENDPOINT),
        (":", NO_ENDPOINT),
        (":123", NO_ENDPOINT),
        ("0.0.0.0:", NO_ENDPOINT),
        ("eth0:ntp", NO_ENDPOINT),
        ("eth0:123456", NO_ENDPOINT),
        ("127.0.0.1:١٢٣", NO_ENDPOINT),
        ("[::1", NO_ENDPOINT),
        ("[::1:123", NO_ENDPOINT),
        ("::1]:123", NO_ENDPOINT),
        ("[::1]:123:4", NO_ENDPOINT),
        ("127.0.0.1:123\0", NO_ENDPOINT),
        ("[fe80::1%\x1b(0]:123", NO_ENDPOINT),
        ("eth0:65536", "port 65536 is above 65535"),
        ("[eth0]:123", "brackets are for IPv6 addresses only"),
        ("[192.0.2.1]:123", "brackets are for IPv6 addresses only"),
        ("1.2.3:123", f'"1.2.3" {NEITHER}'),
        ("256.0.0.1", f'"256.0.0.1" {NEITHER}'),
        ("time.example.org:123", f'"time.example.org" {NEITHER} (host names are not looked up)'),
        ("::12345", f'"::12345" {NEITHER}'),
        ("fe80::zz", f'"fe80::zz" {NEITHER}'),
        ("x" * 16, f'"{"x" * 16}" {NEITHER}'),
        ("eth 0", f'"eth 0" {NEITHER}'),
    ],
)
def test_anything_else_is_told_what_is_wrong_with_it(text, complaint):
    with pytest.raises(ValueError) as refused:  # noqa: PT011 - the text is compared below
        parse_listen_address(text)
    assert str(refused.value).startswith(complaint)
    assert str(refused.value).isprintable()


@pytest.mark.parametrize("text", ["0.0.0.0:123", "[::1]:11123", "[fe80::1%eth0]:123", "eth0:123", "eth0.100:123"])
def test_a_listen_address_is_shown_as_it_would_be_written(text):
    assert str(parse_listen_address(text)) == text


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("NTP.Example.net", ServerAddress("ntp.example.net")),
        ("ntp_1.example.net.:1123", ServerAddress("ntp_1.example.net.", 1123)),
        ("192.0.2.1:11123", ServerAddress("192.0.2.1", 11123)),
        ("[2001:DB8:0::1]:11123", ServerAddress("2001:db8::1", 11123)),
        ("[::1]", ServerAddress("::1")),
        ("fe80::1%eth0", ServerAddress("fe80::1%eth0")),
    ],
)
def test_a_server_is_a_host_and_a_port(text: str, address: ServerAddress) -> None:
    assert parse_server_address(text) == address
    assert parse_server_address(str(address)) == address


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":123",
        "[]:123",
        "host:ntp",
        "host:0",
        "host:65536",
        "host:²",
        "[::1",
        "[::1]123",
        "a b",
        "a..b",
        "300.1.1.1",
    ],
)
def test_what_is_no_server_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"must be a server like|is neither a host name nor|port 0"):
        parse_server_address(text)
