import struct
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ntp_usg.core.base.instants import HostNs, MonoNs, WallNs
from ntp_usg.core.base.mapping import ClockMapping
from ntp_usg.core.base.snapshots import Leap, ServingState
from ntp_usg.core.wire.timestamps import from_ntp, to_short
from ntp_usg.net.xdp.state import LIFETIME_NS, STATE_BYTES, build_state

HOST, NOW, TAI = HostNs(1_771_243_200_123_456_789), MonoNs(100_000_000_000), 37_000_000_000
MIDNIGHT = WallNs(1_771_286_400_000_000_000)
GOOD = ServingState(
    leap=Leap.NONE,
    stratum=1,
    root_dispersion=1e-6,
    reference_id=b"GPS\0",
    reference_time=WallNs(HOST - 1),
    as_of=NOW,
    expires_at=MonoNs(NOW + 64_000_000_000),
    host_minus_mono_ns=HOST - NOW,
)


class Slot:
    """What the program reads, and its arithmetic in Python."""

    def __init__(self, state: ServingState, host: HostNs = HOST, now: MonoNs = NOW) -> None:
        data = build_state(7, state, host, now, TAI)
        assert len(data) == STATE_BYTES
        words = struct.unpack("<9Qq4Q", data)
        self.tai_base, self.ntp_base, self.tai_minus_monotonic, self.lifetime = words[4:8]
        self.rate, self.slew_rate, self.slew_ns = words[8:11]
        self.dispersion, self.dispersion_rate, self.check = words[11:]

    def wall(self, host: int) -> WallNs:
        elapsed = host + TAI - self.tai_base
        assert 0 <= elapsed < self.lifetime <= 2**32
        slewing = min(elapsed, self.slew_ns)
        ntp = self.ntp_base + (elapsed * self.rate >> 29) + (slewing * self.slew_rate >> 29)
        return from_ntp(ntp % 2**64, WallNs(host))

    def root_dispersion(self, host: int) -> int:
        grown = self.dispersion + (host + TAI - self.tai_base) * self.dispersion_rate
        assert grown < 2**64
        return int(grown + 2**36 - 1 >> 36)


@given(
    mapping=st.builds(
        ClockMapping,
        base_ns=st.integers(-10_000_000_000, 5_000_000_000).map(lambda ago: HOST + ago),
        offset_ns=st.integers(-(10**18), 10**18),
        rate=st.floats(-1e-3, 1e-3),
        slew_rate=st.floats(-0.1, 0.1),
        slew_ns=st.integers(0, 10**11),
    ),
    later=st.integers(0, LIFETIME_NS - 1),
)
def test_for_its_lifetime_it_tells_the_time_of_the_mapping(mapping, later):
    slot = Slot(replace(GOOD, mapping=mapping))
    start = max(HOST, mapping.base_ns)
    assert slot.wall(start + later) - mapping.wall(HostNs(start + later)) in range(-3, 4)


@given(
    dispersion=st.floats(0, 900),
    rate=st.floats(0, 1e-3),
    later=st.integers(0, LIFETIME_NS - 1),
)
def test_the_dispersion_grows_as_promised_and_is_never_told_smaller(dispersion, rate, later):
    slot = Slot(replace(GOOD, root_dispersion=dispersion, dispersion_rate=rate))
    right = to_short(dispersion + rate * later / 1e9)
    assert slot.root_dispersion(HOST + later) - right in (0, 1, 2)


@pytest.mark.parametrize(
    "change",
    [
        {"leap": Leap.UNSYNCHRONISED},
        {"stratum": 16},
        {"expires_at": NOW},
        {"root_dispersion": 1e9},
        {"root_dispersion": float("nan")},
        {"dispersion_rate": float("inf")},
    ],
    ids=str,
)
def test_what_may_not_be_served_has_no_lifetime(change):
    assert Slot(replace(GOOD, **change)).lifetime == 0


def test_it_lives_no_longer_than_the_state():
    assert Slot(GOOD).lifetime == LIFETIME_NS
    assert Slot(replace(GOOD, expires_at=MonoNs(NOW + 1_500_000_000))).lifetime == 1_500_000_000


@pytest.mark.parametrize("leap", [Leap.INSERT, Leap.DELETE])
def test_before_a_leap_second_it_ends_before_the_count_jumps(leap):
    for left, lifetime in ((10.0, LIFETIME_NS), (5.0, 3_000_000_000), (2.0, 0), (0.5, 0)):
        host = HostNs(MIDNIGHT - round(left * 1e9))
        assert Slot(replace(GOOD, leap=leap), host).lifetime == lifetime


def test_it_knows_how_the_clocks_stood_to_each_other():
    assert Slot(GOOD).tai_minus_monotonic == HOST - NOW + TAI


def test_any_change_to_a_word_shows_in_the_check():
    """Two states that differ in one word never have the same check, so that half of each is found out."""
    checks = {Slot(replace(GOOD, reference_id=bytes([number, 0, 0, 0]))).check for number in range(256)}
    assert len(checks) == 256
