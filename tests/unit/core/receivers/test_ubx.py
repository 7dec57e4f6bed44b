"""What is made of UBX messages, one navigation epoch after the other."""

import struct
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest

from ntp_usg.core.base.doubts import Doubt, Trouble
from ntp_usg.core.base.instants import NS_PER_SECOND, HostNs, MonoNs, WallNs
from ntp_usg.core.base.samples import Fix, FixQuality, Position, PulseCorrection, Reception, TimeMessage
from ntp_usg.core.base.verdicts import Outcome, Reason, Verdict
from ntp_usg.core.receivers.nmea import BURST_SILENCE_NS
from ntp_usg.core.receivers.ubx import Event, UbxAssembler
from ntp_usg.core.receivers.ubx_framing import Kind, build_frame
from ntp_usg.simulate.sentences import Sky
from ntp_usg.simulate.ubx import (
    build_dop,
    build_eoe,
    build_nav_svin,
    build_pulse,
    build_pvt,
    build_radio,
    build_satellites,
    build_security,
    build_status,
    build_svinfo,
    build_tim_svin,
    build_timels,
    build_timeutc,
    build_ubx_burst,
)

SECOND = WallNs(1_771_243_200 * NS_PER_SECOND)
NEXT = WallNs(SECOND + NS_PER_SECOND)
SKY = Sky(satellites=9)
GREENWICH = Position(51.4779, -0.00147, 92.4)
PVT = Fix(FixQuality.GPS, satellites_used=9, dimensions=3, position=GREENWICH, pdop=1.0)


ARRIVALS = tuple((f"NAV-{name}", HostNs(7)) for name in ("STATUS", "PVT", "TIMEUTC", "TIMELS", "SAT"))


def assemble(*frames) -> list[Any]:
    assembler = UbxAssembler()
    return assembler.feed(b"".join(frames), HostNs(7), MonoNs(0)) + assembler.flush()


def rejected(reason):
    return Verdict(Outcome.REJECTED, reason)


def at(text):
    return WallNs(int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * NS_PER_SECOND)


def patched(frame, position, value):
    payload = bytearray(frame[6:-2])
    payload[position : position + len(value)] = value
    return build_frame(frame[2] << 8 | frame[3], bytes(payload))


def test_a_burst_is_one_time_message_and_the_next_pulses_correction():
    assert assemble(build_ubx_burst(SECOND, SKY)) == [
        PulseCorrection(NEXT, 0),
        TimeMessage(SECOND, HostNs(7), replace(PVT, satellites_in_view=12), leap=0, arrivals=ARRIVALS),
    ]


def test_bytes_of_a_known_moment_are_read_as_the_manual_says():
    # 2026-02-16 12:00:00 UTC, 43218 s into that Monday of the GPS week: 129618 s.
    payload = struct.pack("<IIiHBBBBBB", 129_618_000, 30, 0, 2026, 2, 16, 12, 0, 0, 7)
    status = struct.pack("<IBBBBII", 129_618_000, 3, 0b1101, 0, 0, 0, 0)
    assert assemble(build_frame(0x0121, payload), build_frame(0x0103, status)) == [
        TimeMessage(
            at("2026-02-16T12:00:00"),
            HostNs(7),
            Fix(FixQuality.GPS, dimensions=3),
            arrivals=(("NAV-TIMEUTC", HostNs(7)), ("NAV-STATUS", HostNs(7))),
        )
    ]


def test_an_epoch_ends_where_the_next_begins():
    assembler = UbxAssembler()
    assert assembler.feed(build_pvt(SECOND, SKY), HostNs(1), MonoNs(0)) == []
    (message,) = assembler.feed(build_pvt(NEXT, SKY), HostNs(2), MonoNs(1))
    assert message == TimeMessage(SECOND, HostNs(1), PVT, arrivals=(("NAV-PVT", HostNs(1)),))
    assert message.stamped_by == "NAV-PVT"


def test_an_epoch_ends_at_once_where_the_receiver_says_so():
    assembler = UbxAssembler()
    (message,) = assembler.feed(build_pvt(SECOND, SKY) + build_eoe(SECOND), HostNs(1), MonoNs(0))
    assert isinstance(message, TimeMessage)
    assert message.second == SECOND
    assert assembler.deadline() is None
    assert assembler.feed(build_eoe(NEXT), HostNs(1), MonoNs(0)) == []


def test_parts_of_an_epoch_are_stamped_one_by_one():
    assembler = UbxAssembler()
    assembler.feed(build_status(SECOND, SKY), HostNs(1), MonoNs(0))
    assembler.feed(build_pvt(SECOND, SKY), HostNs(2), MonoNs(0))
    (message,) = assembler.feed(build_status(SECOND, SKY) + build_eoe(SECOND), HostNs(3), MonoNs(0))
    assert isinstance(message, TimeMessage)
    assert message.arrivals == (("NAV-STATUS", HostNs(1)), ("NAV-PVT", HostNs(2)))


def test_an_epoch_ends_after_a_silence():
    assembler = UbxAssembler()
    assert assembler.deadline() is None
    assembler.feed(build_pvt(SECOND, SKY), HostNs(1), MonoNs(5))
    assert assembler.deadline() == 5 + BURST_SILENCE_NS
    (message,) = assembler.feed(b"", HostNs(2), MonoNs(5 + BURST_SILENCE_NS))
    assert isinstance(message, TimeMessage)
    assert assembler.deadline() is None


def test_an_older_receiver_without_pvt_is_understood():
    for satellites in (build_satellites(SECOND, SKY), build_svinfo(SECOND, SKY)):
        (message,) = assemble(build_status(SECOND, SKY), build_timeutc(SECOND), satellites)
        assert message.second == SECOND
        assert message.fix == Fix(FixQuality.GPS, satellites_used=9, satellites_in_view=12, dimensions=3)


def test_the_number_in_view_is_kept_for_a_while_because_their_list_comes_seldom():
    assembler = UbxAssembler()
    assembler.feed(build_satellites(SECOND, SKY), HostNs(0), MonoNs(0))
    told: list[Any] = []
    for second in range(15):
        now = WallNs(SECOND + second * NS_PER_SECOND)
        told += assembler.feed(build_pvt(now, SKY) + build_eoe(now), HostNs(0), MonoNs(second * NS_PER_SECOND))
    assert [message.fix.satellites_in_view for message in told] == [12] * 11 + [None] * 4


@pytest.mark.parametrize("interval", [2, 5])
def test_satellites_whose_list_comes_seldom_are_remembered_until_it_comes_again(interval):
    assembler, told = UbxAssembler(), []
    for second in range(4 * interval):
        now = WallNs(SECOND + second * NS_PER_SECOND)
        seldom = build_satellites(now, SKY) if second % interval == 0 else b""
        frames = build_status(now, SKY) + build_timeutc(now) + seldom + build_eoe(now)
        told += assembler.feed(frames, HostNs(0), MonoNs(second * NS_PER_SECOND))
    assert {message.fix.satellites_used for message in told if isinstance(message, TimeMessage)} == {9}


@pytest.mark.parametrize("order", [1, -1])
def test_the_satellites_are_the_most_that_any_message_of_the_epoch_counts(order):
    (message,) = assemble(*(build_pvt(SECOND, SKY), build_satellites(SECOND, Sky(satellites=0)))[::order])
    assert message.fix.satellites_used == 9


def test_geometry_and_place_are_told():
    sky = Sky(satellites=6)
    (message,) = assemble(build_pvt(SECOND, sky), build_dop(SECOND, sky))
    assert (message.fix.pdop, message.fix.tdop, message.fix.hdop) == (1.5, 1.5, 1.5)
    assert message.fix.position == GREENWICH
    (blind,) = assemble(build_pvt(SECOND, Sky(satellites=0)), build_dop(SECOND, Sky(satellites=0)))
    assert blind.fix == Fix(FixQuality.NO_FIX, satellites_used=0)


@pytest.mark.parametrize(
    ("fix_type", "dimensions", "placed"), [(2, 2, True), (3, 3, True), (4, 3, True), (5, 1, True), (1, None, False)]
)
def test_dimensions_follow_from_the_type_of_fix(fix_type, dimensions, placed):
    (message,) = assemble(patched(build_pvt(SECOND, SKY), 20, bytes([fix_type])))
    assert message.fix.dimensions == dimensions
    assert (message.fix.position is not None) is placed


@pytest.mark.parametrize(("at", "value"), [(78, b"\x01"), (28, b"\xff\xff\xff\x7f"), (24, b"\xff\xff\xff\x7f")])
def test_a_place_that_is_none_is_not_told(at, value):
    (message,) = assemble(patched(build_pvt(SECOND, SKY), at, value))
    assert message.fix.position is None


@pytest.mark.parametrize("quality", [quality for quality in FixQuality if quality not in {3, 7, 8}])
def test_every_quality_of_a_fix_is_known_from_pvt_whatever_status_says(quality):
    sky = Sky(9, quality)
    (before,) = assemble(build_pvt(SECOND, sky), build_status(SECOND, sky))
    (after,) = assemble(build_status(SECOND, sky), build_pvt(SECOND, sky))
    assert before.fix == after.fix
    assert before.fix.quality is quality
    assert before.fix.satellites_used == sky.used


def test_a_fix_that_its_receiver_does_not_vouch_for_is_none():
    (message,) = assemble(patched(build_pvt(SECOND, SKY), 21, b"\x00"))
    assert message.fix.quality is FixQuality.NO_FIX


def test_a_time_alone_is_no_fix():
    (message,) = assemble(build_timeutc(SECOND))
    assert message.fix.quality is FixQuality.NO_FIX


@pytest.mark.parametrize("nano", [-4_000_000, -345, 0, 999_999])
def test_the_receivers_own_tick_beside_the_second_is_not_the_seconds(nano):
    assert [message.second for message in assemble(build_pvt(SECOND, SKY, nano=nano))] == [SECOND]


def test_an_epoch_between_seconds_keeps_its_fraction():
    assert [message.second for message in assemble(build_pvt(SECOND, SKY, nano=200_000_345))] == [SECOND + 200_000_000]


@pytest.mark.parametrize("valid", [0, 0b001, 0b011, 0b101, 0b110])
def test_a_time_that_is_not_resolved_is_not_believed_but_the_fix_is_told(valid):
    events = assemble(build_pvt(SECOND, SKY, valid=valid))
    assert events == [rejected(Reason.NO_DATE), PVT]


@pytest.mark.parametrize("order", [1, -1])
def test_leap_seconds_that_are_not_known_spoil_the_other_messages_time_too(order):
    frames = [build_pvt(SECOND, SKY), build_timeutc(SECOND, valid=0b011)][::order]
    assert rejected(Reason.NO_DATE) in assemble(*frames)


def test_a_date_of_an_earlier_gps_era_is_taken_for_what_it_means_and_that_is_told_once():
    assembler, rolled = UbxAssembler(), WallNs(SECOND - 1024 * 7 * 86_400 * NS_PER_SECOND)
    told: list[Any] = []
    for second in (rolled, WallNs(rolled + NS_PER_SECOND)):
        burst = build_pvt(second, SKY) + build_eoe(second) + build_pulse(WallNs(second + NS_PER_SECOND), 5)
        told += assembler.feed(burst, HostNs(0), MonoNs(0))
    assert [event.second for event in told if isinstance(event, TimeMessage)] == [SECOND, NEXT]
    corrections = [event for event in told if isinstance(event, PulseCorrection)]
    assert corrections[0] == PulseCorrection(NEXT, 5)
    (reception,) = (event for event in told if isinstance(event, Reception))
    assert reception.troubles == (Trouble(Doubt.ROLLOVER, "names 2006-07-03, taken for 2026-02-16"),)


def test_an_early_date_without_a_fix_is_implausible():
    assert assemble(build_pvt(at("2006-07-03T12:00:00"), Sky(satellites=0)))[0] == rejected(Reason.IMPLAUSIBLE)


def test_second_60_dates_nothing():
    events = assemble(patched(build_pvt(at("2026-06-30T23:59:59"), SKY), 10, b"\x3c"))
    assert events[0] == rejected(Reason.LEAP_SECOND)


@pytest.mark.parametrize(
    ("position", "value"),
    [
        (0, struct.pack("<I", 604_800_000)),
        (6, b"\x0d"),
        (7, b"\x00"),
        (8, b"\x18"),
        (9, b"\x3c"),
        (10, b"\x3d"),
        (16, struct.pack("<i", -2_000_000_000)),
    ],
)
def test_values_that_no_receiver_sends_are_implausible(position, value):
    assert assemble(patched(build_pvt(SECOND, SKY), position, value)) == [rejected(Reason.IMPLAUSIBLE)]


def test_counts_that_do_not_fit_the_length_are_implausible():
    assert assemble(patched(build_satellites(SECOND, SKY), 5, b"\xff")) == [rejected(Reason.IMPLAUSIBLE)]
    assert assemble(patched(build_radio(), 1, b"\x02")) == [rejected(Reason.IMPLAUSIBLE)]


def test_a_repeated_second_is_stale():
    assembler = UbxAssembler()
    assembler.feed(build_pvt(SECOND, SKY), HostNs(0), MonoNs(0))
    assembler.flush()
    assembler.feed(build_pvt(SECOND, SKY), HostNs(0), MonoNs(0))
    assert assembler.flush() == [rejected(Reason.STALE)]


@pytest.mark.parametrize(
    ("now", "change", "event_in", "leap"),
    [
        ("2026-06-30T12:00:00", 1, 43_200, 1),
        ("2026-06-30T12:00:00", -1, 43_199, 2),
        ("2026-06-01T00:00:00", 1, 30 * 86_400, 1),
        ("2026-06-30T23:59:59", 1, 1, 1),
        ("2026-05-31T23:59:59", 1, 30 * 86_400 + 1, 0),
        ("2026-06-30T12:00:00", 0, 43_200, 0),
        ("2026-07-01T00:00:00", 1, 0, 0),
        ("2026-07-01T12:00:00", 1, -43_200, 0),
    ],
)
def test_a_leap_second_is_announced_in_the_month_that_it_ends(now, change, event_in, leap):
    frames = build_pvt(at(now), SKY) + build_timels(at(now), change=change, event_in=event_in)
    assert [message.leap for message in assemble(frames)] == [leap]


def test_what_is_not_known_of_leap_seconds_is_not_said():
    assert [message.leap for message in assemble(build_pvt(SECOND, SKY))] == [None]
    for position, value in ((23, b"\x01"), (10, b"\x00")):  # not valid; from no source
        unknown = patched(build_timels(SECOND, change=1, event_in=60), position, value)
        assert [message.leap for message in assemble(build_pvt(SECOND, SKY), unknown)] == [None]
    assert rejected(Reason.IMPLAUSIBLE) in assemble(patched(build_timels(SECOND), 11, b"\x02"))


def test_a_correction_in_utc_names_its_second_at_once():
    assert assemble(build_pulse(NEXT, -11_234)) == [PulseCorrection(NEXT, -11_234)]


@pytest.mark.parametrize(("sign", "corrections"), [(1, [7]), (-1, [-7]), (0, [])])
def test_the_pulse_error_is_added_subtracted_or_ignored(sign, corrections):
    told = UbxAssembler(sawtooth_sign=sign).feed(build_pulse(NEXT, 7), HostNs(0), MonoNs(0))
    assert [each.correction_ps for each in told if isinstance(each, PulseCorrection)] == corrections


@pytest.mark.parametrize("year", [1, 1979, 2262, 9999])
def test_no_year_raises(year):
    payload = struct.pack("<IIiHBBBBBB", 0, 30, 0, year, 12, 31, 23, 59, 59, 7)
    leap = struct.pack("<IB3xBbBbi7xB", 0, 0, 2, 18, 2, 1, 2**31 - 1, 3)
    status = struct.pack("<IBBBBII", 0, 3, 0b1101, 0, 0, 0, 0)
    assemble(build_frame(0x0121, payload), build_frame(0x0103, status), build_frame(0x0126, leap), build_pulse(NEXT, 1))


def test_a_correction_in_gps_time_waits_until_the_leap_seconds_are_seen():
    assembler = UbxAssembler()
    pulse = build_pulse(NEXT, 5_000, utc=False)
    assert assembler.feed(pulse, HostNs(0), MonoNs(0)) == []
    assembler.feed(build_pvt(SECOND, SKY), HostNs(0), MonoNs(0))
    assembler.flush()
    assert assembler.feed(pulse, HostNs(0), MonoNs(0)) == [PulseCorrection(NEXT, 5_000)]


def test_a_correction_across_the_end_of_the_gps_week_names_its_second():
    assembler = UbxAssembler()
    second = at("2026-02-15T00:00:10")  # 8 s before GPS time turned
    assembler.feed(build_pvt(second, SKY), HostNs(0), MonoNs(0))
    assembler.flush()
    pulse = build_pulse(WallNs(second + NS_PER_SECOND), 1, utc=False)
    assert assembler.feed(pulse, HostNs(0), MonoNs(0)) == [PulseCorrection(WallNs(second + NS_PER_SECOND), 1)]


@pytest.mark.parametrize(
    ("position", "value"),
    [(14, b"\x1b"), (14, b"\x01"), (14, b"\x02\x01"), (14, b"\x2b")],
    ids=["invalid", "no UTC", "GLONASS", "no lock"],
)
def test_a_correction_that_cannot_be_used_is_not_told(position, value):
    assert assemble(build_pvt(SECOND, SKY), patched(build_pulse(NEXT), position, value)) == assemble(
        build_pvt(SECOND, SKY)
    )


def test_a_correction_beyond_all_quantisation_is_implausible():
    assert assemble(build_pulse(NEXT, 1_000_001)) == [rejected(Reason.IMPLAUSIBLE)]


ANTENNA_OPEN = Trouble(Doubt.ANTENNA, "antenna open")
JAMMED = Trouble(Doubt.JAMMING, "jamming prevents a fix", severe=True)
SPOOFED = Trouble(Doubt.SPOOFING, "spoofing suspected")


def test_troubles_are_told_when_they_come_and_when_they_end():
    assembler = UbxAssembler()
    told: list[Event] = []
    for frame in (
        build_radio((2, 1), (2, 1)),
        build_radio((2, 1), (4, 3)),
        build_radio((2, 1), (4, 3)),
        build_status(SECOND, SKY, spoofing=2),
        build_radio((2, 1)),
        build_status(SECOND, SKY),
    ):
        told += assembler.feed(frame, HostNs(0), MonoNs(0))
    assert told == [
        Reception((ANTENNA_OPEN, JAMMED)),
        Reception((ANTENNA_OPEN, JAMMED, SPOOFED)),
        Reception((SPOOFED,)),
        Reception(()),
    ]


@pytest.mark.parametrize("length", [60, 68])
def test_the_older_message_about_the_antenna_is_understood(length):
    payload = bytearray(length)
    payload[20], payload[22] = 3, 2 << 2
    assert assemble(build_frame(Kind.MON_HW, bytes(payload))) == [
        Reception((Trouble(Doubt.ANTENNA, "antenna shorted"), Trouble(Doubt.JAMMING, "jamming")))
    ]


@pytest.mark.parametrize("version", [1, 2])
def test_the_security_message_tells_of_jamming_and_forgery(version):
    assert assemble(build_security(3, 2, version=version)) == [
        Reception((Trouble(Doubt.JAMMING, "critical jamming", severe=True), SPOOFED))
    ]
    assert assemble(build_security(1, 1, version=version)) == []
    blind = patched(build_security(3, 3, version=version), 1 if version == 2 else 4, b"\x06")
    assert SPOOFED not in assemble(blind)
    assert assemble(patched(build_security(), 0, b"\x03")) == [rejected(Reason.IMPLAUSIBLE)]


def test_what_one_message_says_of_forgery_does_not_silence_the_other():
    assembler = UbxAssembler()
    burst = build_status(SECOND, SKY, spoofing=2) + build_security(1, 1)
    assert assembler.feed(burst, HostNs(0), MonoNs(0)) == [Reception((SPOOFED,))]


@pytest.mark.parametrize("build", [build_tim_svin, partial(build_nav_svin, SECOND)])
def test_a_survey_is_told_each_time_that_it_has_doubled_until_it_has_ended(build):
    assembler = UbxAssembler()
    told: list[Any] = []
    for duration in range(1_300):
        told += assembler.feed(
            build(duration, 20 / (duration + 1) ** 0.5, running=duration < 1_240), HostNs(0), MonoNs(0)
        )
    texts = [trouble.text for event in told for trouble in event.troubles]
    assert texts[:2] == ["survey-in: 0 s, 20.0 m", "survey-in: 1 s, 14.1 m"]
    assert "survey-in: 512 s, 0.9 m" in texts
    assert len(texts) == 12
    assert told[-1] == Reception(())
