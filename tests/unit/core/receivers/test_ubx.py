"""What is made of UBX messages, one navigation epoch after the other."""

import struct
from datetime import UTC, datetime
from typing import Any

import pytest

from ntp_usg.core.base.doubts import Doubt, Trouble
from ntp_usg.core.base.instants import NS_PER_SECOND, HostNs, MonoNs, WallNs
from ntp_usg.core.base.samples import Fix, FixQuality, PulseCorrection, Reception, TimeMessage
from ntp_usg.core.base.verdicts import Outcome, Reason, Verdict
from ntp_usg.core.receivers.nmea import BURST_SILENCE_NS
from ntp_usg.core.receivers.ubx import Event, UbxAssembler
from ntp_usg.core.receivers.ubx_framing import Kind, build_frame
from ntp_usg.simulate.sentences import Sky
from ntp_usg.simulate.ubx import (
    build_pulse,
    build_pvt,
    build_radio,
    build_satellites,
    build_status,
    build_timels,
    build_timeutc,
    build_ubx_burst,
)

SECOND = WallNs(1_771_243_200 * NS_PER_SECOND)
NEXT = WallNs(SECOND + NS_PER_SECOND)
SKY = Sky(satellites=9)


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
        TimeMessage(SECOND, HostNs(7), Fix(FixQuality.GPS, satellites_used=9, satellites_in_view=12), leap=0),
    ]


def test_bytes_of_a_known_moment_are_read_as_the_manual_says():
    # 2026-02-16 12:00:00 UTC, 43218 s into that Monday of the GPS week: 129618 s.
    payload = struct.pack("<IIiHBBBBBB", 129_618_000, 30, 0, 2026, 2, 16, 12, 0, 0, 7)
    status = struct.pack("<IBBBBII", 129_618_000, 3, 0b1101, 0, 0, 0, 0)
    assert assemble(build_frame(0x0121, payload), build_frame(0x0103, status)) == [
        TimeMessage(at("2026-02-16T12:00:00"), HostNs(7), Fix(FixQuality.GPS))
    ]


def test_an_epoch_ends_where_the_next_begins():
    assembler = UbxAssembler()
    assert assembler.feed(build_pvt(SECOND, SKY), HostNs(1), MonoNs(0)) == []
    (message,) = assembler.feed(build_pvt(NEXT, SKY), HostNs(2), MonoNs(1))
    assert message == TimeMessage(SECOND, HostNs(1), Fix(FixQuality.GPS, satellites_used=9))


def test_an_epoch_ends_after_a_silence():
    assembler = UbxAssembler()
    assert assembler.deadline() is None
    assembler.feed(build_pvt(SECOND, SKY), HostNs(1), MonoNs(5))
    assert assembler.deadline() == 5 + BURST_SILENCE_NS
    (message,) = assembler.feed(b"", HostNs(2), MonoNs(5 + BURST_SILENCE_NS))
    assert isinstance(message, TimeMessage)
    assert assembler.deadline() is None


def test_an_older_receiver_without_pvt_is_understood():
    (message,) = assemble(build_status(SECOND, SKY), build_timeutc(SECOND), build_satellites(SECOND, SKY))
    assert message == TimeMessage(SECOND, HostNs(7), Fix(FixQuality.GPS, satellites_used=9, satellites_in_view=12))


@pytest.mark.parametrize("quality", [quality for quality in FixQuality if quality not in {3, 7, 8}])
def test_every_quality_of_a_fix_is_known_from_pvt_whatever_status_says(quality):
    sky = Sky(9, quality)
    (before,) = assemble(build_pvt(SECOND, sky), build_status(SECOND, sky))
    (after,) = assemble(build_status(SECOND, sky), build_pvt(SECOND, sky))
    assert before == after
    assert before.fix == Fix(quality, satellites_used=sky.used)


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
    assert events == [rejected(Reason.NO_DATE), Fix(FixQuality.GPS, satellites_used=9)]


@pytest.mark.parametrize("order", [1, -1])
def test_leap_seconds_that_are_not_known_spoil_the_other_messages_time_too(order):
    frames = [build_pvt(SECOND, SKY), build_timeutc(SECOND, valid=0b011)][::order]
    assert rejected(Reason.NO_DATE) in assemble(*frames)


def test_a_date_of_an_earlier_gps_era_is_implausible():
    events = assemble(build_pvt(at("2006-07-03T12:00:00"), SKY))
    assert events[0] == rejected(Reason.IMPLAUSIBLE)


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
    ("position", "value"), [(14, b"\x1b"), (14, b"\x01"), (14, b"\x02\x01")], ids=["invalid", "no UTC", "GLONASS"]
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
