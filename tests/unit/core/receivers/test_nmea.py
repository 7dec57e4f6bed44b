"""All sentences that name one second become one message."""

from datetime import UTC, datetime

import pytest

from ntp_usg.core.base.doubts import Doubt, Trouble
from ntp_usg.core.base.instants import HostNs, MonoNs, WallNs
from ntp_usg.core.base.samples import Fix, FixQuality, Position, Reception, TimeMessage
from ntp_usg.core.base.verdicts import Outcome, Reason, Verdict
from ntp_usg.core.receivers.nmea import BURST_SILENCE_NS, MOST_PARTS, Event, NmeaAssembler
from ntp_usg.core.receivers.nmea_sentences import build_sentence

SECOND = 10**9
MILLISECOND = 10**6

RMC = "GPRMC,123000.00,A,5128.674,N,00000.088,W,0.012,,160626,,,A"
GGA = "GPGGA,123000.00,5128.674,N,00000.088,W,1,08,0.9,46.9,M,45.5,M,,"
GLL = "GPGLL,5128.674,N,00000.088,W,123000.00,A,A"
ZDA = "GPZDA,123000.00,16,06,2026,00,00"
GREENWICH = Position(51 + 28.674 / 60, -0.088 / 60)
ON_THE_HILL = Position(GREENWICH.latitude_deg, GREENWICH.longitude_deg, 46.9)


def unix(text: str) -> WallNs:
    return WallNs(round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * SECOND)


def rejected(reason: Reason) -> Verdict:
    return Verdict(Outcome.REJECTED, reason)


def assemble(*bodies: str, assembler: NmeaAssembler | None = None) -> list[Event]:
    """The events of sentences that arrive one a millisecond, and of the silence after them."""
    assembler = assembler or NmeaAssembler()
    events = []
    for milliseconds, body in enumerate(bodies):
        now = milliseconds * MILLISECOND
        events += assembler.feed(build_sentence(body), HostNs(now), MonoNs(now))
    return events + assembler.flush()


def message_of(*bodies: str, assembler: NmeaAssembler | None = None) -> TimeMessage:
    """The one message of a burst, beside which nothing else is news."""
    (message,) = assemble(*bodies, assembler=assembler)
    assert isinstance(message, TimeMessage)
    return message


def fix_of(*bodies: str) -> Fix:
    return message_of(*bodies).fix


def test_the_sentences_of_a_second_become_one_message():
    parts = ("RMC", "GGA", "GSV", "GLL", "ZDA")
    fix = Fix(FixQuality.GPS, satellites_used=8, satellites_in_view=15, hdop=0.9, position=ON_THE_HILL)
    assert assemble(RMC, GGA, "GPGSV,3,1,11", GLL, ZDA, "GLGSV,1,1,04") == [
        TimeMessage(
            unix("2026-06-16T12:30:00"),
            HostNs(0),
            fix,
            arrivals=tuple((name, HostNs(number * MILLISECOND)) for number, name in enumerate(parts)),
        )
    ]


@pytest.mark.parametrize("order", [(RMC, GGA, ZDA), (GGA, ZDA, RMC), (ZDA, RMC, GGA)])
def test_the_order_of_sentences_does_not_matter(order):
    message, usual = message_of(*order), message_of(RMC, GGA, ZDA)
    assert (message.second, message.fix) == (usual.second, usual.fix)
    assert message.stamped_by == order[0][2:5]


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


def test_a_burst_whose_first_byte_nobody_heard_is_stamped_by_none_of_its_others():
    assembler = NmeaAssembler()
    assembler.opened(MonoNs(0))
    assert assembler.feed(build_sentence(GGA) + build_sentence(ZDA), HostNs(5), MonoNs(BURST_SILENCE_NS - 1)) == []
    assert assembler.flush() == [rejected(Reason.STALE)]
    message_of(RMC.replace("123000", "123001"), assembler=assembler)


def test_a_line_without_a_pause_loses_its_first_burst_only():
    assembler = NmeaAssembler()
    assembler.opened(MonoNs(0))
    first, *others = assemble(*(RMC.replace("123000", f"12300{number}") for number in range(4)), assembler=assembler)
    assert first == rejected(Reason.STALE)
    assert [event.second % (60 * SECOND) // SECOND for event in others if isinstance(event, TimeMessage)] == [1, 2, 3]


def test_the_first_burst_after_a_silence_is_whole():
    assembler = NmeaAssembler()
    assembler.opened(MonoNs(0))
    assembler.feed(build_sentence(RMC), HostNs(5), MonoNs(BURST_SILENCE_NS))
    assert isinstance(assembler.flush()[0], TimeMessage)


def test_several_fixes_a_second_make_one_message_of_the_first():
    bodies = [body.replace("123000.00", f"123000.{tenths}0") for tenths in (0, 2, 4, 6, 8) for body in (RMC, GGA)]
    message = message_of(*bodies)
    assert (message.second, message.received_at) == (unix("2026-06-16T12:30:00"), 0)
    assert message.arrivals == (("RMC", 0), ("GGA", MILLISECOND))


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


def test_quality_is_ggas():
    assert fix_of(RMC, GGA.replace("W,1,", "W,4,")).quality is FixQuality.RTK
    assert fix_of(RMC, GGA.replace("W,1,", "W,0,")).quality is FixQuality.NO_FIX


def test_without_gga_a_valid_rmc_is_a_fix_of_unknown_satellites():
    assert fix_of(RMC) == fix_of(GLL, ZDA) == Fix(FixQuality.GPS, position=GREENWICH)


def test_a_date_alone_is_no_fix():
    assert fix_of(ZDA) == Fix(FixQuality.NO_FIX)


def test_a_void_rmc_overrules_ggas_fix_but_not_its_dead_reckoning():
    void = RMC.replace(",A,51", ",V,51")
    assert fix_of(void) == Fix(FixQuality.NO_FIX)
    assert fix_of(void, GGA).quality is FixQuality.NO_FIX
    assert fix_of(void, GGA.replace("W,1,", "W,6,")).quality is FixQuality.ESTIMATED
    assert fix_of(RMC, GLL.replace(",A,A", ",V,N"), GGA).quality is FixQuality.NO_FIX
    assert fix_of(GLL.replace(",A,A", ",V,N"), RMC, GGA).quality is FixQuality.NO_FIX


def test_gsa_tells_dimensions_dilution_and_with_how_many_satellites_where_gga_is_silent():
    gsa = "GNGSA,A,2,01,02,03,,,,,,,,,,2.5,1.2,2.2,1", "GNGSA,A,2,01,65,,,,,,,,,,,2.5,1.2,2.2,2"
    assert fix_of(RMC, *gsa) == Fix(FixQuality.GPS, 5, None, 1.2, 2.5, dimensions=2, position=GREENWICH)
    assert fix_of(RMC, GGA, *gsa) == Fix(FixQuality.GPS, 8, None, 0.9, 2.5, dimensions=2, position=ON_THE_HILL)


def test_a_system_that_is_not_used_does_not_spoil_the_solution_of_the_others():
    used, unused = "GPGSA,A,3,01,02,03,04,,,,,,,,,2.5,1.2,2.2", "GLGSA,A,1,,,,,,,,,,,,,,,"
    for order in ((used, unused), (unused, used)):
        assert fix_of(RMC, *order) == Fix(FixQuality.GPS, 4, None, 1.2, 2.5, dimensions=3, position=GREENWICH)


def test_satellites_are_counted_once_and_not_without_end():
    many = [
        f"GNGSA,A,3,{','.join(f'{number:03d}' for number in range(first, first + 12))},1,1,1"
        for first in range(0, 240, 12)
    ]
    assert fix_of(RMC, *many[:2], *many[:2]).satellites_used == 24
    assert fix_of(RMC, *many).satellites_used == 99


def test_where_only_rmc_tells_the_position_its_height_is_the_last_one_known():
    assembler = NmeaAssembler()
    message_of(RMC, GGA, assembler=assembler)
    without_gga = message_of(RMC.replace("123000", "123001"), assembler=assembler)
    assert without_gga.fix.position == ON_THE_HILL


def test_without_a_fix_there_is_no_position():
    assert fix_of(RMC, GGA.replace("W,1,", "W,0,")).position is None
    assert fix_of(RMC.replace(",A,51", ",V,51"), GGA).position is None


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
    assert assemble(RMC.replace("160626", day), GGA.replace("W,1,", "W,0,")) == [rejected(Reason.IMPLAUSIBLE)]


def test_a_date_that_is_too_early_by_less_than_half_a_roll_over_is_implausible_with_a_fix_too():
    assert assemble(RMC.replace("160626", "311225"), GGA) == [rejected(Reason.IMPLAUSIBLE)]


def test_a_date_that_rolled_over_is_taken_for_what_it_means_and_that_is_said_once():
    assembler = NmeaAssembler()
    said, message = assemble(RMC.replace("160626", "311006"), GGA, assembler=assembler)
    assert said == Reception((Trouble(Doubt.ROLLOVER, "names 2006-10-31, taken for 2026-06-16"),))
    assert isinstance(message, TimeMessage)
    assert message.second == unix("2026-06-16T12:30:00")
    following = message_of(RMC.replace("123000.00", "123001.00").replace("160626", "311006"), assembler=assembler)
    assert following.second == unix("2026-06-16T12:30:01")


@pytest.mark.parametrize(
    ("text", "trouble"),
    [("ANTSTATUS=OPEN", "antenna open"), ("ANTSTATUS=SHORT", "antenna shorted"), ("ANTENNA OPEN", "antenna open")],
)
def test_an_antenna_that_is_not_there_is_told_while_there_is_no_fix_either(text, trouble):
    assembler = NmeaAssembler()
    lost, message = assemble(RMC.replace(",A,51", ",V,51"), f"GPTXT,01,01,02,{text}", assembler=assembler)
    assert lost == Reception((Trouble(Doubt.ANTENNA, trouble),))
    assert isinstance(message, TimeMessage)
    found, _ = assemble(RMC.replace("123000", "123001"), f"GPTXT,01,01,02,{text}", assembler=assembler)
    assert found == Reception(())


def test_an_antenna_that_is_back_is_told():
    assembler = NmeaAssembler()
    assemble("GPTXT,01,01,02,ANTSTATUS=OPEN", assembler=assembler)
    assert assemble("GPTXT,01,01,02,ANTSTATUS=INIT", assembler=assembler) == []
    assert assemble("GPTXT,01,01,02,ANTSTATUS=OK", assembler=assembler) == [Reception(())]


# Sentences that disagree, are empty, or come seldom


def after(seconds_passed: float, *bodies: str, assembler: NmeaAssembler) -> Fix:
    """The fix of a burst that comes so long after the start."""
    now = round(seconds_passed * SECOND)
    hours, rest = divmod(45_000 + round(seconds_passed), 3600)
    time = f"{hours:02d}{rest // 60:02d}{rest % 60:02d}.00"
    events = []
    for body in bodies:
        events += assembler.feed(build_sentence(body.replace("123000.00", time)), HostNs(now), MonoNs(now))
    (message,) = [each for each in events + assembler.flush() if isinstance(each, TimeMessage)]
    return message.fix


GSA = "GPGSA,A,3,01,02,03,04,05,06,07,08,,,,,1.5,0.9,1.2"


@pytest.mark.fault(
    group="Receivers",
    kind="A receiver sends its satellites only every fifth second, because its line is slow.",
    noticed="Each sentence is remembered for two and a half of its usual intervals.",
    served="Time, as from a receiver that sends them each second.",
)
@pytest.mark.parametrize("interval", [2, 5, 20])
def test_what_is_said_seldom_is_remembered_until_it_is_said_again(interval):
    assembler = NmeaAssembler()
    fixes = [
        after(second, RMC, *((GGA, GSA) if second % interval == 0 else ()), assembler=assembler)
        for second in range(4 * interval)
    ]
    # At first nobody knows how often they come.
    assert {fix.satellites_used for fix in fixes[interval:]} == {8}
    assert {(fix.quality, fix.hdop, fix.dimensions) for fix in fixes[interval:]} == {(FixQuality.GPS, 0.9, 3)}


def test_what_is_said_no_more_is_forgotten_after_two_and_a_half_intervals():
    assembler = NmeaAssembler()
    for second in (0, 5, 10):
        after(second, RMC, GGA, assembler=assembler)
    assert after(22, RMC, assembler=assembler).satellites_used == 8
    assert after(23, RMC, assembler=assembler).satellites_used is None


def test_what_came_in_pairs_is_remembered_over_the_longer_pause():
    assembler = NmeaAssembler()
    for second in (0, 1, 8, 9):
        after(second, RMC, GGA, assembler=assembler)
    assert after(16, RMC, assembler=assembler).satellites_used == 8


def test_a_sentence_that_the_line_spoilt_once_costs_nothing():
    assembler = NmeaAssembler()
    for second in (0, 1, 2):
        after(second, RMC, GGA, assembler=assembler)
    assert after(3, RMC, assembler=assembler).satellites_used == 8


def test_a_newer_word_outweighs_an_older_one_both_ways():
    assembler = NmeaAssembler()
    void = RMC.replace(",A,51", ",V,51")
    after(0, RMC, GGA, assembler=assembler)
    assert after(1, void, assembler=assembler).quality is FixQuality.NO_FIX
    assert after(2, void, GGA.replace("W,1,08", "W,0,00"), assembler=assembler).satellites_used == 0
    assert after(3, RMC, assembler=assembler).quality is FixQuality.GPS
    assert after(4, RMC, GGA.replace("W,1,08", "W,1,03"), assembler=assembler).satellites_used == 3


@pytest.mark.fault(
    group="Receivers",
    kind="A sentence leaves its satellites or its quality empty, or zero, although others tell of a fix.",
    noticed="An empty field says nothing, and the largest count of the second is taken.",
    served="Time, because the receiver has a fix.",
)
def test_the_satellites_are_the_most_that_any_sentence_of_the_burst_counts():
    eleven = ("GNGSA,A,3,68,69,70,78,84,85,,,,,,,1.5,1.3,1.0,2", "GNGSA,A,3,04,05,09,11,36,,,,,,,,1.5,1.3,1.0,3")
    for order in ((GGA.replace("W,1,08", "W,2,00"), *eleven), (*eleven, GGA.replace("W,1,08", "W,2,00"))):
        assert (fix_of(RMC, *order).satellites_used, fix_of(RMC, *order).quality) == (11, FixQuality.DGPS)
    assert fix_of(RMC, GGA.replace("W,1,08", "W,1,04"), *eleven).satellites_used == 11


@pytest.mark.parametrize("order", [1, -1])
def test_of_several_systems_ggas_the_one_with_a_fix_counts(order):
    without = GGA.replace("GPGGA", "GLGGA").replace("W,1,08", "W,0,00")
    fix = fix_of(RMC, *(GGA, without)[::order])
    assert (fix.quality, fix.satellites_used) == (FixQuality.GPS, 8)


def test_a_receiver_that_tells_its_satellites_in_gns_has_a_fix():
    gns = "GNGNS,123000.00,5128.674,N,00000.088,W,AANN,13,0.93,46.9,45.5,,"
    message = message_of("GN" + ZDA[2:], gns, "GN" + GLL[2:])
    assert message.fix == Fix(FixQuality.GPS, satellites_used=13, hdop=0.93, position=ON_THE_HILL)


@pytest.mark.parametrize(
    "silent",
    ["GPGGA,123000.00,5128.674,N,00000.088,W,,11,0.8,86.0,M,-30.1,M,,", "GPGLL,5128.674,N,00000.088,W", "GPGGA"],
)
def test_an_empty_field_is_no_veto(silent):
    assert fix_of(RMC, silent).quality is fix_of(silent, RMC).quality is FixQuality.GPS


def test_of_several_fixes_in_one_second_any_may_deny_it():
    later = GGA.replace("123000.00", "123000.50").replace("W,1,08", "W,0,00")
    assert fix_of(RMC, GGA, later).quality is fix_of(RMC, later, GGA).quality is FixQuality.NO_FIX


def test_a_date_that_is_told_each_fifth_second_counts_for_the_others_also_over_midnight():
    assembler, events = NmeaAssembler(), []
    for second in range(20):
        clock = (86_390 + second) % 86_400
        time, day = f"{clock // 3600:02d}{clock // 60 % 60:02d}{clock % 60:02d}.00", 16 if second < 10 else 17
        bodies = [GGA.replace("123000.00", time)]
        if second % 5 == 0:
            bodies.append(ZDA.replace("123000.00,16", f"{time},{day}"))
        for body in bodies:
            events += assembler.feed(build_sentence(body), HostNs(0), MonoNs(second * SECOND))
    events += assembler.flush()
    first = unix("2026-06-16T23:59:50")
    assert [event.second for event in events if isinstance(event, TimeMessage)] == [
        first + second * SECOND for second in range(20)
    ]


def test_a_date_from_before_the_fix_or_from_long_ago_counts_for_no_other_second():
    for void, later in ((",V,51", 1), (",A,51", 80)):
        assembler = NmeaAssembler()
        after(0, RMC.replace(",A,51", void), assembler=assembler)
        now = MonoNs(later * SECOND)
        at = f"12{30 + later // 60}{later % 60:02d}.00"
        assembler.feed(build_sentence(GGA.replace("123000.00", at)), HostNs(now), now)
        assert assembler.flush() == [rejected(Reason.NO_DATE)]


# The choice of sentences


def test_only_chosen_sentences_stamp_and_name_a_second_and_the_others_tell_of_the_fix():
    gga = GGA.replace("123000", "122959")
    message = message_of("GPGSV,1,1,11", gga, RMC, ZDA, assembler=NmeaAssembler({"ZDA"}))
    assert (message.second, message.received_at) == (unix("2026-06-16T12:30:00"), 3 * MILLISECOND)
    assert message.fix == Fix(FixQuality.GPS, 8, 11, 0.9, position=ON_THE_HILL)
    assert message.arrivals == tuple((name, at * MILLISECOND) for at, name in enumerate(("GSV", "GGA", "RMC", "ZDA")))
    assert message.stamped_by == "ZDA"


def test_of_sentences_that_came_in_one_read_the_chosen_one_is_what_stamped_the_message():
    assembler = NmeaAssembler({"ZDA"})
    assembler.feed(build_sentence(RMC) + build_sentence(ZDA), HostNs(7), MonoNs(7))
    (message,) = assembler.flush()
    assert isinstance(message, TimeMessage)
    assert message.stamped_by == "ZDA"


def test_of_several_chosen_sentences_the_first_stamps():
    assert message_of(GGA, RMC, ZDA, assembler=NmeaAssembler({"RMC", "ZDA"})).stamped_by == "RMC"


def test_a_chosen_sentence_that_does_not_come_leaves_the_fix_but_no_time():
    assert assemble(RMC, GGA, assembler=NmeaAssembler({"ZDA"})) == [
        Fix(FixQuality.GPS, satellites_used=8, hdop=0.9, position=ON_THE_HILL)
    ]


def test_the_arrivals_of_a_burst_without_end_are_bounded():
    bodies = [f"P{first}{second}" for first in "ABCDEFGH" for second in "ABCDEFGH"]
    assert len(message_of(RMC, *bodies).arrivals) == MOST_PARTS


@pytest.mark.parametrize(("year", "expected"), [("2036", "2036-02-08T12:30:00"), ("2075", "2075-02-08T12:30:00")])
def test_dates_beyond_the_first_ntp_era_are_named_exactly(year, expected):
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


@pytest.mark.parametrize("year", ["0001", "1979", "2262", "9999"])
def test_no_year_raises(year):
    day = ZDA.replace("16,06,2026", f"31,12,{year}").replace("123000.00", "235959.99")
    assert assemble(RMC.replace(",160626", ","), day, GGA.replace("123000.00", "235959.99"))
