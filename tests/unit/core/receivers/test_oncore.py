"""What is made of Oncore messages, and what an Oncore is told."""

import struct
from datetime import UTC, datetime
from typing import Any

import pytest

from ntp_usg.core.base.doubts import Doubt, Trouble
from ntp_usg.core.base.instants import NS_PER_SECOND, HostNs, MonoNs, WallNs
from ntp_usg.core.base.samples import Fix, FixQuality, Position, PulseCorrection, Reception, TimeMessage
from ntp_usg.core.base.verdicts import Outcome, Reason, Verdict
from ntp_usg.core.receivers.commands import Command, Description
from ntp_usg.core.receivers.oncore import OncoreAssembler
from ntp_usg.core.receivers.oncore_framing import Kind, build_message
from ntp_usg.core.receivers.oncore_setup import Mode, OncoreSettings
from ntp_usg.core.receivers.oncore_survey import Survey
from ntp_usg.simulate.oncore import (
    Oncore,
    build_identity,
    build_leap_date,
    build_position_8,
    build_position_12,
    build_raim,
)
from ntp_usg.simulate.sawtooth import Sawtooth
from ntp_usg.simulate.sentences import Sky

SKY = Sky(satellites=9)
BLIND = Sky(quality=FixQuality.NO_FIX)
LISTEN = OncoreSettings(configure=False, mode=Mode.NAVIGATE)
GREENWICH = Position(51.4779, -0.00147, 92.4)
UTC_KNOWN = build_message(Kind.UTC_OFFSET, b"\x12")


def at(text):
    return WallNs(int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * NS_PER_SECOND)


SECOND = at("2026-02-16T12:00:00")
NEXT = WallNs(SECOND + NS_PER_SECOND)


def assemble(*messages, settings=LISTEN) -> list[Any]:
    return OncoreAssembler(settings).feed(b"".join(messages), HostNs(7), MonoNs(NS_PER_SECOND))


def rejected(reason):
    return Verdict(Outcome.REJECTED, reason)


def patched(message, position, value):
    data = bytearray(message[4:-3])
    data[position : position + len(value)] = value
    return build_message(message[2:4].decode(), bytes(data))


def troubles(*messages):
    return [event.troubles for event in assemble(*messages) if isinstance(event, Reception)]


def test_a_position_of_twelve_channels_is_one_time_message():
    fix = Fix(FixQuality.GPS, satellites_used=9, satellites_in_view=12, pdop=2.0, dimensions=3, position=GREENWICH)
    assert assemble(build_position_12(SECOND, SKY)) == [
        TimeMessage(SECOND, HostNs(7), fix, arrivals=(("Ha", HostNs(7)),))
    ]


def test_a_position_of_eight_channels_is_one_once_it_is_known_to_be_utc():
    sky = Sky(satellites=8)
    (verdict, fix) = assemble(build_position_8(SECOND, sky))
    assert verdict == rejected(Reason.NO_DATE)
    assert fix == Fix(
        FixQuality.GPS, satellites_used=8, satellites_in_view=11, pdop=2.2, dimensions=3, position=GREENWICH
    )
    assert assemble(UTC_KNOWN, build_position_8(SECOND, sky)) == [
        TimeMessage(SECOND, HostNs(7), fix, arrivals=(("Ea", HostNs(7)),))
    ]
    assert assemble(build_message(Kind.UTC_OFFSET, b"\0"), build_position_8(SECOND, sky))[0] == verdict


def test_bytes_of_a_known_moment_are_read_as_the_manual_says():
    # An M12 in position hold on 2026-01-21 at 07:33:29.000336301 UTC, of which it says that GPS is 18 s ahead.
    start = struct.pack(">BBHBBBI", 1, 21, 2026, 7, 33, 29, 336_301) + bytes(16) * 2 + bytes(6)
    channels = bytes.fromhex("0e08312a08a0") + bytes(66)
    end = bytes.fromhex("84010000fff8000186130000d2000000") + b"GRNWCH"
    (message,) = assemble(build_message(Kind.POSITION_12, start + b"\0\0\7\7" + channels + end))
    assert message.second == at("2026-01-21T07:33:29")
    assert (message.fix.quality, message.fix.dimensions, message.fix.satellites_used) == (FixQuality.GPS, 1, 1)


def test_six_channels_are_understood():
    eight = build_position_8(SECOND, Sky(satellites=6))[4:-3]
    (message,) = assemble(UTC_KNOWN, build_message(Kind.POSITION_6, eight[:60] + eight[-1:]))
    assert (message.second, message.fix.satellites_used) == (SECOND, 6)


def test_gps_time_is_put_right_where_the_message_says_by_how_much():
    (message,) = assemble(build_position_12(SECOND, SKY, utc=False))
    assert message.second == SECOND


def test_time_is_not_believed_before_the_leap_seconds_are_known():
    assert assemble(build_position_12(SECOND, SKY, known=False))[0] == rejected(Reason.NO_DATE)
    assert assemble(UTC_KNOWN, build_position_8(SECOND, SKY, status=1))[0] == rejected(Reason.NO_DATE)  # no almanac


def test_when_the_leap_seconds_become_known_two_more_messages_are_not_believed():
    def position(number, **options):
        return build_position_12(WallNs(SECOND + number * NS_PER_SECOND), SKY, **options)

    events = assemble(position(0, known=False), *map(position, range(1, 5)))
    told = [event for event in events if not isinstance(event, Fix)]
    assert told[:3] == [rejected(Reason.NO_DATE)] * 3
    assert [message.second for message in told[3:]] == [SECOND + 3 * NS_PER_SECOND, SECOND + 4 * NS_PER_SECOND]


@pytest.mark.parametrize("build", [build_position_8, build_position_12])
def test_a_receiver_that_holds_its_position_computes_time_alone(build):
    (message,) = assemble(UTC_KNOWN, build(SECOND, SKY, held=True))
    assert (message.fix.quality, message.fix.dimensions, message.fix.pdop) == (FixQuality.GPS, 1, None)


@pytest.mark.parametrize("build", [build_position_8, build_position_12])
def test_a_receiver_that_acquires_satellites_has_no_fix_whether_it_holds_or_not(build):
    for held in (False, True):
        (message,) = assemble(UTC_KNOWN, build(SECOND, BLIND, held=held))
        assert message.fix == Fix(FixQuality.NO_FIX, satellites_used=0, satellites_in_view=3)


@pytest.mark.parametrize(
    ("status", "quality", "dimensions"),
    [(32, 1, 3), (16, 1, 2), (32 | 4, 2, 3), (128, 6, None), (128 | 32, 6, None), (2, 0, None)],
)
def test_the_status_of_eight_channels_says_how_good_the_fix_is(status, quality, dimensions):
    (message,) = assemble(UTC_KNOWN, patched(build_position_8(SECOND, SKY), 68, bytes([status])))
    assert (message.fix.quality, message.fix.dimensions) == (quality, dimensions)


@pytest.mark.parametrize(
    ("state", "quality", "dimensions"), [(7, 1, 3), (6, 1, 2), (5, 6, None), (4, 1, 1), (3, 0, None), (0, 0, None)]
)
def test_the_status_of_twelve_channels_says_how_good_the_fix_is(state, quality, dimensions):
    events = assemble(patched(build_position_12(SECOND, SKY), 125, struct.pack(">H", state << 13)))
    assert (events[-1].fix.quality, events[-1].fix.dimensions) == (quality, dimensions)
    events = assemble(patched(build_position_12(SECOND, SKY), 125, struct.pack(">H", state << 13 | 1 << 6)))
    assert events[-1].fix.quality == (2 if quality == 1 else quality)


def test_weeks_that_the_firmware_has_lost_are_found_again():
    events = assemble(build_position_12(at("2006-07-03T12:00:00"), SKY))
    assert events[0] == Reception((Trouble(Doubt.ROLLOVER, "names 2006-07-03, taken for 2026-02-16"),))
    assert events[1].second == SECOND


def test_a_wrong_date_without_a_fix_is_implausible():
    assert assemble(build_position_12(at("2006-07-03T12:00:00"), BLIND))[0] == rejected(Reason.IMPLAUSIBLE)


@pytest.mark.parametrize(
    ("position", "value"),
    [(0, b"\x0d"), (1, b"\x00"), (4, b"\x18"), (5, b"\x3c"), (6, b"\x3d"), (7, b"\xff"), (11, b"\x7f"), (19, b"\x7f")],
)
def test_values_that_no_receiver_sends_are_implausible(position, value):
    assert assemble(patched(build_position_12(SECOND, SKY), position, value)) == [rejected(Reason.IMPLAUSIBLE)]


def test_second_60_dates_nothing():
    message = patched(build_position_12(at("2026-06-30T23:59:59"), SKY), 6, b"\x3c")
    assert assemble(message)[0] == rejected(Reason.LEAP_SECOND)


def test_a_repeated_second_is_stale():
    position = build_position_12(SECOND, SKY)
    assert [event for event in assemble(position, position, position) if isinstance(event, Verdict)] == [
        rejected(Reason.STALE)
    ] * 2


def test_noise_is_told_and_does_no_harm():
    position = build_position_12(SECOND, SKY)
    events = assemble(b"noise", position[:100], position[:9] + b"\xff" + position[10:], position)
    assert events[0] == rejected(Reason.BAD_CHECKSUM)
    assert isinstance(events[1], TimeMessage)


def test_what_was_begun_before_a_silence_stamps_nothing():
    assembler = OncoreAssembler(LISTEN)
    assembler.feed(b"@@Cj", HostNs(1), MonoNs(NS_PER_SECOND))
    (message,) = assembler.feed(build_position_12(SECOND, SKY), HostNs(2), MonoNs(2 * NS_PER_SECOND))
    assert isinstance(message, TimeMessage)
    assert message.received_at == 2


@pytest.mark.parametrize(
    ("bits", "words"), [(1, "antenna shorted"), (2, "antenna open"), (3, "antenna without supply")]
)
def test_an_antenna_in_trouble_is_told(bits, words):
    trouble = Trouble(Doubt.ANTENNA, words)
    assert troubles(build_position_8(SECOND, SKY, antenna=bits), build_position_8(NEXT, SKY)) == [(trouble,), ()]
    assert troubles(build_position_12(SECOND, SKY, status=bits << 1), build_position_12(NEXT, SKY)) == [(trouble,), ()]


def test_poor_geometry_is_told():
    poor = (Trouble(Doubt.GEOMETRY, "poor geometry"),)
    assert troubles(build_position_8(SECOND, SKY, status=64)) == [poor]
    assert troubles(patched(build_position_12(SECOND, SKY), 125, b"\x40\x00")) == [poor]


@pytest.mark.parametrize(
    ("now", "notice", "leap"),
    [
        ("2026-06-30T12:00:00", build_message(Kind.LEAP_PENDING, b"\x01"), 1),
        ("2026-06-30T12:00:00", build_message(Kind.LEAP_PENDING, b"\x02"), 2),
        ("2026-06-30T12:00:00", build_message(Kind.LEAP_PENDING, b"\x00"), 0),
        ("2026-02-16T12:00:00", build_message(Kind.LEAP_PENDING, b"\x01"), 0),
        ("2026-06-30T12:00:00", build_leap_date(1, (2026, 6, 30)), 1),
        ("2026-06-30T12:00:00", build_leap_date(-1, (2026, 6, 30)), 2),
        ("2026-06-30T12:00:00", build_leap_date(1, (2026, 12, 31)), 0),
        ("2026-06-30T12:00:00", build_leap_date(0, (2016, 12, 31)), 0),
        ("2026-06-30T12:00:00", build_leap_date(0, (0, 0, 0), present=0), 0),
    ],
)
def test_leap_seconds_are_announced_in_their_month(now, notice, leap):
    (message,) = assemble(notice, build_position_12(at(now), SKY))
    assert message.leap == leap


@pytest.mark.parametrize(
    "notice", [build_message(Kind.LEAP_PENDING, b"\x03"), build_leap_date(2), build_leap_date(1, (2026, 13, 1))]
)
def test_leap_seconds_that_cannot_be_are_implausible(notice):
    assert assemble(notice) == [rejected(Reason.IMPLAUSIBLE)]


@pytest.mark.parametrize(("kind", "build"), [(Kind.RAIM_8, build_position_8), (Kind.RAIM_12, build_position_12)])
def test_the_negative_sawtooth_is_added_to_the_next_pulse(kind, build):
    def corrections(raim, settings=LISTEN):
        events = assemble(UTC_KNOWN, build(SECOND, SKY), raim, settings=settings)
        return [event for event in events if isinstance(event, PulseCorrection)]

    assert corrections(build_raim(kind, -23)) == [PulseCorrection(NEXT, -23_000)]
    assert corrections(build_raim(kind, 127, solution=2)) == [PulseCorrection(NEXT, 127_000)]
    assert corrections(build_raim(kind, 5), OncoreSettings(configure=False, sawtooth_sign=-1)) == [
        PulseCorrection(NEXT, -5_000)
    ]
    assert corrections(build_raim(kind, 5), OncoreSettings(configure=False, sawtooth_sign=0)) == []
    assert corrections(build_raim(kind, 5, pulsing=False)) == []
    assert corrections(build_raim(kind, 5, solution=1)) == []
    assert assemble(build_raim(kind, 5)) == []


def test_an_alarm_of_t_raim_is_severe():
    alarm = Trouble(Doubt.GEOMETRY, "T-RAIM alarm: the satellites contradict each other", severe=True)
    raims = (build_raim(Kind.RAIM_12, 5, solution=solution) for solution in (0, 1, 1, 2))
    assert troubles(*raims) == [(alarm,), ()]


class Conversation:
    """An assembler and a simulated receiver on an ideal line."""

    def __init__(self, settings, device=None, survey=Survey()):  # noqa: B008 - it is frozen
        self.assembler = OncoreAssembler(settings, survey)
        self.device = device or Oncore(Sawtooth(0))
        self.events: list[Any] = []
        self.now = 0
        self.exchange(self.assembler.opened(MonoNs(0)))

    def exchange(self, events):
        while events:
            self.events += events
            commands = b"".join(event.data for event in events if isinstance(event, Command))
            events = self.assembler.feed(self.device.hear(commands), HostNs(0), MonoNs(self.now))

    def run(self, seconds, sky=SKY):
        for _ in range(seconds):
            self.now += NS_PER_SECOND
            burst = self.device.say(WallNs(SECOND + self.now), sky)
            self.exchange(self.assembler.feed(burst, HostNs(0), MonoNs(self.now)))

    def told(self, kind):
        return [event for event in self.events if isinstance(event, kind)]


@pytest.mark.parametrize("channels", [8, 12])
def test_a_receiver_without_a_memory_is_set_up(channels):
    device = Oncore(Sawtooth(0), channels)
    settings = OncoreSettings(mode=Mode.POSITION_HOLD, position=GREENWICH, cable_delay_ns=250, mask_angle_deg=15)
    talk = Conversation(settings, device)
    talk.run(6)
    assert device.settings[Kind.TIME_MODE] == b"\x01"
    assert device.settings[Kind.CABLE_DELAY] == (250).to_bytes(4, "big")
    assert device.settings[Kind.MASK_ANGLE] == b"\x0f"
    assert device.settings[Kind.HOLD_POSITION] == struct.pack(">iii", 185_320_440, -5_292, 9_240) + b"\0"
    assert device.settings[Kind.HOLD_12 if channels == 12 else Kind.HOLD] == b"\x01"
    assert talk.told(TimeMessage)[-1].fix.dimensions == 1
    assert talk.told(TimeMessage)[-1].leap == 0
    assert len(talk.told(PulseCorrection)) == (3 if channels == 8 else 5)
    assert talk.told(Description) == [Description("P283T12T11" if channels == 12 else "R5122U1115")]


@pytest.mark.parametrize("channels", [8, 12])
def test_pulses_that_fall_on_ticks_are_put_on_their_seconds(channels):
    sawtooth = Sawtooth(50)
    talk = Conversation(OncoreSettings(mode=Mode.NAVIGATE), Oncore(sawtooth, channels))
    talk.run(60)
    corrections = talk.told(PulseCorrection)
    assert len(corrections) > 50
    assert max(abs(sawtooth.error_ps(each.second)) for each in corrections) > 40_000
    assert max(abs(sawtooth.error_ps(each.second) + each.correction_ps) for each in corrections) <= 500


@pytest.mark.parametrize("channels", [8, 12])
def test_a_survey_ends_in_position_hold(channels):
    talk = Conversation(OncoreSettings(survey_fixes=100), Oncore(Sawtooth(0), channels))
    assert talk.told(Reception) == [Reception((Trouble(Doubt.SURVEY, "site survey 0 %"),))]
    talk.run(62)
    assert talk.assembler.survey.count == 62
    assert talk.told(Reception)[-1].troubles == (Trouble(Doubt.SURVEY, "site survey 60 %"),)
    talk.run(20, BLIND)
    assert talk.assembler.survey.count == 62
    talk.run(40)
    assert talk.told(Reception)[-1] == Reception(())
    assert talk.assembler.survey.position.distance_m(GREENWICH) < 1
    assert talk.told(TimeMessage)[-1].fix.dimensions == 1
    assert talk.told(Description)[-1].text.startswith("P283T12T11" if channels == 12 else "R5122U1115")
    assert "refuses" not in talk.told(Description)[-1].text


def test_a_survey_goes_on_where_it_was():
    talk = Conversation(OncoreSettings(survey_fixes=100), survey=Survey(99, 51.4779, -0.00147, 92.4))
    assert talk.told(Reception) == [Reception((Trouble(Doubt.SURVEY, "site survey 95 %"),))]
    talk.run(2)
    assert talk.told(TimeMessage)[-1].fix.dimensions == 1


def test_a_survey_that_was_finished_is_held_at_once():
    talk = Conversation(OncoreSettings(survey_fixes=100), survey=Survey(100, 51.4779, -0.00147, 92.4))
    talk.run(2)
    assert talk.told(Reception) == []
    assert talk.told(TimeMessage)[-1].fix.dimensions == 1


def test_a_receiver_that_was_switched_off_is_set_up_by_the_next_assembler_only():
    talk = Conversation(OncoreSettings(mode=Mode.NAVIGATE))
    talk.run(2)
    before = len(talk.told(Command))
    talk.run(2)
    assert len(talk.told(Command)) == before


def test_leap_seconds_are_asked_for_each_minute():
    talk = Conversation(OncoreSettings(mode=Mode.NAVIGATE))
    talk.run(2)
    before = len(talk.told(Command))
    talk.run(60)
    assert [event.data for event in talk.told(Command)[before:]] == [build_message(Kind.LEAP_DATE)]


def test_what_is_refused_is_told_in_words():
    assembler = OncoreAssembler(OncoreSettings(mode=Mode.NAVIGATE), remark="a remark")
    assert assembler.opened(MonoNs(0))[-1] == Description("a remark")

    def told(*messages):
        events = assembler.feed(b"".join(messages), HostNs(0), MonoNs(0))
        return [event.text for event in events if isinstance(event, Description)]

    assert told(build_identity("P1")) == ["P1, a remark"]
    assert told(build_position_12(SECOND, SKY)) == []
    assert told(build_message(Kind.MASK_ANGLE, b"\x00"), build_message(Kind.TIME_MODE, b"\x00")) == [
        "P1, refuses mask angle, a remark",
        "P1, refuses UTC and mask angle, a remark",
    ]
    assert told(build_message(Kind.MASK_ANGLE, b"\x0a")) == ["P1, refuses UTC, a remark"]


def test_a_receiver_that_may_not_be_configured_is_told_nothing():
    talk = Conversation(OncoreSettings(configure=False))
    talk.exchange(talk.assembler.feed(build_position_12(SECOND, SKY) * 100, HostNs(0), MonoNs(0)))
    assert talk.told(Command) == []


@pytest.mark.parametrize("year", [1, 1979, 2262, 9999])
def test_no_year_raises(year):
    message = bytearray(build_position_12(SECOND, Sky()))
    message[4:8] = bytes([12, 31, year >> 8, year & 0xFF])
    data = bytes(message[4:-3])
    leap = build_message("Gj", struct.pack(">BBHBBBIBBB", 18, 19, year, 12, 31, 0, 0, 23, 59, 59))
    assembler = OncoreAssembler()
    assembler.feed(leap, HostNs(0), MonoNs(NS_PER_SECOND))
    assert assembler.feed(build_message("Ha", data), HostNs(0), MonoNs(NS_PER_SECOND))
