"""Setting up receivers of three generations: what is asked, told and read back, and what is said of it."""

import struct

import pytest

from ntp_usg.core.base.instants import NS_PER_SECOND, HostNs, MonoNs, WallNs
from ntp_usg.core.base.samples import Position
from ntp_usg.core.receivers.commands import Command, Description
from ntp_usg.core.receivers.ubx_framing import Kind, UbxFramer, build_frame
from ntp_usg.core.receivers.ubx_settings import Placement, earth_centred, parse_values
from ntp_usg.core.receivers.ubx_setup import ANSWER_WITHIN_NS, TRIES, Identity, UbxSetup, parse_version
from ntp_usg.simulate.sentences import Sky
from ntp_usg.simulate.ubx_receiver import MODELS, UbxReceiver

SECOND = WallNs(1_771_243_200 * NS_PER_SECOND)
SURVEY = Placement(survey_in_secs=600, accuracy_m=2.0)
PLACE = Position(51.4779, -0.0015, 92.4)
GREENWICH = Placement(0, 0.5, PLACE)
ALL = "timing messages on, one pulse a second on UTC, 1 Hz, stationary"


def frames_of(data):
    return UbxFramer().feed(data, HostNs(0))


def talk(receiver, placement=SURVEY, limit=200):
    """Let both talk until the setup has come to its end; what it says then."""
    setup = UbxSetup(placement)
    events = setup.start(MonoNs(0))
    for _ in range(limit):
        (event,) = events
        if isinstance(event, Description):
            assert setup.deadline is None
            return event.text
        events = []
        for frame in frames_of(receiver.hear(event.data)):
            events += setup.receive(frame, MonoNs(0))
    pytest.fail("it never comes to an end")


def commands(events):
    return [event for event in events if isinstance(event, Command)]


def changes(receiver):
    """The commands that were no questions."""
    for frame in receiver.commands:
        kind, payload = int.from_bytes(frame[2:4], "big"), frame[6:-2]
        if kind != Kind.CFG_VALGET and (len(payload) > 4 or (kind == Kind.CFG_MSG and len(payload) == 3)):
            yield kind, payload


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("6", f"u-blox 6: {ALL}"),
        ("8T", f"NEO-M8T, protocol 22: {ALL}"),
        ("8P", f"NEO-M8P, protocol 20: {ALL}"),
        ("9T", f"ZED-F9T, protocol 29: {ALL}"),
        ("10", f"u-blox 10, protocol 34: {ALL}"),
    ],
)
def test_each_generation_is_set_up_and_says_what_it_is(model, said):
    receiver = UbxReceiver(MODELS[model])
    assert talk(receiver) == said
    kinds = [frame.kind for frame in frames_of(receiver.say(SECOND, Sky()))]
    assert {Kind.NAV_STATUS, Kind.TIM_TP} < set(kinds)
    assert Kind.NAV_TIMEUTC in kinds if model == "6" else Kind.NAV_PVT in kinds
    assert b"$G" not in receiver.say(SECOND, Sky()), "NMEA is still on"


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("placement", [SURVEY, GREENWICH])
def test_what_is_set_up_already_is_left_alone(model, placement):
    receiver = UbxReceiver(MODELS[model])
    first = talk(receiver, placement)
    receiver.commands.clear()
    assert talk(receiver, placement) == first
    assert list(changes(receiver)) == []


def test_only_working_memory_is_written():
    receiver = UbxReceiver(MODELS["9T"])
    talk(receiver)
    layers = {payload[:4] for kind, payload in changes(receiver)}
    assert layers == {b"\0\x01\0\0"}
    assert all(frame[2:4] != b"\x06\x09" for frame in receiver.commands)  # CFG-CFG, which saves


@pytest.mark.parametrize("model", ["8T", "8P", "9T"])
def test_a_survey_is_begun_and_ends_when_it_is_long_and_good_enough(model):
    receiver = UbxReceiver(MODELS[model])
    talk(receiver, Placement(survey_in_secs=60, accuracy_m=2.0))
    kind = Kind.NAV_SVIN if model == "8P" else Kind.TIM_SVIN
    active = {}
    for second in range(120):
        burst = receiver.say(WallNs(SECOND + second * NS_PER_SECOND), Sky())
        (frame,) = (frame for frame in frames_of(burst) if frame.kind is kind)
        active[second] = frame.payload[37 if model == "8P" else 25]
    assert active[0] == 1
    assert active[98] == 1  # 20 m / sqrt(99) is above 2 m
    assert active[99] == 0


@pytest.mark.parametrize(("model", "kind", "at"), [("8T", Kind.CFG_TMODE2, 4), ("8P", Kind.CFG_TMODE3, 4)])
def test_a_position_that_is_given_is_told_in_centimetres_from_the_earths_centre(model, kind, at):
    receiver = UbxReceiver(MODELS[model])
    talk(receiver, GREENWICH)
    (payload,) = (payload for changed, payload in changes(receiver) if changed == kind)
    assert payload[2 if model == "8P" else 0] == 2
    assert struct.unpack_from("<3i", payload, at) == tuple(round(axis * 100) for axis in earth_centred(PLACE))


def test_places_on_the_ellipsoid_are_where_the_textbooks_have_them():
    assert earth_centred(Position(0, 0, 10)) == pytest.approx((6_378_147, 0, 0))
    assert earth_centred(Position(45, 0, 0)) == pytest.approx((4_517_590.8788, 0, 4_487_348.4088), abs=1e-3)
    assert earth_centred(Position(0, 90, 0)) == pytest.approx((0, 6_378_137, 0), abs=1e-6)
    assert earth_centred(Position(-90, 0, 0)) == pytest.approx((0, 0, -6_356_752.3142), abs=1e-3)


@pytest.mark.parametrize("model", ["8T", "8P", "9T"])
def test_a_position_that_somebody_else_has_fixed_is_not_surveyed_again(model):
    receiver = UbxReceiver(MODELS[model])
    talk(receiver, GREENWICH)
    receiver.commands.clear()
    talk(receiver, SURVEY)
    assert list(changes(receiver)) == []


@pytest.mark.parametrize("model", MODELS)
def test_where_the_antenna_may_move_nothing_is_said_of_its_place(model):
    receiver = UbxReceiver(MODELS[model])
    assert talk(receiver, Placement(0, 5.0)).endswith("1 Hz")
    placing = {Kind.CFG_TMODE2, Kind.CFG_TMODE3, Kind.CFG_NAV5}
    assert placing.isdisjoint(kind for kind, _ in changes(receiver))
    keys = {key for kind, payload in changes(receiver) if kind == Kind.CFG_VALSET for key in parse_values(payload[4:])}
    assert {0x20030001, 0x20110021}.isdisjoint(keys)


def test_the_pulses_delays_and_edge_stay_as_the_wiring_wants_them():
    receiver = UbxReceiver(MODELS["8T"])
    talk(receiver)
    (payload,) = (payload for kind, payload in changes(receiver) if kind == Kind.CFG_TP5)
    assert struct.unpack("<BB2x2h4IiI", payload) == (
        *(0, 1, 50, 0),
        *(1_000_000, 1_000_000, 0, 100_000, 0),
        0b0011_0111,
    )


@pytest.mark.parametrize(
    ("model", "refused", "said"),
    [
        ("8T", Kind.CFG_TP5, "timing messages on, 1 Hz, stationary; refuses: one pulse a second on UTC"),
        ("8T", Kind.CFG_RATE, "timing messages on, one pulse a second on UTC, stationary; refuses: 1 Hz"),
        ("8T", Kind.CFG_MSG, "one pulse a second on UTC, 1 Hz, stationary; refuses: timing messages on"),
        ("6", Kind.CFG_NAV5, "timing messages on, one pulse a second on UTC, 1 Hz; refuses: stationary"),
        ("8T", Kind.CFG_ITFM, ALL),
        ("8T", Kind.CFG_TMODE2, ALL),  # the model of one that stands still must do
        (
            "9T",
            Kind.CFG_VALSET,
            "1 Hz; refuses: timing messages on, one pulse a second on UTC, stationary",
        ),
    ],
)
def test_what_a_receiver_refuses_is_said_and_the_rest_is_done(model, refused, said):
    assert talk(UbxReceiver(MODELS[model], refuses=(refused,))).partition(": ")[2] == said


def test_a_receiver_that_agrees_and_stays_as_it_was_is_found_out():
    class Liar(UbxReceiver):
        def _obey_keys(self, kind, data):
            return b"" if kind == Kind.CFG_VALSET else super()._obey_keys(kind, data)

    assert "refuses: timing messages on" in talk(Liar(MODELS["9T"]))


def test_one_that_is_silent_is_asked_some_times_and_then_left_alone():
    setup = UbxSetup(SURVEY)
    asked, now = setup.start(MonoNs(0)), MonoNs(0)
    while setup.deadline is not None:
        assert setup.timer(MonoNs(setup.deadline - 1)) == []
        now = setup.deadline
        asked += setup.timer(now)
    assert asked == [Command(build_frame(Kind.MON_VER, b""))] * TRIES + [
        Description("does not answer: is its RX wired to this host's TX?")
    ]
    assert now == TRIES * ANSWER_WITHIN_NS
    assert setup.timer(MonoNs(now * 2)) == []


def test_a_lost_answer_is_asked_for_again():
    receiver, setup = UbxReceiver(MODELS["8T"]), UbxSetup(SURVEY)
    (question,) = commands(setup.start(MonoNs(0)))
    (again,) = commands(setup.timer(MonoNs(ANSWER_WITHIN_NS)))
    assert again == question
    (frame,) = frames_of(receiver.hear(again.data))
    (following,) = setup.receive(frame, MonoNs(ANSWER_WITHIN_NS))
    assert following != question
    assert setup.deadline == 2 * ANSWER_WITHIN_NS


def test_a_late_answer_to_an_earlier_question_is_not_taken_for_this_ones():
    setup, receiver = UbxSetup(SURVEY), UbxReceiver(MODELS["8T"])
    now = MonoNs(0)
    events = setup.start(now)
    while (question := commands(events)[-1].data)[2:4] != b"\x06\x01":  # until it asks for a message's rate
        events = [event for frame in frames_of(receiver.hear(question)) for event in setup.receive(frame, now)]
    another = build_frame(Kind.CFG_MSG, b"\x01\x02" + bytes(6))
    (answer,) = frames_of(another)
    assert setup.receive(answer, now) == events  # the same question once more
    assert setup.receive(frames_of(build_frame(Kind.ACK_NAK, b"\x06\x02"))[0], now) == []


def test_on_usb_of_a_receiver_that_does_not_say_its_port_both_are_switched():
    class WithUsb(UbxReceiver):
        def __init__(self, model):
            super().__init__(model)
            keys = {key + 2: b"\0" for key in self._values if key >> 16 == 0x2091}
            self._values |= keys | {0x10780002: b"\1"}

    receiver = WithUsb(MODELS["10"])
    assert talk(receiver).endswith(ALL)
    assert receiver._values[0x20910009] == receiver._values[0x20910007] == b"\1"
    assert receiver._values[0x10780002] == b"\0"


@pytest.mark.parametrize(
    ("texts", "identity"),
    [
        (["1.00 (59842)", "00070000", "PROTVER 14.00"], Identity("u-blox 7", 14)),
        (["EXT CORE 1.00", "00190000", "FWVER=HPG 1.12", "PROTVER=27.11", "MOD=ZED-F9P"], Identity("ZED-F9P", 27)),
        (["x", "y", "MOD=\x1b[31m"], Identity("u-blox", 0)),
        (["x", "y", "PROTVER=99999"], Identity("u-blox", 999)),
    ],
)
def test_what_a_receiver_calls_itself_is_read(texts, identity):
    payload = texts[0].encode().ljust(30, b"\0") + texts[1].encode().ljust(10, b"\0")
    payload += b"".join(text.encode().ljust(30, b"\0") for text in texts[2:])
    assert parse_version(payload) == identity
