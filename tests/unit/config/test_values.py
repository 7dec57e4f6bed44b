import pytest

from ntp_usg.config.models import ServerSettings
from ntp_usg.config.values import listen_address, network, parse_duration, shown, web_address


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("250us", 250e-6),
        ("250 µs", 250e-6),
        ("10ms", 0.01),
        ("100ns", 1e-7),
        ("1.5s", 1.5),
        ("2min", 120.0),
        ("1h", 3600.0),
        (5, 5.0),
        (0.25, 0.25),
    ],
)
def test_durations(value: object, seconds: float):
    assert parse_duration(value) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "value",
    [
        "",
        "10",
        "ms",
        "-1s",
        "0s",
        "1e3s",
        "10 parsecs",
        "1s ",
        "٣s",
        0,
        -1,
        True,
        10**400,
        float("nan"),
        float("inf"),
        [],
    ],
)
def test_what_is_no_duration(value: object):
    with pytest.raises(ValueError, match="must be a duration above zero"):
        parse_duration(value)


def test_a_duration_beyond_all_numbers_is_refused():
    with pytest.raises(ValueError, match="must be a duration above zero"):
        parse_duration("9" * 400 + "s")


@pytest.mark.parametrize(
    ("text", "spelling"),
    [
        ("192.0.2.1", "192.0.2.1:123"),
        ("2001:DB8:0::1", "[2001:db8::1]:123"),
        ("eth0.100", "eth0.100:123"),
    ],
)
def test_listen_addresses_get_one_spelling(text: str, spelling: str):
    assert listen_address(text) == spelling


def test_http_listens_on_addresses_only():
    assert [web_address(text) for text in ("127.0.0.1", "[::1]:9100")] == ["127.0.0.1:8080", "[::1]:9100"]
    with pytest.raises(ValueError, match='"localhost" is not an IP address'):
        web_address("localhost:8080")


@pytest.mark.parametrize(
    ("text", "spelling"),
    [
        ("10.0.0.0/8", "10.0.0.0/8"),
        ("192.0.2.7", "192.0.2.7/32"),
        ("2001:DB8::/32", "2001:db8::/32"),
        ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
    ],
)
def test_networks_get_one_spelling(text: str, spelling: str):
    assert network(text) == spelling


def test_a_network_with_host_bits_is_told_the_network_meant():
    with pytest.raises(ValueError, match=r'"172\.16.0.1/12" lies in 172.16.0.0/12$'):
        network("172.16.0.1/12")


@pytest.mark.parametrize("text", ["", "example.com", "10.0.0.0/33", "10.0.0.0/-1", "fe80::1%eth0"])
def test_what_is_no_network(text: str):
    with pytest.raises(ValueError):  # noqa: PT011 - the words belong to core.server.access
        network(text)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ('a"b\n', r'"a\"b\n"'),
        ("50 \u00b5s", '"50 \u00b5s"'),
        ("\udcff\u202e", r'"\U0000DCFF\U0000202E"'),
        (True, "true"),
        (1.5, "1.5"),
        (1 << 64, "a number that is far too large"),
        ([1], "a list"),
        ({"a": 1}, "a table"),
        ("x" * 1000, '"' + "x" * 56 + "..."),
    ],
)
def test_values_are_shown_as_toml_and_never_long(value: object, text: str):
    assert shown(value) == text


@pytest.mark.parametrize(
    ("written", "names"), [("eth0", ("eth0",)), (["eth0", "eno1.100"], ("eth0", "eno1.100")), ([], ())]
)
def test_interfaces_may_be_one_or_several_or_none(written: object, names: tuple[str, ...]):
    assert ServerSettings.model_validate({"xdp": written}).xdp == names
