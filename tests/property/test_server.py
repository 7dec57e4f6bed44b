"""The fast look-ups and the one-integer token bucket against slow, obvious ones."""

from fractions import Fraction
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from hypothesis import given
from hypothesis import strategies as st

from ntp_usg.core.base.instants import NS_PER_SECOND, MonoNs
from ntp_usg.core.server.access import NetworkSet
from ntp_usg.core.server.ratelimit import RateLimit

# Few bits that vary, so that networks meet addresses and each other.
ipv4 = st.integers(0, 255).map(lambda bits: IPv4Address(bits << 24 | bits))
ipv6 = st.integers(0, 255).map(lambda bits: IPv6Address((0x2001 << 112) | bits << 64 | bits))
networks = st.one_of(
    st.builds(lambda address, bits: IPv4Network((address, bits), strict=False), ipv4, st.integers(0, 32)),
    st.builds(lambda address, bits: IPv6Network((address, bits), strict=False), ipv6, st.integers(0, 128)),
)


@given(st.lists(networks, max_size=20, unique=True), st.one_of(ipv4, ipv6))
def test_a_look_up_finds_the_longest_of_the_networks_that_contain_the_address(
    listed: list[IPv4Network | IPv6Network], address: IPv4Address | IPv6Address
) -> None:
    containing = [network for network in listed if address in network]
    longest = max(containing, key=lambda network: network.prefixlen, default=None)
    assert NetworkSet(map(str, listed)).match(address.packed) == (None if longest is None else str(longest))


@given(
    rate=st.sampled_from([Fraction(1, 10), Fraction(1), Fraction(8), Fraction(100)]),
    burst=st.integers(1, 20),
    gaps=st.lists(st.integers(0, 2 * NS_PER_SECOND), max_size=100),
)
def test_the_rate_limit_admits_exactly_what_a_counting_token_bucket_admits(
    rate: Fraction, burst: int, gaps: list[int]
) -> None:
    limit, due = RateLimit(float(rate), burst), 0
    tokens, now = Fraction(burst), 0
    for gap in gaps:
        now += gap
        tokens = min(Fraction(burst), tokens + rate * gap / NS_PER_SECOND)
        expected = tokens >= 1
        tokens -= expected
        after = limit.admit(due, MonoNs(now))
        assert (after is not None) is expected
        due = due if after is None else after
