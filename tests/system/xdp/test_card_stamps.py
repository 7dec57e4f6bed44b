"""Stamps by a card that an instruction plays: it is put where the program asks the card, and always says the same."""

import struct
from collections.abc import Callable

import pytest
from tests.system.xdp.test_program import Trial, good_state, request

from ntp_usg.core.base.instants import HostNs, WallNs
from ntp_usg.core.base.mapping import ClockMapping
from ntp_usg.core.wire.header import parse_header
from ntp_usg.core.wire.timestamps import from_ntp
from ntp_usg.net.xdp import rules
from ntp_usg.net.xdp.card_clock import CARD_BYTES
from ntp_usg.net.xdp.fast_path import FastPath, tai_minus_host_ns
from ntp_usg.net.xdp.state import check_words
from ntp_usg.sysapi.bpf_object import NO_CALL
from ntp_usg.sysapi.timex import read_clocks

STAMP = 2_000_000_000
STORE_STAMP = struct.pack("<BBhi", 0x7A, 2, 0, STAMP)
"""*(u64 *)(r2 + 0) = STAMP; PROG_TEST_RUN refuses programs that ask a real card."""
LIFETIME = 4_000_000_000
MAPPINGS = [
    ClockMapping(),
    ClockMapping(offset_ns=-7_000_000_000, rate=2e-4),
    ClockMapping(offset_ns=3_000_000_000, rate=-5e-4, slew_rate=5e-4, slew_ns=10**12),
]


@pytest.fixture
def trial(open_path: Callable[..., FastPath], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Trial]:
    """`trial(instruction)`."""

    def start(instruction: bytes = STORE_STAMP) -> Trial:
        monkeypatch.setattr(rules, "NO_CALL", instruction)
        return Trial(open_path())

    return start


def line_through(tai_ns: int, *, elapsed: int = 1_000_000_000, drift: float = 0, lifetime: int = LIFETIME) -> bytes:
    """A line by which the card stamped at `tai_ns`, `elapsed` after its base."""
    scaled = round(drift * 2**40)
    line = STAMP - elapsed, tai_ns - elapsed - (elapsed * scaled >> 40), scaled, lifetime
    words = [number % 2**64 for number in line]
    return struct.pack("<5Q", *words, check_words(words))


def received(one: Trial) -> WallNs:
    """The receive timestamp of an answer."""
    answer = one.ask(request())
    assert answer is not None
    header, near = parse_header(answer), WallNs(read_clocks()[0])
    at, departed = from_ntp(header.receive_timestamp, near), from_ntp(header.transmit_timestamp, near)
    assert 0 <= departed - at <= 2_000_000
    return at


@pytest.mark.parametrize("mapping", MAPPINGS, ids=["identity", "rate", "slew"])
@pytest.mark.parametrize("drift", [0, 5e-4, -5e-4, 1e-7])
@pytest.mark.parametrize("elapsed", [-500_000, 0, 1, 999_999_999, LIFETIME - 2_000_000])
def test_the_answer_tells_when_the_card_received_it(trial, mapping, drift, elapsed):
    one = trial()
    one.path.publish(good_state(mapping=mapping))
    for _ in range(50):  # a process that is interrupted comes too late
        host = HostNs(read_clocks()[0] - 200_000)
        one.path.card_is(1, line_through(host + tai_minus_host_ns(), elapsed=elapsed, drift=drift))
        told = received(one)
        if one.path.stamped():
            assert told - mapping.wall(host) in range(-5, 6)
            return
    pytest.fail("no stamp was ever used")


def waiting(nanoseconds: int, **changes: int) -> Callable[[], bytes]:
    return lambda: line_through(read_clocks()[0] + tai_minus_host_ns() - nanoseconds, **changes)


@pytest.mark.parametrize(
    "line",
    [
        waiting(1_100_000),
        waiting(-50_000_000),
        waiting(10**12),
        waiting(-(10**12)),
        waiting(100_000, elapsed=LIFETIME),
        waiting(100_000, elapsed=-1_100_000),
        waiting(100_000, lifetime=0),
        lambda: (line := waiting(100_000)())[:-1] + bytes([line[-1] ^ 1]),
        lambda: bytes(CARD_BYTES),
    ],
    ids=["too old", "future", "long past", "far", "expired", "before the line", "no line yet", "half", "nothing"],
)
def test_what_is_not_to_be_believed_leaves_the_programs_own_time(trial, line):
    one = trial()
    one.path.card_is(1, line())
    for _ in range(10):
        check_own_time(one)
        one.path.card_is(1, line())
    assert one.path.stamped() == 0


def test_a_card_that_nobody_has_told_of_is_not_believed(trial):
    one = trial()
    one.path.card_is(2, waiting(100_000)())
    check_own_time(one)
    assert one.path.stamped() == 0


def test_a_stamp_from_before_the_state_is_not_used(trial):
    one = trial()
    for _ in range(50):
        one.path.card_is(1, waiting(900_000)())
        one.path.publish(good_state())
        before = one.path.stamped()
        received(one)
        if one.path.stamped() == before:
            return
    pytest.fail("it was used each time")


def test_a_program_that_asks_no_card_has_its_own_time(trial):
    one = trial(NO_CALL)
    one.path.card_is(1, waiting(100_000)())
    check_own_time(one)
    assert one.path.stamped() == 0


def check_own_time(one: Trial) -> None:
    before, _ = read_clocks()
    told = received(one)
    after, _ = read_clocks()
    assert before - 1000 <= told <= after + 1000
