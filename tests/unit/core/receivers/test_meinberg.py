"""Telegrams of Meinberg's manuals, and of a simulated clock where the manuals give none."""

from datetime import UTC, datetime

import pytest

from ntp_usg.core.base.doubts import Doubt, Trouble
from ntp_usg.core.base.errors import WireError
from ntp_usg.core.base.instants import NS_PER_SECOND, HostNs, MonoNs, WallNs
from ntp_usg.core.base.samples import Fix, FixQuality, Position, Reception, TimeMessage
from ntp_usg.core.base.verdicts import Outcome, Reason, Verdict
from ntp_usg.core.receivers.commands import Description
from ntp_usg.core.receivers.meinberg import Event, MeinbergAssembler, Radio, parse_telegram
from ntp_usg.simulate.meinberg import (
    FORMATS,
    build_capture,
    build_erlangen,
    build_erlangen_pzf,
    build_standard,
    with_even_parity,
)
from ntp_usg.simulate.sentences import Sky

CET = 3600
UNLOCKED = Sky(quality=FixQuality.NO_FIX)


def utc(text: str) -> WallNs:
    return WallNs(int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * NS_PER_SECOND)


NOON = utc("2026-07-01T12:00:00")
BEFORE_LEAP = utc("2026-12-31T23:59:58")


def assemble(*pieces: bytes, radio: Radio = Radio.GPS, trust_power_up: bool = False) -> list[Event]:
    """Pieces that arrive at 0, 1, 2 ..."""
    assembler = MeinbergAssembler(radio, CET, trust_power_up=trust_power_up)
    return [event for at, piece in enumerate(pieces) for event in assembler.feed(piece, HostNs(at), MonoNs(at))]


def rejected(reason: Reason) -> Verdict:
    return Verdict(Outcome.REJECTED, reason)


def message(second: WallNs, fix: Fix | None = None, leap: int | None = None, telegram: str = "Standard") -> TimeMessage:
    return TimeMessage(second, HostNs(0), fix or Fix(FixQuality.GPS), leap, ((telegram, HostNs(0)),))


@pytest.mark.parametrize(
    ("telegram", "second"),
    [
        # The two examples of the Uni Erlangen string in ntpd's documentation, and the other formats by the manuals.
        (b"\x02 09.07.26; 4; 08:48:26; +00:00;        ; 49.5736N  11.0280E  373m \x03", "2026-07-09T08:48:26"),
        (b"\x0208.11.26; 7; 14:39:39; +01:00;        ; 51.9828N   9.2258E  176m\x03", "2026-11-08T13:39:39"),
        (b"\x0208.11.26; 7; 14:39:39; -03:30;        ;  1.0000S  60.0000W   76m\x03", "2026-11-08T18:09:39"),
        (b"\x02D:08.11.26;T:7;U:14.39.39;  U \x03", "2026-11-08T14:39:39"),
        (b"\x02D:08.11.26;T:7;U:14.39.39;    \x03", "2026-11-08T13:39:39"),
        (b"\x02D:08.07.26;T:3;U:00.39.39;  S!\x03", "2026-07-07T22:39:39"),
        (b"\x02D:08.11.26;T:7;U:14.39.39;  G ;018\x03", "2026-11-08T14:39:21"),
        (b"\x02D:08.11.26;T:7;U:14.39.39;  G ;-18\x03", "2026-11-08T14:39:21"),
        (b"\x0208.11.26; 7; 14:39:39;        \x03", "2026-11-08T13:39:39"),
        (b"\x0208.07.26; 3; 14:39:39;    S!  \x03", "2026-07-08T12:39:39"),
        (b"\x0208.07.26; 3; 14:39:39; U      \x03", "2026-07-08T14:39:39"),
    ],
)
def test_every_format_names_its_second_in_utc(telegram, second):
    assert parse_telegram(telegram).utc(CET) == utc(second)


def test_a_place_is_read_with_its_signs():
    telegram = parse_telegram(b"\x0208.11.26; 7; 14:39:39; -03:00;        ;  1.5000S  60.2500W   76m\x03")
    assert telegram.position == Position(-1.5, -60.25, 76)


@pytest.mark.parametrize(
    "telegram",
    [
        b"\x02\x03",
        b"\x02D:08.11.26;T:6;U:14.39.39;  U \x03",  # a Sunday
        b"\x02D:31.11.26;T:2;U:14.39.39;  U \x03",
        b"\x02D:08.11.26;T:7;U:24.00.00;  U \x03",
        b"\x02D:08.11.26;T:7;U:14.39.61;  U \x03",
        b"\x02D:08.11.26;T:7;U:14.39.39;  G ;000\x03",
        b"\x02D:08.11.26;T:7;U:14.39.39;  G \x03",
        b"\x02D:08.11.26;T:7;U:14.39.39;  U ;018\x03",
        b"\x02D:08.11.26;T:7;U:14.39.39; ?U \x03",
        b"\x0208.11.26; 7; 14:39:39; +00:00;        ; 91.0000N   9.2258E  176m\x03",
        "\x02D:08.11.26;T:\u0667;U:14.39.39;  U \x03".encode(),
    ],
)
def test_what_cannot_be_is_refused(telegram):
    with pytest.raises(WireError):
        parse_telegram(telegram)


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("damage", [lambda data: data, with_even_parity])
def test_a_line_of_either_parity_is_understood_as_it_is(name, damage):
    assert parse_telegram(damage(FORMATS[name](NOON, Sky()))).utc(CET) == NOON


def test_even_parity_shows_every_single_bit_that_the_line_has_turned():
    data = with_even_parity(build_standard(NOON, Sky()))
    for bit in range(8, len(data) * 8 - 8):
        turned = bytearray(data)
        turned[bit // 8] ^= 1 << bit % 8
        with pytest.raises(WireError):
            parse_telegram(bytes(turned))


def test_a_telegram_is_told_at_its_end_and_stamped_at_its_start():
    data = build_standard(NOON, Sky())
    assert assemble(b"noise" + data[:1], data[1:20], data[20:]) == [message(NOON)]


def test_a_telegram_that_is_torn_takes_no_other_with_it():
    data = build_standard(NOON, Sky())
    assert assemble(data[:20] + data + data[9:]) == [message(NOON)]


def test_capture_strings_and_babble_say_nothing():
    assert assemble(build_capture(NOON), b"\x03\x02" + bytes(200), b"\x03") == []


def test_a_second_told_twice_is_stale():
    data = build_standard(NOON, Sky())
    assert assemble(data + data) == [message(NOON), rejected(Reason.STALE)]


def test_a_damaged_telegram_is_noise():
    assert assemble(build_standard(NOON, Sky()).replace(b"T:3", b"T:4")) == [rejected(Reason.BAD_CHECKSUM)]


@pytest.mark.parametrize(("radio", "named"), [(Radio.GPS, "2025-11-08"), (Radio.DCF77, "2006-11-15")])
def test_a_date_before_the_program_is_not_believed(radio, named):
    assert assemble(build_standard(utc(named), Sky()), radio=radio) == [rejected(Reason.IMPLAUSIBLE)]


def test_a_gps_clock_whose_weeks_have_rolled_over_is_taken_for_what_it_means():
    doubt, told = assemble(build_standard(utc("2006-11-15T12:00:00"), Sky()))
    assert doubt == Reception((Trouble(Doubt.ROLLOVER, "names 2006-11-15, taken for 2026-07-01"),))
    assert told == message(NOON)


def test_a_clock_that_is_not_synchronised_has_no_fix_and_says_so():
    trouble = Trouble(Doubt.OSCILLATOR, "not synchronised", severe=True)
    assert assemble(build_standard(NOON, UNLOCKED)) == [Reception((trouble,)), message(NOON, Fix(FixQuality.NO_FIX))]


def test_it_is_believed_from_power_up_where_that_is_asked_for():
    events = assemble(build_standard(NOON, UNLOCKED), trust_power_up=True)
    assert events == [Reception((Trouble(Doubt.OSCILLATOR, "not synchronised"),)), message(NOON)]


@pytest.mark.parametrize(
    ("radio", "doubt"), [(Radio.GPS, Doubt.SURVEY), (Radio.DCF77, Doubt.OSCILLATOR)], ids=["gps", "dcf77"]
)
def test_a_star_is_the_position_of_a_gps_clock_and_the_crystal_of_another(radio, doubt):
    first, second, third = assemble(
        build_standard(NOON, Sky(), checked=False), build_standard(WallNs(NOON + NS_PER_SECOND), Sky()), radio=radio
    )[:3]
    assert isinstance(first, Reception)
    assert [trouble.doubt for trouble in first.troubles] == [doubt]
    assert second == message(NOON)
    assert third == Reception(())


def test_a_position_counts_once_it_is_checked():
    place = Position(51.9828, 9.2258, 176)
    later = WallNs(NOON + NS_PER_SECOND)
    events = assemble(build_erlangen(NOON, Sky(), checked=False), build_erlangen(later, Sky()))
    assert [event.fix.position for event in events if isinstance(event, TimeMessage)] == [None, place]


def test_a_leap_second_is_announced_in_the_last_hour_of_a_month_only():
    leaping = build_standard(BEFORE_LEAP, Sky(), y="A")
    assert assemble(leaping) == [message(BEFORE_LEAP, leap=1)]
    assert assemble(build_standard(NOON, Sky(), y="A")) == [message(NOON)]
    assert assemble(build_standard(BEFORE_LEAP, Sky(), zone_hours=1, y="A")) == [message(BEFORE_LEAP, leap=1)]


@pytest.mark.parametrize(
    "telegram",
    [
        b"\x02D:31.12.26;T:4;U:23.59.60;  UA\x03",
        b"\x02D:01.01.27;T:5;U:00.59.60;   A\x03",
        b"\x0231.12.26; 4; 23:59:60; +00:00;     A L; 51.9828N   9.2258E  176m\x03",
        b"\x0201.01.27; 5; 00:59:60;      A \x03",
    ],
)
def test_the_leap_second_itself_dates_no_pulse(telegram):
    assert assemble(telegram) == [rejected(Reason.LEAP_SECOND)]


def test_a_pzf_in_central_european_time_names_the_second_of_utc():
    for second in (NOON, BEFORE_LEAP):
        assert assemble(build_erlangen_pzf(second, Sky()), radio=Radio.DCF77) == [
            message(second, telegram="Uni Erlangen")
        ]


def test_a_remark_is_made_when_the_line_is_opened():
    assert MeinbergAssembler(Radio.GPS, remark="mode 135").opened(MonoNs(0)) == [Description("mode 135")]
    assert MeinbergAssembler(Radio.GPS).opened(MonoNs(0)) == []
