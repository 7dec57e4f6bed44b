from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ntp_usg.core.base.verdicts import Reason
from ntp_usg.core.server.access import Access
from ntp_usg.core.server.policy import ServerPolicy
from ntp_usg.net.xdp.access_list import AccessList, Admission

ADMISSIONS = {
    None: Admission.ADMITTED,
    Reason.ACCESS_DENIED: Admission.DENIED,
    Reason.NOT_ALLOWED: Admission.NOT_ALLOWED,
    Reason.BAD_SOURCE: Admission.IMPOSSIBLE,
}

# Few distinct bits, so that networks and addresses often lie within each other.
IPV4 = st.lists(st.sampled_from([10, 0, 127, 128, 192, 224, 255]), min_size=4, max_size=4).map(bytes)
IPV6 = st.lists(st.sampled_from([0, 0, 1, 0x20, 0xFF]), min_size=16, max_size=16).map(bytes)
ADDRESSES = st.one_of(IPV4, IPV6)


@st.composite
def networks(draw: st.DrawFn) -> str:
    address = draw(ADDRESSES)
    length = draw(st.sampled_from([0, 1, 7, 8, 9, 16, 24, 31, 32] + [48, 64, 127, 128] * (len(address) == 16)))
    return str(ip_network((address, length), strict=False))


def judge(policy: ServerPolicy, address: bytes) -> Admission:
    """As the kernel does it: by the longest prefix."""
    number = int.from_bytes(address if len(address) == 16 else bytes(10) + b"\xff\xff" + address, "big")
    matches = [
        (length, Admission(value[0]))
        for key, value in AccessList(policy).entries()
        if (length := int.from_bytes(key[:4], "little")) == 0
        or number >> 128 - length == int.from_bytes(key[4:], "big") >> 128 - length
    ]
    return max(matches)[1]


@given(
    st.lists(networks(), max_size=5),
    st.one_of(st.none(), st.lists(networks(), max_size=5)),
    st.lists(ADDRESSES, min_size=1, max_size=10),
)
def test_the_longest_prefix_says_what_the_lists_say(deny, allow, addresses):
    policy = ServerPolicy(deny=tuple(deny), allow=None if allow is None else tuple(allow))
    access = Access(policy)
    for address in addresses:
        ip = ip_address(address)
        if ip.is_loopback or getattr(ip, "ipv4_mapped", None):
            continue  # the program leaves those alone
        assert judge(policy, address) is ADMISSIONS[access.refusal(address, monitoring=False)]


@pytest.mark.parametrize("text", ["192.0.2.1", "192.0.2.9", "2001:db8::1"])
def test_the_entry_of_one_address_is_what_the_lists_have_for_it(text):
    policy = ServerPolicy(deny=("192.0.2.1", "192.0.2.0/24"), allow=("2001:db8::1",))
    lists, address = AccessList(policy), ip_address(text).packed
    key, value = lists.entry(address)
    assert (key, value) in lists.entries() if value else key not in dict(lists.entries())
    assert (value is None) == (text == "192.0.2.9")
    assert value is None or judge(policy, address) == value[0]


def test_no_address_is_without_a_decision():
    lengths = {int.from_bytes(key[:4], "little") for key, _ in AccessList(ServerPolicy(allow=())).entries()}
    assert {0, 96} <= lengths


def test_a_long_list_takes_no_long_time():
    many = tuple(f"10.{high}.{low}.0/24" for high in range(100) for low in range(200))
    assert len(AccessList(ServerPolicy(deny=many)).entries()) > 20_000


def test_nonsense_is_refused():
    with pytest.raises(ValueError, match="nonsense"):
        AccessList(ServerPolicy(deny=("nonsense",)))
