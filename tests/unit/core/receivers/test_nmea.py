"""Sentences are read strictly, and all that name one second become one message."""

from datetime import UTC, date, datetime

import pytest

from ntp_usg.core.base.errors import WireError
from ntp_usg.core.base.instants import HostNs, MonoNs, WallNs
from ntp_usg.core.base.samples import Fix, FixQuality, TimeMessage
from ntp_usg.core.base.verdicts import Outcome, Reason, Verdict
from ntp_usg.core.receivers.nmea import (
    BURST_SILENCE_NS,
    ChecksumError,
    NmeaAssembler,
    Sentence,
    build_sentence,
    parse_sentence,
)

SECOND = 10**9
HALF_PAST_NOON = 45_000 * SECOND  # 12:30:00 as nanoseconds of the day

RMC = "GPRMC,123000.00,A,5128.674,N,00000.088,W,0.012,,160626,,,A"
GGA = "GPGGA,123000.00,5128.674,N,00000.088,W,1,08,0.9,46.9,M,45.5,M,,"
ZDA = "GPZDA,123000.00,16,06,2026,00,00"


def unix(text: str) -> WallNs:
    return WallNs(round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * SECOND)


def parse(body: str) -> Sentence:
    return parse_sentence(build_sentence(body).rstrip())


def rejected(reason: Reason) -> Verdict:
    return Verdict(Outcome.REJECTED, reason)


def assemble(*bodies: str, assembler: NmeaAssembler | None = None) -> list[TimeMessage | Fix | Verdict]:
    """The events of sentences that arrive one a millisecond, and of the silence after them."""
    assembler = assembler or NmeaAssembler()
    events = []
    for milliseconds, body in enumerate(bodies):
        now = milliseconds * 1_000_000
        events += assembler.feed(build_sentence(body), HostNs(now), MonoNs(now))
    return events + assembler.flush()


# Sentences


def test_a_built_sentence_has_the_checksum_of_the_standards_example():
    assert build_sentence("GPGLL,5300.97914,N,00259.98174,E,125926,A") == (
        b"$GPGLL,5300.97914,N,00259.98174,E,125926,A*28\r\n"
    )


def test_gga_tells_time_and_fix_but_no_date():
    assert parse(GGA) == Sentence(time_of_day_ns=HALF_PAST_NOON, fix=Fix(FixQuality.GPS, satellites_used=8, hdop=0.9))


def test_rmc_tells_time_date_and_whether_it_is_valid():
    assert parse(RMC) == Sentence(time_of_day_ns=HALF_PAST_NOON, day=date(2026, 6, 16), valid=True)
    assert parse(RMC.replace(",A,51", ",V,51")).valid is False


@pytest.mark.parametrize("mode", "EMNS")
def test_rmc_without_satellites_behind_it_is_not_valid(mode):
    assert parse(RMC[:-1] + mode).valid is False


def test_rmc_of_old_receivers_has_no_mode_and_is_valid_all_the_same():
    assert parse(RMC.removesuffix(",A")).valid is True


@pytest.mark.parametrize(("written", "year"), [("79", 2079), ("80", 1980), ("99", 1999), ("00", 2000)])
def test_the_two_digits_of_a_year_begin_with_1980(written, year):
    day = parse(RMC.replace("160626", "1606" + written)).day
    assert day is not None
    assert day.year == year


def test_zda_tells_time_and_date():
    assert parse(ZDA) == Sentence(time_of_day_ns=HALF_PAST_NOON, day=date(2026, 6, 16))


@pytest.mark.parametrize("talker", ["GP", "GN", "GL", "GA", "GB", "BD", "GQ", "QZ", "GI"])
def test_every_satellite_system_may_talk(talker):
    assert parse(talker + ZDA[2:]) == parse(ZDA)


@pytest.mark.parametrize(
    "body", ["GPVTG,,,,,,,,,N", "PUBX,00,123000.00", "GPTXT,01,01,02,ANTSTATUS=OK", "IIZDA,123000", "GP", ","]
)
def test_a_sentence_of_no_use_to_a_clock_says_nothing(body):
    assert parse(body) == Sentence()


def test_a_receiver_that_knows_nothing_yet_says_so():
    assert parse("GPRMC,,V,,,,,,,,,,N") == Sentence(valid=False)
    assert parse("GPGGA,,,,,,0,00,99.99,,,,,,") == Sentence(fix=Fix(FixQuality.NO_FIX, satellites_used=0, hdop=99.99))
    assert parse("GPGGA") == Sentence(fix=Fix(FixQuality.NO_FIX))
    assert parse("GPZDA,,,,,00,00") == Sentence()
    assert parse("GPGSV") == Sentence()


@pytest.mark.parametrize(
    ("written", "nanoseconds"),
    [
        ("000000", 0),
        ("235959.999", 86_399_999_000_000),
        ("123000.5", HALF_PAST_NOON + SECOND // 2),
        ("123000.", HALF_PAST_NOON),
    ],
)
def test_fractions_of_a_second_are_kept(written, nanoseconds):
    assert parse(f"GPZDA,{written},,,").time_of_day_ns == nanoseconds


def test_second_60_is_read_as_the_day_it_belongs_to():
    assert parse("GPZDA,235960.00,31,12,2028,00,00") == Sentence(time_of_day_ns=86_400 * SECOND, day=date(2028, 12, 31))


@pytest.mark.parametrize(
    "written", ["240000", "996199", "126000", "123060", "235961", "12300", "1230000", "12:30:00", "+12300", "123000.x"]
)
def test_a_time_that_cannot_be_raises_wire_error(written):
    for body in (ZDA, RMC, GGA):
        with pytest.raises(WireError):
            parse(body.replace("123000.00", written))


IMPOSSIBLE_DATES = "99,06,2026 31,06,2026 29,02,2027 16,13,2026 00,06,2026 16,06,26 16,06,0000 ,06,2026 1_,06,2026"


@pytest.mark.parametrize("written", IMPOSSIBLE_DATES.split())
def test_a_date_that_cannot_be_raises_wire_error(written):
    with pytest.raises(WireError):
        parse(ZDA.replace("16,06,2026", written))


@pytest.mark.parametrize("written", ["990626", "310626", "161326", "000626", "1606", "16062026", "16 626"])
def test_a_short_date_that_cannot_be_raises_wire_error(written):
    with pytest.raises(WireError):
        parse(RMC.replace("160626", written))


@pytest.mark.parametrize(
    ("good", "bad"),
    [(",1,08,", ",9,08,"), (",1,08,", ",A,08,"), (",08,", ",8_8,"), (",0.9,", ",nan,"), (",0.9,", ",1e9,")],
)
def test_a_fix_that_cannot_be_raises_wire_error(good, bad):
    with pytest.raises(WireError):
        parse(GGA.replace(good, bad))


WHOLE = build_sentence(ZDA).strip()
CUT = [WHOLE[:-3], WHOLE[:-1], WHOLE[1:], WHOLE + b" ", WHOLE + WHOLE, WHOLE.replace(b"6,2", b"7,2")]
NOISE = [b"", b"$", b"*", b"$*00", b"*47", b"$GPZDA*G0", "$GPZDA*48".encode("utf-16"), b"$\xff\xfe*0 1"]


@pytest.mark.parametrize("line", CUT + NOISE)
def test_a_line_without_its_right_checksum_raises_checksum_error(line):
    with pytest.raises(ChecksumError):
        parse_sentence(line)


def test_a_checksum_may_be_written_in_small_letters():
    line = build_sentence("GNZDA,123000.00,16,06,2026,00,00").strip()
    assert line[-2:] != line[-2:].lower()
    assert parse_sentence(line[:-2] + line[-2:].lower()) == parse(ZDA)


# Bursts


def test_the_sentences_of_a_second_become_one_message():
    assert assemble(RMC, GGA, "GPGSV,3,1,11", "GLGSV,1,1,04", ZDA) == [
        TimeMessage(
            unix("2026-06-16T12:30:00"),
            HostNs(0),
            Fix(FixQuality.GPS, satellites_used=8, satellites_in_view=15, hdop=0.9),
        )
    ]


@pytest.mark.parametrize("order", [(RMC, GGA, ZDA), (GGA, ZDA, RMC), (ZDA, RMC, GGA)])
def test_the_order_of_sentences_does_not_matter(order):
    assert assemble(*order) == assemble(RMC, GGA, ZDA)


def test_a_systems_signals_do_not_count_its_satellites_twice():
    (message,) = assemble(RMC, "GPGSV,3,1,11", "GPGSV,3,2,11", "GPGSV,2,1,07")
    assert isinstance(message, TimeMessage)
    assert message.fix.satellites_in_view == 11


def test_a_message_comes_as_soon_as_another_second_is_named():
    assembler = NmeaAssembler()
    assert assembler.feed(build_sentence(RMC), HostNs(5), MonoNs(5)) == []
    (message,) = assembler.feed(build_sentence(ZDA.replace("123000", "123001")), HostNs(7), MonoNs(7))
    assert isinstance(message, TimeMessage)
    assert message.received_at == 5
    (following,) = assembler.flush()
    assert isinstance(following, TimeMessage)
    assert (following.second - message.second, following.received_at) == (SECOND, 7)


def test_a_message_comes_after_a_silence_that_the_reader_noticed_or_slept_through():
    assembler = NmeaAssembler()
    assert assembler.deadline() is None
    assembler.feed(build_sentence(RMC), HostNs(0), MonoNs(10))
    assert assembler.deadline() == 10 + BURST_SILENCE_NS
    assert len(assembler.feed(b"", HostNs(0), MonoNs(10 + BURST_SILENCE_NS))) == 1
    assert assembler.deadline() is None


def test_bytes_within_the_silence_keep_a_burst_open():
    assembler = NmeaAssembler()
    for now in range(0, 5 * BURST_SILENCE_NS, BURST_SILENCE_NS - 1):
        assert assembler.feed(build_sentence(RMC), HostNs(now), MonoNs(now)) == []


def test_the_stamp_is_of_the_bursts_first_byte_whatever_sentence_it_begins():
    assembler = NmeaAssembler()
    assembler.feed(b"$GP", HostNs(1), MonoNs(1))
    assembler.feed(build_sentence("GPGSV,3,1,11")[3:], HostNs(2), MonoNs(2))
    assembler.feed(build_sentence(RMC), HostNs(3), MonoNs(3))
    (message,) = assembler.flush()
    assert isinstance(message, TimeMessage)
    assert message.received_at == 1


def test_several_fixes_a_second_make_one_message_of_the_first():
    assembler = NmeaAssembler()
    bodies = [body.replace("123000.00", f"123000.{tenths}0") for tenths in (0, 2, 4, 6, 8) for body in (RMC, GGA)]
    assert assemble(*bodies, assembler=assembler) == [
        TimeMessage(unix("2026-06-16T12:30:00"), HostNs(0), Fix(FixQuality.GPS, satellites_used=8, hdop=0.9))
    ]


def test_a_second_that_is_repeated_is_stale():
    assembler = NmeaAssembler()
    assert isinstance(assemble(RMC, GGA, assembler=assembler)[0], TimeMessage)
    assert assemble(RMC, GGA, assembler=assembler) == [rejected(Reason.STALE)]


def test_two_dates_for_one_time_are_two_seconds():
    first, second = assemble(RMC, ZDA.replace("16,06", "17,06"))
    assert isinstance(first, TimeMessage)
    assert isinstance(second, TimeMessage)
    assert second.second - first.second == 86_400 * SECOND


def test_midnight_begins_a_new_burst():
    last = RMC.replace("123000.00", "235959.00")
    first = RMC.replace("123000.00", "000000.00").replace("160626", "170626")
    messages = assemble(last, GGA.replace("123000.00", "235959.00"), first)
    assert [message.second for message in messages if isinstance(message, TimeMessage)] == [
        unix("2026-06-16T23:59:59"),
        unix("2026-06-17T00:00:00"),
    ]


def fix_of(*bodies: str) -> Fix:
    (message,) = assemble(*bodies)
    assert isinstance(message, TimeMessage)
    return message.fix


def test_quality_is_ggas():
    assert fix_of(RMC, GGA.replace("W,1,", "W,4,")).quality is FixQuality.RTK
    assert fix_of(RMC, GGA.replace("W,1,", "W,0,")).quality is FixQuality.NO_FIX


def test_without_gga_a_valid_rmc_is_a_fix_of_unknown_satellites():
    assert fix_of(RMC) == Fix(FixQuality.GPS)


def test_a_date_alone_is_no_fix():
    assert fix_of(ZDA) == Fix(FixQuality.NO_FIX)


def test_a_void_rmc_overrules_ggas_fix_but_not_its_dead_reckoning():
    void = RMC.replace(",A,51", ",V,51")
    assert fix_of(void) == Fix(FixQuality.NO_FIX)
    assert fix_of(void, GGA).quality is FixQuality.NO_FIX
    assert fix_of(void, GGA.replace("W,1,", "W,6,")).quality is FixQuality.ESTIMATED


def test_time_without_a_date_is_rejected():
    assert assemble(GGA) == [rejected(Reason.NO_DATE)]


def test_fix_without_time_is_news_of_its_own():
    assert assemble("GPRMC,,V,,,,,,,,,,N", "GPGGA,,,,,,0,00,99.99,,,,,,", "GPGSV,1,1,02") == [
        Fix(FixQuality.NO_FIX, satellites_used=0, satellites_in_view=2, hdop=99.99)
    ]


def test_sentences_without_time_or_fix_are_no_news():
    assert assemble("GPGSV,1,1,02", "GPVTG,,,,,,,,,N") == []


@pytest.mark.parametrize("day", ["160606", "061180", "311225"])
def test_a_date_before_this_program_was_made_is_implausible(day):
    assert assemble(RMC.replace("160626", day), GGA) == [rejected(Reason.IMPLAUSIBLE)]


@pytest.mark.parametrize(("year", "expected"), [("2036", "2036-02-08T12:30:00"), ("2104", "2104-02-08T12:30:00")])
def test_dates_beyond_the_first_two_ntp_eras_are_named_exactly(year, expected):
    (message,) = assemble(f"GPZDA,123000.00,08,02,{year},00,00")
    assert isinstance(message, TimeMessage)
    assert message.second == unix(expected)


def test_second_60_dates_no_pulse_and_is_not_the_next_day():
    assert assemble(ZDA.replace("123000.00,16,06", "235960.00,30,06")) == [rejected(Reason.LEAP_SECOND)]


def test_a_damaged_sentence_is_counted_and_the_others_stand():
    assembler = NmeaAssembler()
    damaged = build_sentence(GGA).replace(b",1,08,", b",2,08,")
    assert assembler.feed(damaged + build_sentence(RMC), HostNs(0), MonoNs(0)) == [rejected(Reason.BAD_CHECKSUM)]
    assert isinstance(assembler.flush()[0], TimeMessage)


def test_an_impossible_sentence_is_counted_and_the_others_stand():
    events = assemble(ZDA.replace("16,06", "99,99"), RMC)
    assert events[0] == rejected(Reason.IMPLAUSIBLE)
    assert isinstance(events[1], TimeMessage)
