import re
from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ntp_usg.core.base.verdicts import Reason
from ntp_usg.core.server.access import Access, NetworkSet, _parse_quickly, _parse_thoroughly, parse_network, unmapped
from ntp_usg.core.server.policy import ServerPolicy


def refusal(policy: ServerPolicy, address: str, *, monitoring: bool = False) -> Reason | None:
    return Access(policy).refusal(unmapped(ip_address(address).packed), monitoring=monitoring)


@pytest.mark.parametrize(
    ("text", "network"),
    [
        ("10.0.0.0/8", "10.0.0.0/8"),
        ("192.0.2.1", "192.0.2.1/32"),
        ("2001:db8::/32", "2001:db8::/32"),
        ("::1", "::1/128"),
        ("0.0.0.0/0", "0.0.0.0/0"),
        ("::/0", "::/0"),
        ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
        ("::ffff:192.0.2.1", "192.0.2.1/32"),
        ("::ffff:0:0/96", "0.0.0.0/0"),
    ],
)
def test_networks_are_read_as_people_write_them(text: str, network: str) -> None:
    assert parse_network(text) == ip_network(network)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("localhost", "'localhost' does not appear to be"),
        ("", "'' does not appear to be"),
        ("10.0.0.0/33", "'10.0.0.0/33' does not appear to be"),
        ("192.168.1", "write it like 192.0.2.0/24"),
        ("10.0.0.1/8", "10.0.0.1/8 has host bits set"),
        ("fe80::1%eth0", "names an interface"),
    ],
)
def test_a_wrong_network_is_refused_with_a_sentence(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=re.escape(says)):
        parse_network(text)


def test_the_longest_prefix_is_found_and_named_as_it_was_written() -> None:
    networks = NetworkSet(("192.0.2.0/24", "0.0.0.0/0", "192.0.2.64/26", "::ffff:198.51.100.0/120", "2001:db8::/32"))
    found = {
        "192.0.2.65": "192.0.2.64/26",
        "192.0.2.1": "192.0.2.0/24",
        "203.0.113.1": "0.0.0.0/0",
        "198.51.100.1": "::ffff:198.51.100.0/120",
        "2001:db8::1": "2001:db8::/32",
        "2001:db9::1": None,
    }
    assert {address: networks.match(ip_address(address).packed) for address in found} == found


def test_deny_comes_first() -> None:
    policy = ServerPolicy(allow=("192.0.2.1",), deny=("192.0.2.0/24",))
    assert refusal(policy, "192.0.2.1") is Reason.ACCESS_DENIED


def test_no_allow_list_is_everybody_and_an_empty_one_nobody() -> None:
    assert refusal(ServerPolicy(allow=None), "203.0.113.1") is None
    assert refusal(ServerPolicy(allow=()), "203.0.113.1") is Reason.NOT_ALLOWED


@pytest.mark.parametrize("address", ["10.1.2.3", "::ffff:10.1.2.3"])
def test_ipv4_rules_hold_for_mapped_addresses(address: str) -> None:
    assert refusal(ServerPolicy(deny=("10.0.0.0/8",)), address) is Reason.ACCESS_DENIED
    assert refusal(ServerPolicy(allow=("10.0.0.0/8",)), address) is None
    assert refusal(ServerPolicy(allow=("::/0",)), address) is Reason.NOT_ALLOWED


def test_monitoring_needs_an_entry_of_its_own() -> None:
    policy = ServerPolicy(allow=("192.0.2.0/24",), monitor=("192.0.2.1", "198.51.100.1"))
    assert refusal(policy, "192.0.2.1", monitoring=True) is None
    assert refusal(policy, "192.0.2.2", monitoring=True) is Reason.MONITOR_DENIED
    assert refusal(policy, "198.51.100.1", monitoring=True) is Reason.NOT_ALLOWED


def test_by_default_only_this_machine_may_monitor() -> None:
    assert refusal(ServerPolicy(), "127.0.0.1", monitoring=True) is None
    assert refusal(ServerPolicy(), "::1", monitoring=True) is None
    assert refusal(ServerPolicy(), "192.0.2.1", monitoring=True) is Reason.MONITOR_DENIED


@pytest.mark.parametrize("address", ["0.0.0.0", "224.0.1.1", "255.255.255.255", "::", "ff02::1", "::ffff:224.0.1.1"])
def test_an_address_that_no_client_can_have_is_refused_even_if_allowed(address: str) -> None:
    assert refusal(ServerPolicy(allow=("0.0.0.0/0", "::/0")), address) is Reason.BAD_SOURCE


PLAIN = st.builds(
    lambda octets, length: ".".join(map(str, octets)) + f"/{length}",
    st.lists(st.sampled_from([0, 1, 10, 128, 255, 256, 1000]), min_size=4, max_size=4),
    st.integers(0, 40),
)


@given(PLAIN | st.text("0123456789./", max_size=20))
def test_the_quick_way_to_read_a_network_reads_what_the_thorough_one_does(text: str) -> None:
    try:
        thorough = _parse_thoroughly(text)
    except ValueError:
        thorough = None
    assert _parse_quickly(text) in (None, thorough)


def test_networks_in_their_one_spelling_take_the_quick_way() -> None:
    assert _parse_quickly("192.0.2.128/25") == _parse_thoroughly("192.0.2.128/25")
    assert _parse_quickly("192.0.2.1/25") is None
