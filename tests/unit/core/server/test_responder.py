"""What the vectors (tests/vectors) don't show: the life of a responder, and what it remembers."""

from dataclasses import replace

import pytest

from ntp_usg.core.base.instants import NS_PER_SECOND, MonoNs, WallNs
from ntp_usg.core.base.snapshots import Leap, ServingState
from ntp_usg.core.base.verdicts import Outcome, Reason
from ntp_usg.core.server.policy import ServerPolicy
from ntp_usg.core.server.responder import Reply, Responder
from ntp_usg.core.wire.header import Header, build_header, parse_header
from ntp_usg.core.wire.timestamps import to_ntp

NOON = WallNs(1_771_243_200_000_000_000)
NOW = MonoNs(100 * NS_PER_SECOND)
CLIENT = bytes((192, 0, 2, 1))
GPS = ServingState(
    leap=Leap.NONE, stratum=1, reference_id=b"GPS\0", as_of=NOW, expires_at=MonoNs(NOW + 1000 * NS_PER_SECOND)
)
INTERLEAVED = ServerPolicy(rate_limit=False, interleaved=True)
ONCE = ServerPolicy(packets_per_second=0.001, burst_size=1)


def request(origin: int = 0, receive: int = 0, transmit: int = 0x1234) -> bytes:
    return build_header(Header(origin_timestamp=origin, receive_timestamp=receive, transmit_timestamp=transmit))


def ask(
    responder: Responder, data: bytes, *, at: float = 0.0, client: bytes = CLIENT, state: ServingState = GPS
) -> Reply:
    after = round(at * NS_PER_SECOND)
    return responder.respond(data, client, WallNs(NOON + after), state, MonoNs(NOW + after))


def depart(reply: Reply, *, at: float = 0.0) -> Header:
    return parse_header(reply.depart(WallNs(NOON + round(at * NS_PER_SECOND))))


def reason(reply: Reply) -> Reason:
    return reply.verdict.reason


def test_a_view_of_a_buffer_is_as_good_as_bytes() -> None:
    buffer = memoryview(bytearray(request() + b"\xff" * 100))[:48]
    assert Responder(ServerPolicy()).respond(buffer, CLIENT, NOON, GPS, NOW).packet is not None


def test_the_departure_is_stamped_when_the_answer_leaves() -> None:
    reply = ask(Responder(ServerPolicy()), request())
    assert reply.packet is not None
    assert reply.packet[40:] == bytes(8)
    assert depart(reply, at=0.5).transmit_timestamp == to_ntp(WallNs(NOON + NS_PER_SECOND // 2))


def test_nothing_is_remembered_of_those_who_get_no_answer() -> None:
    responder = Responder(ServerPolicy(deny=("192.0.2.0/24",)))
    assert reason(ask(responder, request())) is Reason.ACCESS_DENIED
    assert reason(ask(responder, b"\x24" + bytes(47), client=bytes((198, 51, 100, 1)))) is Reason.BAD_MODE
    assert len(responder.clients) == 0


def test_a_client_that_was_pushed_out_of_the_table_is_new_again() -> None:
    responder = Responder(replace(ONCE, max_clients=8))
    replies = [ask(responder, request(), client=bytes((192, 0, 2, number))) for number in (1, 1, *range(2, 10), 1)]
    assert [reason(reply) for reply in replies] == [Reason.BASIC, Reason.RATE_KISS, *[Reason.BASIC] * 9]


def test_one_that_comes_to_stand_by_forgives_nobody() -> None:
    responder = Responder(ONCE)
    assert reason(ask(responder, request())) is Reason.BASIC
    Responder(ONCE, responder.clients)
    assert reason(ask(responder, request(), at=0.1)) is Reason.RATE_KISS


def test_without_a_rate_limit_nobody_asks_too_often() -> None:
    responder = Responder(replace(ONCE, rate_limit=False))
    assert {reason(ask(responder, request())) for _ in range(1000)} == {Reason.BASIC}


class TestAdopting:
    def test_a_new_policy_holds_from_the_next_packet(self) -> None:
        responder = Responder(ServerPolicy())
        assert reason(ask(responder, request())) is Reason.BASIC
        policy = ServerPolicy(deny=("192.0.2.0/24",))
        responder.adopt(policy)
        assert reason(ask(responder, request())) is Reason.ACCESS_DENIED
        assert responder.policy == policy

    def test_clients_stay_known(self) -> None:
        responder = Responder(INTERLEAVED)
        depart(ask(responder, request()), at=0.001)
        responder.adopt(replace(INTERLEAVED, burst_size=3))
        assert reason(ask(responder, request(to_ntp(NOON) | 1, 5))) is Reason.INTERLEAVED

    def test_a_new_rate_starts_with_full_buckets(self) -> None:
        responder = Responder(ONCE)
        for _ in range(2):
            ask(responder, request())
        responder.adopt(replace(ONCE, burst_size=2))
        assert [reason(ask(responder, request())) for _ in range(2)] == [Reason.BASIC, Reason.BASIC]

    @pytest.mark.parametrize(
        "wrong", [{"deny": ("nonsense",)}, {"monitor": ("::/999",)}, {"burst_size": 0}, {"max_clients": 0}]
    )
    def test_a_wrong_policy_is_refused_and_changes_nothing(self, wrong: dict[str, object]) -> None:
        responder = Responder(ONCE)
        ask(responder, request())
        with pytest.raises(ValueError, match=r"."):
            responder.adopt(ServerPolicy(**{"allow": (), **wrong}))  # type: ignore[arg-type]
        assert responder.policy == ONCE
        assert reason(ask(responder, request())) is Reason.RATE_KISS


class TestInterleaving:
    def test_receive_timestamps_differ_even_if_the_clock_stands_still(self) -> None:
        responder = Responder(INTERLEAVED)
        first, second = (depart(ask(responder, request())) for _ in range(2))
        assert first.receive_timestamp != second.receive_timestamp
        assert reason(ask(responder, request(first.receive_timestamp, 5))) is Reason.BASIC

    def test_receive_timestamps_stay_in_64_bits_at_the_end_of_an_era(self) -> None:
        responder = Responder(INTERLEAVED)
        last_instant = WallNs(2_085_978_496 * NS_PER_SECOND - 1)
        first, second = (
            parse_header(responder.respond(request(), CLIENT, last_instant, GPS, NOW).depart(last_instant))
            for _ in range(2)
        )
        assert first.receive_timestamp >> 32 == 0xFFFF_FFFF
        assert second.receive_timestamp != first.receive_timestamp

    def test_an_answer_that_never_left_is_not_told_of(self) -> None:
        responder = Responder(INTERLEAVED)
        reply = ask(responder, request())
        assert reply.packet is not None
        lost = parse_header(reply.packet)
        assert reason(ask(responder, request(lost.receive_timestamp, 5), at=1.0)) is Reason.BASIC

    def test_an_interleaved_answer_that_never_left_has_used_up_the_timestamp(self) -> None:
        responder = Responder(INTERLEAVED)
        first = depart(ask(responder, request()), at=0.001)
        again = request(first.receive_timestamp, 5)
        assert [reason(ask(responder, again, at=at)) for at in (1.0, 2.0)] == [Reason.INTERLEAVED, Reason.BASIC]

    def test_answers_that_leave_together_keep_their_own_departures(self) -> None:
        responder = Responder(INTERLEAVED)
        replies = [ask(responder, request(), at=at) for at in (0.0, 0.1)]
        _, second = depart(replies[0], at=0.2), depart(replies[1], at=0.3)
        answer = depart(ask(responder, request(second.receive_timestamp, 5), at=1.0), at=1.1)
        assert answer.transmit_timestamp == to_ntp(WallNs(NOON + 3 * NS_PER_SECOND // 10)) & ~1

    def test_the_departure_told_is_the_last_reading_before_sending(self) -> None:
        responder = Responder(INTERLEAVED)
        first = depart(ask(responder, request()), at=0.25)
        second = depart(ask(responder, request(first.receive_timestamp, 5), at=1.0), at=1.5)
        third = depart(ask(responder, request(second.receive_timestamp, 6), at=2.0), at=2.5)
        assert (second.transmit_timestamp, third.transmit_timestamp) == (
            to_ntp(WallNs(NOON + NS_PER_SECOND // 4)),
            to_ntp(WallNs(NOON + 3 * NS_PER_SECOND // 2)),
        )

    def test_a_kiss_leaves_what_is_remembered_as_it_was(self) -> None:
        responder = Responder(ServerPolicy(packets_per_second=1.0, burst_size=1, interleaved=True))
        first = depart(ask(responder, request()), at=0.001)
        kiss = ask(responder, request(first.receive_timestamp, 5), at=0.5)
        depart(kiss, at=0.501)
        assert reason(kiss) is Reason.RATE_KISS
        assert reason(ask(responder, request(first.receive_timestamp, 6), at=1.5)) is Reason.INTERLEAVED

    def test_a_departure_from_before_a_step_is_not_told_after_it(self) -> None:
        responder, stepped = Responder(INTERLEAVED), replace(GPS, epoch=GPS.epoch + 1)
        before = depart(ask(responder, request()), at=0.001)
        after = ask(responder, request(before.receive_timestamp, 5), at=1.0, state=stepped)
        assert reason(after) is Reason.BASIC
        again = request(depart(after, at=1.001).receive_timestamp, 6)
        assert reason(ask(responder, again, at=2.0, state=stepped)) is Reason.INTERLEAVED

    def test_an_answer_that_leaves_after_a_step_belongs_to_the_time_before_it(self) -> None:
        responder, stepped = Responder(INTERLEAVED), replace(GPS, epoch=GPS.epoch + 1)
        late = ask(responder, request())
        depart(ask(responder, request(), at=0.1, state=stepped), at=0.2)
        received = depart(late, at=0.3).receive_timestamp
        assert reason(ask(responder, request(received, 5), at=1.0, state=stepped)) is Reason.BASIC


def test_answers_say_unsynchronised_from_the_moment_their_state_expires() -> None:
    responder = Responder(ServerPolicy())
    for now, leap in ((GPS.expires_at, Leap.NONE), (MonoNs(GPS.expires_at + 1), Leap.UNSYNCHRONISED)):
        reply = responder.respond(request(), CLIENT, NOON, GPS, now)
        assert reply.verdict.outcome is Outcome.ANSWERED
        assert depart(reply).leap is leap
