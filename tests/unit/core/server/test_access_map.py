from ipaddress import ip_address, ip_network

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ntp_usg.core.server.access import Access
from ntp_usg.core.server.access_map import REASONS, UNDECIDED, AccessMap
from ntp_usg.core.server.policy import ServerPolicy

POLICIES = [
    ServerPolicy(),
    ServerPolicy(allow=()),
    ServerPolicy(allow=("192.0.2.0/24", "2001:db8::/32"), deny=("192.0.2.128/25", "2001:db8:0:1::/64")),
    ServerPolicy(deny=("0.0.0.0/1", "255.255.255.254", "2001:db8::7", "ffff::/16")),
    ServerPolicy(allow=("0.0.0.0/0", "::/0"), deny=("10.0.0.0/8",)),
]
IPV4 = ["0.0.0.0", "0.255.255.255", "1.0.0.0", "10.1.2.3", "127.255.255.255", "128.0.0.0", "192.0.1.255", "192.0.2.0"]
IPV4 += ["192.0.2.127", "192.0.2.128", "192.0.2.255", "192.0.3.0", "223.255.255.255", "224.0.0.1", "255.255.255.255"]
IPV6 = ["::", "::1", "::ffff:10.0.0.1", "2001:db7:ffff::", "2001:db8::", "2001:db8::7", "2001:db8::8"]
IPV6 += ["2001:db8:0:1::9"]
IPV6 += ["2001:db8:0:2::", "2001:db9::", "fe80::1", "feff:ffff::", "ff02::1", "ffff::", "ffff:" * 7 + "ffff"]


@pytest.mark.parametrize("policy", POLICIES, ids=range(len(POLICIES)))
def test_the_map_says_what_the_lists_say(policy: ServerPolicy):
    access = Access(policy)
    numbers = np.array([int(ip_address(text)) for text in IPV4], np.uint64)
    told = [REASONS[code] for code in AccessMap(access).judge(None, numbers).tolist()]
    assert told == [access.refusal(ip_address(text).packed, monitoring=False) for text in IPV4]


@pytest.mark.parametrize("policy", POLICIES, ids=range(len(POLICIES)))
def test_of_ipv6_it_decides_by_the_network_and_leaves_the_rest_to_the_lists(policy: ServerPolicy):
    access = Access(policy)
    numbers = [int(ip_address(text)) for text in IPV6]
    high, low = (np.array(half, np.uint64) for half in zip(*(divmod(number, 2**64) for number in numbers), strict=True))
    codes = AccessMap(access).judge(high, low).tolist()
    for text, code in zip(IPV6, codes, strict=True):
        assert code == UNDECIDED or REASONS[code] is access.refusal(ip_address(text).packed, monitoring=False), text
    assert codes[IPV6.index("::ffff:10.0.0.1")] == UNDECIDED
    assert UNDECIDED not in codes[IPV6.index("2001:db8:0:2::") :]


PREFIXES = st.builds(
    lambda packed, length: str(ip_network((packed, length), strict=False)),
    st.lists(st.sampled_from([0, 10, 127, 128, 192, 224, 240, 255]), min_size=4, max_size=4).map(bytes),
    st.integers(0, 32),
)


@given(st.lists(PREFIXES, max_size=6), st.none() | st.lists(PREFIXES, max_size=6))
def test_any_lists_of_ipv4_networks_are_mapped_exactly(deny: list[str], allow: list[str] | None):
    access = Access(ServerPolicy(deny=tuple(deny), allow=None if allow is None else tuple(allow)))
    edges = {number for border in access.borders(4) for number in (border - 1, border, border + 1)}
    numbers = sorted(number for number in edges if 0 <= number < 2**32)
    told = [REASONS[code] for code in AccessMap(access).judge(None, np.array(numbers, np.uint64)).tolist()]
    assert told == [access.refusal(number.to_bytes(4), monitoring=False) for number in numbers]
