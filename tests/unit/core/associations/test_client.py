import random
from collections.abc import Callable
from dataclasses import replace

import pytest

from ntp_usg.core.associations.client import TRIES, ClientAssociation
from ntp_usg.core.associations.schedule import CONTENT_AFTER, FIRST_TRIES, MOST_IN_A_SPELL, SPELL
from ntp_usg.core.associations.settings import AssociationSettings
from ntp_usg.core.base.instants import NS_PER_SECOND, MonoNs, RawNs, WallNs, nanoseconds
from ntp_usg.core.base.samples import Exchange
from ntp_usg.core.base.snapshots import Leap, ServingState
from ntp_usg.core.base.verdicts import Reason
from ntp_usg.core.server.policy import ServerPolicy
from ntp_usg.core.server.responder import Responder
from ntp_usg.core.wire.header import Header, Mode, build_header, parse_header
from ntp_usg.core.wire.timestamps import from_ntp, to_ntp

NOW_NS = 1_800_000_000 * NS_PER_SECOND
"""Raw time when the monotonic clock says 0."""
GOOD = Header(
    mode=Mode.SERVER,
    stratum=1,
    precision=-20,
    root_delay=0.0,
    root_dispersion=0.001,
    reference_id=b"GPS\0",
    reference_timestamp=to_ntp(WallNs(NOW_NS)),
)


class Talk:
    """A server that answers at once over a symmetric path, and an association that asks it."""

    def __init__(self, *, random: Callable[[int], int] | None = None, ahead: float = 0.0, **settings: object) -> None:
        self.draws = 0
        self.association = ClientAssociation(
            AssociationSettings(name="server", **settings),  # type: ignore[arg-type]
            random or self._random,
            MonoNs(0),
        )
        self.ahead_ns = nanoseconds(ahead)
        self.asked_at: list[float] = []
        self.origin = 0

    def _random(self, bits: int) -> int:
        """Different each time, and small: no jitter to speak of."""
        self.draws += 1
        return self.draws % (1 << bits)

    def ask(self) -> Header:
        """Run to the next request and send it."""
        now = self.association.deadline()
        data = self.association.timer(now)
        assert data is not None
        self.now = now
        self.asked_at.append(now / NS_PER_SECOND)
        self.association.sent(RawNs(NOW_NS + now))
        request = parse_header(data)
        self.origin = request.transmit_timestamp
        return request

    def answer(self, header: Header = GOOD, delay: float = 0.02, origin: int | None = None) -> bytes:
        middle = to_ntp(WallNs(NOW_NS + self.now + nanoseconds(delay / 2) + self.ahead_ns))
        header = replace(header, origin_timestamp=self.origin if origin is None else origin)
        return build_header(replace(header, receive_timestamp=middle, transmit_timestamp=middle))

    def hear(self, header: Header = GOOD, delay: float = 0.02, origin: int | None = None) -> Exchange | Reason:
        return self.take(self.answer(header, delay, origin), delay)

    def take(self, data: bytes, delay: float = 0.02) -> Exchange | Reason:
        now = MonoNs(self.now + nanoseconds(delay))
        return self.association.receive(data, RawNs(NOW_NS + now), now)

    def gaps(self) -> list[float]:
        return [later - earlier for earlier, later in zip(self.asked_at, self.asked_at[1:], strict=False)]


def asked(**settings: object) -> Talk:
    talk = Talk(**settings)  # type: ignore[arg-type]
    talk.ask()
    return talk


def test_a_request_says_nothing_but_version_poll_and_a_random_number() -> None:
    talk = Talk(version=3)
    request = talk.ask()
    assert request == Header(version=3, mode=Mode.CLIENT, poll=6, transmit_timestamp=talk.origin)
    assert talk.origin != 0


def test_a_random_number_of_zero_is_not_sent() -> None:
    assert Talk(random=lambda _bits: 0).ask().transmit_timestamp == 1


def test_nothing_is_sent_before_the_deadline() -> None:
    association = Talk(random=lambda bits: 1 << bits - 1).association
    assert association.timer(MonoNs(association.deadline() - 1)) is None


@pytest.mark.parametrize("ahead", [0.0, 0.25, -3600.0, 60.0 * 365 * 86400, -60.0 * 365 * 86400])
def test_an_answer_is_a_measurement(ahead: float) -> None:
    talk = asked(ahead=ahead)
    exchange = talk.hear(replace(GOOD, root_delay=0.5, root_dispersion=0.25, stratum=2, reference_timestamp=0))
    assert isinstance(exchange, Exchange)
    assert exchange.sample.offset_ns == pytest.approx(ahead * 1e9, abs=2)
    assert exchange.sample.delay == pytest.approx(0.02, abs=1e-9)
    assert exchange.sample.at == NOW_NS + talk.now + 10_000_000
    assert exchange.sample.dispersion == pytest.approx(2 * 2.0**-20 + 15e-6 * 0.02)
    assert (exchange.remote.stratum, exchange.remote.root_delay, exchange.remote.root_dispersion) == (2, 0.5, 0.25)


def test_a_hint_tells_the_era_when_the_host_woke_up_in_1970() -> None:
    talk = asked()
    now = MonoNs(talk.now + 1000)
    truth = WallNs(4_000_000_000 * NS_PER_SECOND)  # 2096
    header = replace(GOOD, origin_timestamp=talk.origin, reference_timestamp=0)
    data = build_header(replace(header, receive_timestamp=to_ntp(truth), transmit_timestamp=to_ntp(truth)))
    talk.association.sent(RawNs(talk.now))
    exchange = talk.association.receive(data, RawNs(now), now, pivot=WallNs(truth - 10**18))
    assert isinstance(exchange, Exchange)
    assert exchange.sample.at + exchange.sample.offset_ns == pytest.approx(truth, abs=2)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"leap": Leap.UNSYNCHRONISED}, Reason.UNSYNCHRONISED_SERVER),
        ({"stratum": 0, "reference_id": b"INIT"}, Reason.UNSYNCHRONISED_SERVER),
        ({"stratum": 16}, Reason.UNSYNCHRONISED_SERVER),
        ({"stratum": 200}, Reason.UNSYNCHRONISED_SERVER),
        ({"mode": Mode.SYMMETRIC_PASSIVE}, Reason.NOT_AN_ANSWER),
        ({"root_dispersion": 3.1}, Reason.TOO_DISTANT),
        ({"root_delay": 6.1}, Reason.TOO_DISTANT),
        ({"precision": 2}, Reason.TOO_DISTANT),
        ({"stratum": 2, "reference_id": b"\x7f\0\0\1"}, Reason.LOOP),
        ({"stratum": 1, "reference_id": b"\x7f\0\0\1"}, Reason.LOOP),
        ({"reference_timestamp": to_ntp(WallNs(NOW_NS + 5 * NS_PER_SECOND))}, Reason.BAD_TIMESTAMPS),
    ],
)
def test_an_answer_that_cannot_be_trusted_is_refused(change: dict[str, object], reason: Reason) -> None:
    talk = asked()
    talk.association.own_reference_id = b"\x7f\0\0\1"
    assert talk.hear(replace(GOOD, **change)) is reason  # type: ignore[arg-type]
    assert talk.association.reach == 0


def test_missing_timestamps_are_refused() -> None:
    talk = asked()
    assert talk.take(build_header(replace(GOOD, origin_timestamp=talk.origin))) is Reason.BAD_TIMESTAMPS


@pytest.mark.parametrize("held", [-0.001, 0.03])
def test_a_clock_that_was_set_in_the_middle_is_noticed(held: float) -> None:
    talk = asked()
    header = parse_header(talk.answer())
    left = WallNs(from_ntp(header.receive_timestamp, WallNs(NOW_NS)) + nanoseconds(held))
    assert talk.take(build_header(replace(header, transmit_timestamp=to_ntp(left)))) is Reason.BAD_TIMESTAMPS


@pytest.mark.parametrize("jump", [0.5, -0.5])
def test_our_own_clock_set_while_we_waited_is_noticed(jump: float) -> None:
    talk = asked()
    now = MonoNs(talk.now + 20_000_000)
    data = talk.answer()
    assert talk.association.receive(data, RawNs(NOW_NS + now + nanoseconds(jump)), now) is Reason.BAD_TIMESTAMPS


def test_an_answer_that_took_seconds_is_too_late() -> None:
    assert asked().hear(delay=3.1) is Reason.TOO_LATE


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda data: data[:47], Reason.TOO_SHORT),
        (lambda data: bytes([data[0] | 0x38]) + data[1:], Reason.BAD_VERSION),
        (lambda data: data + b"odd", Reason.BAD_FORMAT),
    ],
)
def test_what_is_no_ntp_packet_leaves_the_question_open(change: Callable[[bytes], bytes], reason: Reason) -> None:
    talk = asked()
    assert talk.take(change(talk.answer())) is reason
    assert isinstance(talk.hear(), Exchange)


def test_a_second_answer_is_a_duplicate() -> None:
    talk = asked()
    talk.hear()
    assert talk.hear() is Reason.DUPLICATE


def test_an_answer_to_another_question_is_bogus_and_leaves_ours_open() -> None:
    talk = asked()
    assert talk.hear(origin=talk.origin ^ 1) is Reason.BOGUS_ORIGIN
    assert talk.hear(origin=0) is Reason.BOGUS_ORIGIN
    assert isinstance(talk.hear(), Exchange)


def test_an_answer_to_an_earlier_question_is_bogus() -> None:
    talk = asked()
    earlier = talk.origin
    talk.ask()
    assert talk.hear(origin=earlier) is Reason.BOGUS_ORIGIN


def test_no_answer_is_expected_before_the_request_left() -> None:
    talk = Talk()
    talk.now = talk.association.deadline()
    data = talk.association.timer(talk.now)
    assert data is not None
    assert talk.hear(origin=parse_header(data).transmit_timestamp) is Reason.BOGUS_ORIGIN


@pytest.mark.parametrize(("kiss", "reason"), [(b"DENY", Reason.KISS_DENY), (b"RSTR", Reason.KISS_RSTR)])
def test_a_refusal_counts_until_another_address_is_asked_which_need_not_wait(kiss: bytes, reason: Reason) -> None:
    talk = asked()
    assert talk.hear(replace(GOOD, stratum=0, reference_id=kiss)) is reason
    assert talk.association.refused is reason
    talk.ask()
    assert talk.gaps() == pytest.approx([2.0], rel=0.04)
    talk.association.moved()
    assert not talk.association.refused
    assert isinstance(talk.hear(), Exchange)


COMPLAINT = replace(GOOD, leap=Leap.UNSYNCHRONISED, stratum=0, reference_id=b"RATE")


def complained(times: int, **settings: object) -> Talk:
    """A server that has complained so often, and has just been asked once more."""
    talk = asked(**settings)
    for _ in range(times):
        assert talk.hear(COMPLAINT) is Reason.KISS_RATE
        talk.ask()
    return talk


@pytest.mark.fault(
    group="Attacks",
    kind="Somebody sends requests in our name until a server we follow complains (RATE kiss-o'-death).",
    noticed="The answer names our latest request, so it counts: the poll interval doubles, up to max_poll.",
    served="Time as before; eight usable answers in a row halve the interval again.",
)
def test_complaints_slow_us_down_to_max_poll_and_good_answers_bring_the_pace_back() -> None:
    talk = complained(0, iburst=True, min_poll=4, max_poll=7)
    polls = []
    for _ in range(5):
        talk.hear(COMPLAINT)
        polls.append(talk.association.poll)
        talk.ask()
    assert polls == [5, 6, 7, 7, 7]
    polls.clear()
    for _ in range(4 * CONTENT_AFTER):
        assert isinstance(talk.hear(), Exchange)
        polls.append(talk.association.poll)
        talk.ask()
    assert polls[::CONTENT_AFTER] == [7, 6, 5, 4]
    assert polls[-1] == 4


def test_a_server_that_complains_now_and_then_is_not_asked_faster() -> None:
    talk = complained(1, min_poll=4, max_poll=7)
    for _ in range(20):
        for answer in [GOOD] * (CONTENT_AFTER - 1) + [COMPLAINT]:
            talk.hear(answer)
            talk.ask()
    assert talk.association.poll == 7


def test_a_server_that_has_complained_gets_no_burst() -> None:
    talk = complained(1, iburst=True, min_poll=6, max_poll=9)
    for _ in range(3):
        talk.hear()
        talk.ask()
    assert talk.gaps()[1:] == pytest.approx([128.0] * 3, rel=0.04)


def test_a_complaint_of_one_address_does_not_slow_the_next_one() -> None:
    talk = complained(3)
    talk.association.moved()
    assert talk.association.poll == 6


def test_our_own_server_is_understood_when_it_answers_and_when_it_complains() -> None:
    responder = Responder(ServerPolicy(packets_per_second=0.01, burst_size=2))
    state = ServingState(leap=Leap.NONE, stratum=1, reference_id=b"GPS\0", expires_at=MonoNs(2**63 - 1))
    association = ClientAssociation(
        AssociationSettings(name="server", min_poll=0), random.Random(1).getrandbits, MonoNs(0)
    )
    results = []
    for _ in range(3):
        now = association.deadline()
        request = association.timer(now)
        assert request is not None
        association.sent(RawNs(NOW_NS + now))
        reply = responder.respond(request, bytes([127, 0, 0, 1]), WallNs(NOW_NS + now + 1000), state, now)
        answer = bytes(reply.depart(WallNs(NOW_NS + now + 2000)))
        results.append(association.receive(answer, RawNs(NOW_NS + now + 3000), now))
    assert [isinstance(result, Exchange) for result in results] == [True, True, False]
    assert results[2] is Reason.KISS_RATE


@pytest.mark.parametrize("kiss", [b"DENY", b"RSTR", b"RATE"])
def test_a_forged_kiss_changes_nothing(kiss: bytes) -> None:
    talk = asked()
    deadline = talk.association.deadline()
    forged = replace(GOOD, stratum=0, reference_id=kiss)
    assert talk.hear(forged, origin=talk.origin ^ 1) is Reason.BOGUS_ORIGIN
    assert (talk.association.poll, talk.association.deadline()) == (6, deadline)


def test_reach_remembers_the_last_eight_requests() -> None:
    talk = Talk()
    for answered in (True, False, True, True):
        talk.ask()
        if answered:
            talk.hear()
    assert talk.association.reach == 0b1011
    for _ in range(8):
        talk.ask()
    assert talk.association.reach == 0


def test_a_new_server_is_asked_quickly_then_after_a_quarter_of_the_time_since_its_first_answer() -> None:
    talk = Talk(iburst=True)
    for _ in range(23):
        talk.ask()
        talk.hear()
    ages = [at - talk.asked_at[0] for at in talk.asked_at]
    assert talk.gaps() == pytest.approx([min(max(2.0, age / 4), 64.0) for age in ages[:-1]], rel=0.04)
    assert talk.gaps()[-2:] == pytest.approx([64.0, 64.0], rel=0.04)
    assert sum(age <= 120 for age in ages) == 17


@pytest.mark.parametrize(
    ("renew", "gaps"),
    [(ClientAssociation.start_again, [2, 2, 2, 2, 2, 2.5, 3.1]), (ClientAssociation.hurry, [2, 2, 64, 64, 64, 64, 64])],
)
def test_a_known_server_is_asked_as_at_the_start_when_nothing_is_known_and_a_few_times_when_in_doubt(
    renew: Callable[[ClientAssociation], None], gaps: list[float]
) -> None:
    talk = Talk(iburst=True)
    grow_old(talk)
    hurrying = [talk.association.hurrying]
    renew(talk.association)
    hurrying.append(talk.association.hurrying)
    assert hurrying == [False, True]
    for _ in range(8):
        talk.ask()
        talk.hear()
    assert talk.gaps() == pytest.approx(gaps, rel=0.04)


def grow_old(talk: Talk) -> None:
    """Until it is asked at its poll interval."""
    for _ in range(25):
        talk.ask()
        talk.hear()
    talk.asked_at.clear()


@pytest.mark.parametrize("burst", [False, True])
def test_a_network_that_comes_and_goes_leads_to_no_flood_of_requests(burst: bool) -> None:
    talk = Talk(iburst=True, burst=burst)
    for _ in range(200):
        talk.ask()
        talk.association.network_returned(MonoNs(talk.now + 1))
    counts = [sum(0 <= at - since < SPELL for at in talk.asked_at) for since in talk.asked_at]
    assert max(counts) == MOST_IN_A_SPELL


def test_a_silent_server_is_asked_quickly_eight_times_then_patiently_then_ever_more_rarely() -> None:
    talk = Talk(iburst=True)
    for _ in range(20):
        talk.ask()
    gaps = [3.0] * (FIRST_TRIES - 1) + [64.0] * 5 + [128, 256, 512] + [1024.0] * 4
    # 3 s and not 2, because an answer may take so long
    assert talk.gaps() == pytest.approx(gaps, rel=0.04)


def test_a_server_that_comes_back_gets_a_burst_and_then_the_usual_pace() -> None:
    talk = Talk(iburst=True)
    grow_old(talk)
    for _ in range(20):
        talk.ask()
    talk.asked_at.clear()
    for _ in range(6):
        talk.ask()
        talk.hear()
    assert talk.gaps() == pytest.approx([2, 2, 2, 64, 64], rel=0.04)


def test_one_lost_answer_does_not_start_a_burst() -> None:
    talk = Talk(iburst=True)
    grow_old(talk)
    for answered in [True] * 4 + [False, True, True]:
        talk.ask()
        if answered:
            talk.hear()
    assert talk.gaps() == pytest.approx([64.0] * 6, rel=0.04)


def test_a_burst_repeats_at_each_poll_while_the_server_answers() -> None:
    talk = Talk(burst=True)
    for _ in range(6):
        talk.ask()
        talk.hear()
    assert talk.gaps() == pytest.approx([2, 2, 2, 64, 2], rel=0.04)
    for _ in range(12):
        talk.ask()
    assert talk.gaps()[-2:] == pytest.approx([64, 64], rel=0.04)


def test_the_engine_sets_the_poll_within_the_limits_and_at_once() -> None:
    talk = asked(min_poll=4, max_poll=8)
    polls = []
    for exponent in (3, 6, 12):
        talk.association.set_poll(exponent)
        polls.append(talk.association.poll)
    assert polls == [4, 6, 8]
    talk.association.set_poll(5)
    assert talk.association.deadline() - talk.now == pytest.approx(32e9, rel=0.04)


def test_a_burst_is_never_slower_than_the_poll() -> None:
    talk = Talk(iburst=True, min_poll=-2, max_poll=-2)
    for _ in range(6):
        talk.ask()
        talk.hear()
    assert talk.gaps() == pytest.approx([0.25] * 5, rel=0.04)


def test_intervals_of_less_than_a_second_work() -> None:
    talk = asked(min_poll=-4, max_poll=-4)
    talk.hear()
    assert talk.association.deadline() - talk.now == pytest.approx(2**-4 * 1e9, rel=0.04)


@pytest.mark.fault(
    group="Servers",
    kind="Requests are sent faster than the round trip to the server.",
    noticed="A request is only replaced when its answer is overdue: the next one waits for it.",
    served="Time: each answer is used, at the pace that the path allows.",
)
def test_polls_faster_than_the_path_wait_for_their_answers() -> None:
    talk = asked(min_poll=-5, max_poll=-5)
    for _ in range(20):
        assert isinstance(talk.hear(delay=0.08), Exchange)
        answered_at = talk.now + nanoseconds(0.08)
        talk.now = MonoNs(max(talk.association.deadline(), answered_at))
        data = talk.association.timer(talk.now)
        assert data is not None
        talk.association.sent(RawNs(NOW_NS + talk.now))
        talk.origin = parse_header(data).transmit_timestamp
        assert talk.now == answered_at


def test_a_lost_answer_costs_twice_the_last_round_trip_and_ever_more_in_a_row() -> None:
    talk = asked(min_poll=-5, max_poll=-5)
    for _ in range(10):
        talk.hear(delay=0.2)
        talk.ask()
    talk.asked_at = talk.asked_at[-1:]
    for _ in range(5):
        talk.ask()
    assert talk.gaps() == pytest.approx([0.4, 0.8, 1.6, 3.0, 3.0], rel=0.04)


def ask_all(talk: Talk, *answers: Header | None) -> list[bool]:
    """Whether it would rather ask another address, before each request that gets one of these answers or none."""
    given_up = []
    for answer in answers:
        given_up.append(talk.association.gives_up(talk.association.deadline()))
        talk.ask()
        if answer is not None:
            talk.hear(answer)
    return given_up


UNSET = replace(GOOD, leap=Leap.UNSYNCHRONISED)


@pytest.mark.parametrize("bad", [None, UNSET, COMPLAINT, replace(GOOD, root_dispersion=9.0)])
def test_an_address_that_never_served_is_given_up_after_one_request(bad: Header | None) -> None:
    assert ask_all(Talk(), bad, bad, bad) == [False, True, True]


@pytest.mark.parametrize("bad", [None, UNSET])
def test_an_address_that_served_is_given_up_after_several_requests_in_a_row(bad: Header | None) -> None:
    talk = Talk()
    ask_all(talk, GOOD)
    assert not any(ask_all(talk, *[bad] * (TRIES - 1), GOOD, *[bad] * TRIES))
    assert ask_all(talk, bad) == [True]


def test_nobody_is_given_up_before_the_next_request_is_due() -> None:
    talk = asked()
    assert not talk.association.gives_up(MonoNs(talk.association.deadline() - 1))


@pytest.mark.fault(
    group="Servers",
    kind="The network is gone for hours and comes back.",
    noticed="The kernel tells of the interface, address or route that is back.",
    served="Holdover, then nothing; every server without an answer is asked at once, not after its long interval.",
)
def test_when_the_network_returns_a_silent_server_is_asked_at_once_and_patiently_again() -> None:
    talk = Talk()
    for _ in range(30):
        talk.ask()
    assert talk.gaps()[-1] == pytest.approx(1024, rel=0.04)
    back = MonoNs(talk.now + 100 * NS_PER_SECOND)
    talk.association.network_returned(back)
    assert talk.association.deadline() - back < 0.2 * NS_PER_SECOND
    for _ in range(3):
        talk.ask()
    assert talk.gaps()[-2:] == pytest.approx([64, 64], rel=0.04)


def test_when_the_network_flaps_a_server_is_asked_no_faster_than_in_a_burst() -> None:
    talk = Talk()
    for _ in range(5):
        talk.ask()
        talk.association.network_returned(MonoNs(talk.now + 1))
    assert min(talk.gaps()) >= 2.0


def test_news_of_the_network_does_not_change_the_pace_of_a_server_that_answers_or_complained() -> None:
    for answer in (GOOD, COMPLAINT):
        talk = asked()
        talk.hear(answer)
        due = talk.association.deadline()
        talk.association.network_returned(MonoNs(talk.now + NS_PER_SECOND))
        assert talk.association.deadline() == due


@pytest.mark.parametrize(("share", "interval"), [(0.0, 64.0), (1.0, 66.0)])
def test_intervals_are_stretched_by_chance_and_never_shortened(share: float, interval: float) -> None:
    talk = Talk(random=lambda bits: int(share) * ((1 << bits) - 1))
    talk.ask()
    assert talk.association.deadline() - talk.now == pytest.approx(interval * 1e9, rel=1e-4)
