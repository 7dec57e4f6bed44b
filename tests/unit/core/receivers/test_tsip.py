"""What is made of TSIP packets, one pulse after the other."""

import math
import struct
from datetime import UTC, datetime
from typing import Any

import pytest

from ntp_usg.core.base.doubts import Doubt, Trouble
from ntp_usg.core.base.instants import NS_PER_SECOND, HostNs, MonoNs, WallNs
from ntp_usg.core.base.samples import Fix, FixQuality, Reception, TimeMessage
from ntp_usg.core.base.verdicts import Outcome, Reason, Verdict
from ntp_usg.core.receivers.commands import Command
from ntp_usg.core.receivers.nmea import BURST_SILENCE_NS
from ntp_usg.core.receivers.tsip import TsipAssembler
from ntp_usg.core.receivers.tsip_framing import Kind, build_packet
from ntp_usg.simulate.sentences import Sky
from ntp_usg.simulate.tsip import (
    build_comprehensive,
    build_palisade_burst,
    build_primary,
    build_satellites,
    build_supplemental,
    build_tracked_satellites,
    build_utc_time,
)

SKY = Sky(satellites=9)
BLIND = Sky(quality=FixQuality.NO_FIX)
LATER = MonoNs(NS_PER_SECOND)


def at(text):
    return WallNs(int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * NS_PER_SECOND)


SECOND = at("2026-02-16T12:00:00")
NEXT = WallNs(SECOND + NS_PER_SECOND)


def assemble(*packets, **options) -> list[Any]:
    assembler = TsipAssembler(**options)
    return assembler.feed(b"".join(packets), HostNs(7), LATER) + assembler.flush()


def rejected(reason):
    return Verdict(Outcome.REJECTED, reason)


def messages(*packets, **options):
    return [event for event in assemble(*packets, **options) if isinstance(event, TimeMessage)]


def troubles(*packets):
    return [event.troubles for event in assemble(*packets) if isinstance(event, Reception)]


def test_what_follows_a_pulse_is_one_time_message():
    (message,) = assemble(build_primary(SECOND), build_supplemental(SKY), build_satellites(SKY))
    assert message.second == SECOND
    assert message.received_at == 7
    assert (message.fix.quality, message.fix.satellites_used, message.fix.dimensions) == (FixQuality.GPS, 9, 1)
    assert (message.fix.pdop, message.fix.tdop) == (2.0, 1.0)
    assert message.fix.position.latitude_deg == pytest.approx(51.4779)
    assert message.leap == 0
    assert message.arrivals == (("8F-AB", 7), ("8F-AC", 7), ("6D", 7))


def test_a_packet_that_the_line_spoilt_once_costs_nothing():
    assembler, told = TsipAssembler(), []
    for second in range(6):
        at = WallNs(SECOND + second * NS_PER_SECOND)
        others = b"" if second == 4 else build_supplemental(SKY) + build_satellites(SKY)
        told += assembler.feed(build_primary(at) + others, HostNs(7), MonoNs((second + 1) * NS_PER_SECOND))
    told += assembler.flush()
    fixes = [event.fix for event in told if isinstance(event, TimeMessage)]
    assert [(fix.quality, fix.satellites_used) for fix in fixes] == 6 * [(FixQuality.GPS, 9)]


def test_bytes_of_a_known_moment_are_read_as_the_manual_says():
    # A Resolution SMT 360 on GPS time: 2019-10-22 18:38:29 is second 239909 of week 2076; seven years on is 2441.
    packet = struct.pack(">BBIHhBBBBBBH", 0x8F, 0xAB, 239_909, 2076 + 365, 18, 0, 29, 38, 18, 20, 10, 2026)
    (message,) = messages(b"\x10" + packet.replace(b"\x10", b"\x10\x10") + b"\x10\x03", build_supplemental(SKY))
    assert message.second == at("2026-10-20T18:38:11")


@pytest.mark.parametrize("utc", [True, False])
def test_time_is_utc_whatever_the_receiver_counts(utc):
    assert [message.second for message in messages(build_primary(SECOND, utc=utc), build_supplemental(SKY))] == [SECOND]


@pytest.mark.parametrize("flags", [4, 8, 16])
def test_time_that_is_not_set_or_typed_in_or_without_leap_seconds_is_not_believed_but_the_fix_is_told(flags):
    events = assemble(build_primary(SECOND, flags=flags), build_supplemental(SKY))
    assert events[0] == rejected(Reason.NO_DATE)
    assert events[1].quality is FixQuality.GPS


def test_a_date_that_is_not_that_of_the_week_is_implausible():
    payload = bytearray(struct.pack(">IHhBBBBBBH", 129_618, 2406, 18, 3, 0, 0, 12, 16, 2, 2026))
    assert messages(build_packet(Kind.PRIMARY_TIMING, bytes(payload)), build_supplemental(SKY))
    for place in (3, 5, 7, 9, 10, 11, 12, 13, 15):
        spoilt = payload.copy()
        spoilt[place] ^= 1
        assert rejected(Reason.IMPLAUSIBLE) in assemble(build_packet(Kind.PRIMARY_TIMING, bytes(spoilt)))


@pytest.mark.parametrize("second", ["2026-07-01T00:00:00", "2026-06-30T23:59:59"])
def test_second_60_dates_nothing(second):
    packet = bytearray(build_primary(at(second)))
    packet[packet.index(b"\x12\x03") + 2] = 60  # after an offset of 18 and flags of 3
    assert rejected(Reason.LEAP_SECOND) in assemble(bytes(packet), build_supplemental(SKY))


def test_weeks_that_the_firmware_has_lost_are_found_again():
    events = assemble(build_primary(SECOND, weeks_lost=1024), build_supplemental(SKY))
    assert events[0] == Reception((Trouble(Doubt.ROLLOVER, "names 2006-07-03, taken for 2026-02-16"),))
    assert events[1].second == SECOND


def test_a_wrong_date_without_a_fix_is_implausible():
    assert rejected(Reason.IMPLAUSIBLE) in assemble(build_primary(SECOND, weeks_lost=1024), build_supplemental(BLIND))


def test_a_burst_ends_where_the_next_begins():
    assembler = TsipAssembler()
    burst = build_primary(SECOND) + build_supplemental(SKY)
    assert assembler.feed(burst, HostNs(1), LATER) == []
    (message,) = assembler.feed(build_primary(NEXT), HostNs(2), LATER)
    assert isinstance(message, TimeMessage)
    assert (message.second, message.received_at) == (SECOND, 1)


def test_a_burst_ends_after_a_silence():
    assembler = TsipAssembler()
    assert assembler.deadline() is None
    assembler.feed(build_primary(SECOND) + build_supplemental(SKY), HostNs(1), LATER)
    assert assembler.deadline() == LATER + BURST_SILENCE_NS
    (message,) = assembler.feed(b"", HostNs(2), MonoNs(LATER + BURST_SILENCE_NS))
    assert isinstance(message, TimeMessage)
    assert assembler.deadline() is None


def test_what_was_begun_before_a_silence_stamps_nothing():
    assembler = TsipAssembler()
    assembler.feed(build_primary(SECOND)[:7], HostNs(1), LATER)
    assembler.feed(build_primary(NEXT), HostNs(2), MonoNs(2 * LATER))
    (message,) = assembler.flush()
    assert isinstance(message, TimeMessage)
    assert message.received_at == 2


def test_a_repeated_second_is_stale():
    burst = build_primary(SECOND) + build_supplemental(SKY)
    assert rejected(Reason.STALE) in assemble(burst, burst)


def test_a_time_alone_is_no_fix():
    (message,) = messages(build_primary(SECOND))
    assert message.fix == Fix(FixQuality.NO_FIX)


@pytest.mark.parametrize(("mode", "dimensions"), [(0, 3), (1, 1), (3, 2), (4, 3), (5, 1), (6, 2), (7, 1), (9, None)])
def test_the_receivers_mode_says_what_it_computes(mode, dimensions):
    (message,) = messages(build_primary(SECOND), build_supplemental(SKY, mode=mode))
    assert (message.fix.quality, message.fix.dimensions) == (FixQuality.GPS, dimensions)


def test_a_receiver_that_tracks_nothing_has_no_fix_and_is_in_holdover():
    events = assemble(build_primary(SECOND), build_supplemental(BLIND, holdover=700), build_satellites(BLIND))
    assert events[0] == Reception((Trouble(Doubt.OSCILLATOR, "holdover for more than 10 minutes"),))
    fix = events[1].fix
    assert (fix.quality, fix.dimensions, fix.satellites_used, fix.pdop) == (FixQuality.NO_FIX, None, 0, None)


@pytest.mark.parametrize(
    ("state", "trouble"),
    [
        ({"minor": 1 << 1}, Trouble(Doubt.ANTENNA, "antenna open")),
        ({"minor": 1 << 2}, Trouble(Doubt.ANTENNA, "antenna shorted")),
        ({"minor": 1 << 5, "survey": 62}, Trouble(Doubt.SURVEY, "self-survey 60 %")),
        ({"minor": 1 << 9}, Trouble(Doubt.MOVED, "its position is questionable")),
        ({"minor": 1}, Trouble(Doubt.FAULT, "oscillator near the end of its range")),
        ({"critical": 16}, Trouble(Doubt.FAULT, "oscillator at the end of its range", severe=True)),
        ({"critical": 3}, Trouble(Doubt.FAULT, "ROM fault, RAM fault", severe=True)),
        ({"discipline": 1}, Trouble(Doubt.OSCILLATOR, "powering up")),
        ({"discipline": 3, "holdover": 90_000}, Trouble(Doubt.OSCILLATOR, "holdover by command for more than a day")),
        ({"discipline": 4, "holdover": 59}, Trouble(Doubt.OSCILLATOR, "recovering from holdover")),
        ({"discipline": 6}, Trouble(Doubt.OSCILLATOR, "not disciplined")),
    ],
)
def test_alarms_are_told_in_words(state, trouble):
    assert troubles(build_supplemental(SKY, **state)) == [(trouble,)]


def test_troubles_are_told_when_they_come_and_when_they_end():
    told = troubles(
        build_supplemental(SKY, minor=2),
        build_supplemental(SKY, minor=2),
        build_supplemental(BLIND),
        build_supplemental(SKY),
        build_supplemental(SKY),
    )
    assert told == [
        (Trouble(Doubt.ANTENNA, "antenna open"),),
        (Trouble(Doubt.OSCILLATOR, "holdover"),),
        (),
    ]


@pytest.mark.parametrize(("now", "leap"), [("2026-06-30T12:00:00", 1), ("2026-05-30T12:00:00", 0)])
def test_a_leap_second_that_is_pending_is_that_of_june_or_december(now, leap):
    (message,) = messages(build_primary(at(now)), build_supplemental(SKY, minor=1 << 7))
    assert message.leap == leap


def test_satellites_that_are_left_out_are_not_used():
    (message,) = messages(build_primary(SECOND), build_supplemental(SKY), build_satellites(SKY, rejected=2))
    assert message.fix.satellites_used == 9


def test_satellites_of_several_systems_are_counted():
    (message,) = messages(build_primary(SECOND), build_supplemental(SKY), build_tracked_satellites(Sky(satellites=20)))
    assert message.fix.satellites_used == 20


@pytest.mark.parametrize("value", [math.nan, math.inf, 4.0])
def test_a_position_off_the_earth_is_implausible(value):
    packet = bytearray(67)
    packet[35:43] = struct.pack(">d", value)
    assert assemble(build_packet(Kind.SUPPLEMENTAL_TIMING, bytes(packet))) == [rejected(Reason.IMPLAUSIBLE)]


@pytest.mark.parametrize("kind", [kind for kind in Kind if kind not in {Kind.UTC_MODE, Kind.BROADCAST_MASK}])
@pytest.mark.parametrize("length", [0, 15, 80])
def test_a_packet_of_another_length_is_implausible(kind, length):
    assert assemble(build_packet(kind, bytes(length))) == [rejected(Reason.IMPLAUSIBLE)]


def test_what_is_of_no_use_to_a_clock_is_passed_over():
    assert assemble(build_packet(0x41, bytes(10)), build_packet(0x8F20, bytes(56)), b"$GPZDA,noise*00\r\n") == []


def test_what_follows_a_pulse_of_a_palisade_is_one_time_message():
    (message,) = assemble(build_palisade_burst(SECOND, Sky(satellites=6)))
    assert (message.second, message.leap, message.received_at) == (SECOND, 0, 7)
    fix = message.fix
    assert (fix.quality, fix.satellites_used, fix.dimensions) == (FixQuality.GPS, 6, 1)
    assert message.arrivals == (("8F-AD", 7), ("8F-0B", 7))


def test_either_packet_of_a_palisade_will_do():
    (short,) = messages(build_utc_time(SECOND, SKY))
    (long,) = messages(build_comprehensive(SECOND, SKY))
    assert (short.second, short.fix.satellites_used) == (SECOND, None)
    assert (long.second, long.fix.satellites_used) == (SECOND, 8)


def test_an_external_event_is_no_pulse():
    assert (
        assemble(build_utc_time(SECOND, SKY, event=3, fraction=0.25), build_comprehensive(SECOND, SKY, event=3)) == []
    )


@pytest.mark.parametrize(
    ("tracking", "quality"), [(0, 1), (1, 1), (2, 0), (7, 0), (8, 0), (11, 0), (12, 2), (13, 1), (77, 0)]
)
def test_the_tracking_status_says_how_good_the_fix_is(tracking, quality):
    (message,) = messages(build_utc_time(SECOND, SKY, tracking=tracking))
    assert message.fix.quality == quality


def test_without_utc_there_is_no_date():
    assert assemble(build_utc_time(SECOND, SKY, flags=0))[0] == rejected(Reason.NO_DATE)
    assert assemble(build_comprehensive(SECOND, SKY, gps_ahead=0))[0] == rejected(Reason.NO_DATE)


def test_a_leap_second_is_announced_a_day_ahead_and_dates_nothing():
    (message,) = messages(build_utc_time(at("2026-12-31T12:00:00"), SKY, flags=3))
    assert message.leap == 1
    burst = build_utc_time(at("2026-12-31T23:59:59"), SKY, flags=9) + build_comprehensive(SECOND, SKY)
    assert assemble(burst)[0] == rejected(Reason.LEAP_SECOND)


@pytest.mark.parametrize("fraction", [0.3, math.nan, 1e300])
def test_a_pulse_between_seconds_is_implausible(fraction):
    assert assemble(build_utc_time(SECOND, SKY, fraction=fraction)) == [rejected(Reason.IMPLAUSIBLE)]


def test_a_receiver_that_may_be_asked_is_asked_for_its_satellites_after_each_pulse():
    def asked(**options):
        events = assemble(build_primary(SECOND), build_supplemental(SKY), build_primary(NEXT), **options)
        return [event for event in events if isinstance(event, Command)]

    assert asked(configure=True) == [Command(b"\x10\x24\x10\x03")] * 2
    assert asked() == []
    assert TsipAssembler().opened(LATER) == []


@pytest.mark.parametrize("year", [1, 1979, 2262, 9999])
@pytest.mark.parametrize("gps_ahead", [-32_768, 18, 32_767])
def test_no_year_raises(year, gps_ahead):
    second = int((datetime(year, 1, 1, tzinfo=UTC) - datetime(1980, 1, 6, tzinfo=UTC)).total_seconds()) + gps_ahead
    week, of_week = divmod(second % (1024 * 604_800), 604_800)
    packet = struct.pack(">IHhBBBBBBH", of_week, week, gps_ahead, 3, 0, 0, 0, 1, 1, year)
    events = assemble(build_packet(Kind.PRIMARY_TIMING, packet), build_supplemental(SKY))
    assert rejected(Reason.IMPLAUSIBLE) in events or any(isinstance(event, TimeMessage) for event in events)
