"""The client association against anything that a network may do to it."""

import random
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from ntp_usg.core.associations.client import ClientAssociation
from ntp_usg.core.associations.schedule import BURST_SPACING, MOST_IN_A_SPELL, SPELL
from ntp_usg.core.associations.settings import AssociationSettings
from ntp_usg.core.base.instants import NS_PER_SECOND, MonoNs, RawNs, WallNs, nanoseconds
from ntp_usg.core.base.samples import Exchange
from ntp_usg.core.base.snapshots import Leap
from ntp_usg.core.base.verdicts import Reason
from ntp_usg.core.wire.header import Header, Mode, build_header, parse_header
from ntp_usg.core.wire.timestamps import to_ntp

NOW_NS = 1_800_000_000 * NS_PER_SECOND
GOOD = Header(mode=Mode.SERVER, stratum=1, precision=-20, reference_id=b"GPS\0")

settings = st.builds(
    lambda polls, **others: AssociationSettings(name="x", min_poll=min(polls), max_poll=max(polls), **others),
    st.tuples(st.integers(-7, 17), st.integers(-7, 17)),
    iburst=st.booleans(),
    burst=st.booleans(),
)
headers = st.builds(
    Header,
    leap=st.sampled_from([Leap.NONE, Leap.NONE, Leap.UNSYNCHRONISED]),
    version=st.integers(1, 4),
    mode=st.sampled_from([Mode.SERVER, Mode.SERVER, *Mode]),
    stratum=st.sampled_from([0, 1, 2, 15, 16, 255]),
    poll=st.integers(-128, 127),
    precision=st.integers(-128, 127),
    root_delay=st.floats(0, 65535),
    root_dispersion=st.floats(0, 65535),
    reference_id=st.sampled_from([b"RATE", b"DENY", b"RSTR", b"INIT", b"GPS\0"]),
    reference_timestamp=st.integers(0, 2**64 - 1),
    receive_timestamp=st.integers(0, 2**64 - 1),
    transmit_timestamp=st.integers(0, 2**64 - 1),
)


def start(chosen: AssociationSettings) -> ClientAssociation:
    return ClientAssociation(chosen, random.Random(1).getrandbits, MonoNs(0))


@given(settings, st.lists(st.binary(max_size=120) | headers, max_size=20), st.data())
def test_whatever_comes_ends_in_an_exchange_or_a_reason(
    chosen: AssociationSettings, arrivals: list[bytes | Header], data: st.DataObject
) -> None:
    association, origin = start(chosen), 0
    for arrival in arrivals:
        now = max(association.deadline(), 0)
        if request := association.timer(MonoNs(now)):
            origin = parse_header(request).transmit_timestamp
            association.sent(RawNs(data.draw(st.integers(-(10**19), 10**19))))
        packet = arrival if isinstance(arrival, bytes) else build_header(replace(arrival, origin_timestamp=origin))
        result = association.receive(packet, RawNs(data.draw(st.integers(-(10**19), 10**19))), MonoNs(now))
        assert isinstance(result, Exchange | Reason)
        assert 0 <= association.reach <= 0xFF
        assert chosen.min_poll <= association.poll <= chosen.max_poll


@given(st.lists(st.sampled_from(["ask", "send", "answer", "earlier", "random", "again"]), max_size=40))
def test_only_the_first_answer_to_the_latest_request_that_left_is_ever_used(steps: list[str]) -> None:
    association, origins = start(AssociationSettings(name="x", min_poll=0)), [12345]
    now, asked_at, expected = MonoNs(0), MonoNs(0), False
    left = False
    for step in steps:
        now = MonoNs(now + 1_000_000)
        if step == "ask":
            asked_at = now = MonoNs(max(now, association.deadline()))
            request = association.timer(now)
            assert request is not None
            origins.append(parse_header(request).transmit_timestamp)
            left, expected = False, True
        elif step == "send":
            association.sent(RawNs(NOW_NS + asked_at))
            left = True
        else:
            origin = {"earlier": origins[len(origins) // 2 - 1], "random": 1}.get(step, origins[-1])
            time = to_ntp(WallNs(NOW_NS + asked_at))
            packet = replace(GOOD, origin_timestamp=origin, receive_timestamp=time, transmit_timestamp=time)
            arrival = RawNs(NOW_NS + min(now, asked_at + 10**9))
            result = association.receive(build_header(packet), arrival, now)
            usable = expected and left and origin == origins[-1]
            assert isinstance(result, Exchange) == usable
            expected = expected and not usable


@given(
    ahead=st.integers(-60 * 365 * 86400 * 10**9, 60 * 365 * 86400 * 10**9),
    out=st.integers(0, 10**9),
    held=st.integers(0, 10**9),
    back=st.integers(0, 10**9),
)
def test_the_truth_lies_within_half_the_delay_of_the_measurement(ahead: int, out: int, held: int, back: int) -> None:
    association = start(AssociationSettings(name="x"))
    now = association.deadline()
    request = association.timer(now)
    assert request is not None
    association.sent(RawNs(NOW_NS + now))
    answer = replace(
        GOOD,
        origin_timestamp=parse_header(request).transmit_timestamp,
        receive_timestamp=to_ntp(WallNs(NOW_NS + now + out + ahead)),
        transmit_timestamp=to_ntp(WallNs(NOW_NS + now + out + held + ahead)),
    )
    arrival = MonoNs(now + out + held + back)
    exchange = association.receive(build_header(answer), RawNs(NOW_NS + arrival), arrival)
    assert isinstance(exchange, Exchange)
    assert abs(exchange.sample.delay - (out + back) / 1e9) < 1.1e-6
    assert abs(exchange.sample.offset_ns - ahead) <= (out + back) / 2 + 3


@given(settings, st.lists(st.booleans(), max_size=40))
def test_requests_are_never_closer_than_a_burst_or_the_poll_allows(
    chosen: AssociationSettings, answered: list[bool]
) -> None:
    association, last = start(chosen), None
    for answer in answered:
        now = association.deadline()
        if last is not None:
            assert now - last >= nanoseconds(min(BURST_SPACING, 2.0**association.poll))
        last = now
        request = association.timer(now)
        assert request is not None
        association.sent(RawNs(NOW_NS + now))
        if answer:
            time = to_ntp(WallNs(NOW_NS + now))
            origin = parse_header(request).transmit_timestamp
            packet = replace(GOOD, origin_timestamp=origin, receive_timestamp=time, transmit_timestamp=time)
            assert isinstance(association.receive(build_header(packet), RawNs(NOW_NS + now), now), Exchange)


@given(
    st.builds(AssociationSettings, name=st.just("x"), min_poll=st.integers(3, 6), iburst=st.booleans()),
    st.lists(st.sampled_from(["answer", "lose", "complain", "hurry", "start again", "return", "move"]), max_size=200),
)
def test_a_server_never_gets_more_requests_in_two_minutes_than_rate_limits_bear(
    chosen: AssociationSettings, events: list[str]
) -> None:
    association, asked_at = start(chosen), []
    for event in events:
        now = association.deadline()
        request = association.timer(now)
        assert request is not None
        asked_at.append(now)
        association.sent(RawNs(NOW_NS + now))
        time, origin = to_ntp(WallNs(NOW_NS + now)), parse_header(request).transmit_timestamp
        answer = replace(GOOD, origin_timestamp=origin, receive_timestamp=time, transmit_timestamp=time)
        match event:
            case "answer":
                association.receive(build_header(answer), RawNs(NOW_NS + now), now)
            case "complain":
                complaint = replace(answer, stratum=0, reference_id=b"RATE")
                association.receive(build_header(complaint), RawNs(NOW_NS + now), now)
            case "hurry":
                association.hurry()
            case "start again":
                association.start_again()
            case "return":
                association.network_returned(now)
            case "move":
                association.moved()
    for earlier, later in zip(asked_at, asked_at[MOST_IN_A_SPELL:], strict=False):
        assert later - earlier >= nanoseconds(SPELL)
