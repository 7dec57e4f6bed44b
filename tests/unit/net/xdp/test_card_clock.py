import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ntp_usg.core.base.errors import DeviceError, WireError
from ntp_usg.core.base.instants import HostNs
from ntp_usg.core.receivers.phc import CrossStamp
from ntp_usg.net.xdp import card_clock
from ntp_usg.net.xdp.card_clock import CARD_BYTES, CardClock, CardLine
from ntp_usg.net.xdp.state import LIFETIME_NS, check_words

SECOND = 1_000_000_000
HOST, TAI_OFFSET = 1_771_243_200 * SECOND, 37 * SECOND
CARD = 5 * SECOND
"""What the card shows at HOST: its clock need not be set."""


class Entry:
    """What the program reads, and its arithmetic in Python."""

    def __init__(self, data: bytes) -> None:
        assert len(data) == CARD_BYTES
        self.card_base, self.tai_base, self.drift, self.lifetime, check = struct.unpack("<QQqQQ", data)
        assert check == check_words(list(struct.unpack("<4Q", data[:32])))

    def host(self, card_ns: int) -> int:
        elapsed = card_ns - self.card_base
        assert abs(elapsed) < self.lifetime <= 2**32
        assert abs(elapsed * self.drift) < 2**63
        tai: int = self.tai_base + elapsed + (elapsed * self.drift >> 40)
        return tai - TAI_OFFSET


class Clocks:
    """A card's clock beside the host's, whose rate relative to it may change."""

    def __init__(self, drift: float = 0.0) -> None:
        self.host, self.card, self.drift = HOST, CARD, drift
        self.line = CardLine()

    def elapse(self, seconds: float) -> None:
        passed = round(seconds * SECOND)
        self.card += passed
        self.host += passed + round(passed * self.drift)

    def read(self, width: int = 0, place: float = 0.5) -> bytes | None:
        """Look at the card so far into a reading that takes `width` ns."""
        before = self.host - round(width * place)
        return self.line.compare(CrossStamp(HostNs(before), self.card, HostNs(before + width)), TAI_OFFSET)

    def compare(self, width: int = 0, place: float = 0.5) -> Entry:
        """The same, where it must tell something."""
        data = self.read(width, place)
        assert data is not None
        return Entry(data)

    def settle(self) -> None:
        for _ in range(5):
            self.elapse(1)
            entry = self.compare()
        assert entry.lifetime == LIFETIME_NS


@given(
    drift=st.floats(-3e-4, 3e-4),
    wander=st.floats(0, 1e-6),
    width=st.integers(0, 20_000),
    turns=st.lists(st.tuples(st.floats(0.9, 1.1), st.floats(-1, 1), st.floats(0, 1)), min_size=2, max_size=12),
)
def test_between_two_comparisons_the_line_stays_near_clocks_that_drift_and_wander(drift, wander, width, turns):
    clocks = Clocks(drift)
    assert clocks.compare(width, turns[0][2]).lifetime == 0
    entry: Entry | None = None
    for seconds, change, place in turns:
        clocks.elapse(seconds)
        if entry is not None:
            assert abs(entry.host(clocks.card) - clocks.host) <= 2 * width + 6 * wander * SECOND + 3
        entry = clocks.compare(width, place)
        assert entry.lifetime == LIFETIME_NS
        clocks.drift += wander * change


def test_the_line_is_exact_where_the_clocks_are():
    clocks = Clocks(drift=-1.25e-4)
    clocks.settle()
    clocks.elapse(1)
    entry = clocks.compare()
    for ahead in (-0.001, 0.001, 0.5, 3.4):
        clocks.elapse(ahead)
        assert abs(entry.host(clocks.card) - clocks.host) <= 2


def test_one_comparison_makes_no_line():
    clocks = Clocks()
    assert clocks.compare().lifetime == 0
    clocks.elapse(1)
    assert clocks.compare().lifetime == LIFETIME_NS


def test_what_tells_too_little_changes_nothing():
    clocks = Clocks()
    clocks.settle()
    assert clocks.read() is None, "no time has gone by"
    clocks.elapse(0.1)
    assert clocks.read() is None, "too soon"
    clocks.elapse(0.9)
    assert clocks.read(width=100_001) is None, "too wide"
    assert clocks.read(width=100_000) is not None


@pytest.mark.parametrize("step", [50_000, -50_000, 10 * SECOND, -10 * SECOND, -(10**15), 10**15])
def test_after_a_step_of_either_clock_the_line_begins_anew(step):
    for clock in ("card", "host"):
        clocks = Clocks()
        clocks.settle()
        clocks.elapse(1)
        setattr(clocks, clock, max(getattr(clocks, clock) + step, 0))
        assert clocks.compare().lifetime == 0
        clocks.elapse(1)
        entry = clocks.compare()
        assert entry.lifetime == LIFETIME_NS
        assert entry.host(clocks.card) == clocks.host


def test_while_the_hosts_clock_is_slewed_fast_the_line_begins_anew():
    clocks = Clocks()
    clocks.settle()
    clocks.drift = 1e-4
    clocks.elapse(1)
    assert clocks.compare().lifetime == 0


def test_after_a_long_pause_the_line_begins_anew():
    clocks = Clocks()
    clocks.settle()
    clocks.elapse(30)
    assert clocks.compare().lifetime == 0


@pytest.mark.parametrize("drift", [2e-3, -2e-3])
def test_clocks_that_part_too_fast_make_no_line(drift):
    clocks = Clocks(drift)
    for _ in range(5):
        clocks.elapse(1)
        assert clocks.compare().lifetime == 0


class Part:
    """Stands for a device, or for stamps that are switched on."""

    def __init__(self, *stamps: CrossStamp) -> None:
        self.stamps, self.closed = stamps, False

    def compare(self, samples: int) -> tuple[CrossStamp, ...]:
        assert samples > 1
        return self.stamps

    def close(self) -> None:
        self.closed = True


def stamp(width: int, late: int = 0) -> CrossStamp:
    return CrossStamp(HostNs(HOST), CARD + late, HostNs(HOST + width))


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch) -> Part:
    part = Part(stamp(5000), stamp(300), stamp(9000))
    monkeypatch.setattr(card_clock, "find_clock", lambda name: f"clock of {name}")
    monkeypatch.setattr(card_clock, "PhcDevice", lambda path: {"clock of eth0": part}[path])
    return part


def test_a_card_is_read_by_the_tightest_of_some_stamps_and_left_as_it_was(device, monkeypatch):
    switched_on = Part()
    monkeypatch.setattr(card_clock, "ReceiveStamps", lambda name: {"eth0": switched_on}[name])
    card = CardClock("eth0")
    entry = Entry(card.compare(TAI_OFFSET) or b"")
    assert (entry.card_base, entry.tai_base) == (CARD, HOST + 150 + TAI_OFFSET)
    device.stamps = (stamp(-1),)
    with pytest.raises(WireError):
        card.compare(TAI_OFFSET)
    assert not device.closed
    card.close()
    assert device.closed
    assert switched_on.closed


def test_a_card_that_does_not_stamp_is_given_back(device, monkeypatch):
    def refuse(name: str) -> Part:
        raise DeviceError(f"{name} stamps no NTP packets")

    monkeypatch.setattr(card_clock, "ReceiveStamps", refuse)
    with pytest.raises(DeviceError, match="eth0 stamps no NTP packets"):
        CardClock("eth0")
    assert device.closed
