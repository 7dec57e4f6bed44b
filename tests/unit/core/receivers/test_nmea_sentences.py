"""Sentences are read strictly, but a clock asks for little of them."""

from datetime import date, datetime, timedelta

import pytest

from ntp_usg.core.base.errors import WireError
from ntp_usg.core.base.samples import FixQuality, Position
from ntp_usg.core.receivers.evidence import Claim
from ntp_usg.core.receivers.nmea_sentences import ChecksumError, Sentence, build_sentence, parse_sentence

SECOND = 10**9
HALF_PAST_NOON = 45_000 * SECOND  # 12:30:00 as nanoseconds of the day

RMC = "GPRMC,123000.00,A,5128.674,N,00000.088,W,0.012,,160626,,,A"
GGA = "GPGGA,123000.00,5128.674,N,00000.088,W,1,08,0.9,46.9,M,45.5,M,,"
ZDA = "GPZDA,123000.00,16,06,2026,00,00"
GREENWICH = Position(pytest.approx(51.4779), pytest.approx(-0.0014667, abs=1e-6))  # type: ignore[arg-type]


def parse(body: str) -> Sentence:
    return parse_sentence(build_sentence(body).rstrip())


def claimed(body: str) -> Claim:
    claim = parse(body).claim
    assert claim is not None
    return claim


def test_a_built_sentence_has_the_checksum_of_the_standards_example():
    assert build_sentence("GPGLL,5300.97914,N,00259.98174,E,125926,A") == (
        b"$GPGLL,5300.97914,N,00259.98174,E,125926,A*28\r\n"
    )


def test_gga_tells_time_and_fix_but_no_date():
    where = Position(GREENWICH.latitude_deg, GREENWICH.longitude_deg, 46.9)
    claim = Claim(FixQuality.GPS, satellites_used=8, hdop=0.9, position=where)
    assert parse(GGA) == Sentence("GGA", time_of_day_ns=HALF_PAST_NOON, claim=claim, system=b"GP")


@pytest.mark.parametrize(
    ("modes", "quality"),
    [
        ("AANN", FixQuality.GPS),
        ("NNDA", FixQuality.DGPS),
        ("RRN", FixQuality.RTK),
        ("F", FixQuality.FLOAT_RTK),
        ("NNNN", FixQuality.NO_FIX),
        ("EN", FixQuality.ESTIMATED),
        ("", None),
        ("XZ", None),
    ],
)
def test_gns_has_a_mode_for_each_system_and_the_best_of_them_is_the_fixs(modes, quality):
    said = parse(f"GNGNS,123000.00,5128.674,N,00000.088,W,{modes},13,0.93,46.9,45.5,,")
    where = Position(GREENWICH.latitude_deg, GREENWICH.longitude_deg, 46.9)
    claim = Claim(quality, satellites_used=13, hdop=0.93, position=where)
    assert said == Sentence("GNS", time_of_day_ns=HALF_PAST_NOON, claim=claim, system=b"GN")


@pytest.mark.parametrize(
    ("quality", "count", "said"), [("0", "00", 0), ("1", "00", None), ("", "00", None), ("2", "", None)]
)
def test_a_count_of_zero_beside_a_fix_is_a_field_that_nobody_filled_in(quality, count, said):
    assert claimed(f"GPGGA,123000.00,,,,,{quality},{count},0.9,,,,,,").satellites_used == said


def test_what_is_empty_says_nothing():
    assert claimed("GPGGA,123000.00,,,,,,11,,,,,,,") == Claim(satellites_used=11, height_known=False)
    assert claimed("GPGLL,5128.674,N,00000.088,W") == Claim(position=GREENWICH, height_known=False)
    assert claimed("GPRMC,123000.00,,,,,,,,160626,,").quality is None
    assert claimed("GPGGA,123000.00,,,,,1,08,0.0,,,,,,").hdop is None


def test_rmc_tells_time_date_and_whether_it_is_valid():
    claim = Claim(FixQuality.GPS, position=GREENWICH, height_known=False)
    said = Sentence("RMC", time_of_day_ns=HALF_PAST_NOON, day=date(2026, 6, 16), claim=claim, system=b"GP")
    assert parse(RMC) == said
    assert claimed(RMC.replace(",A,51", ",V,51")).quality is FixQuality.NO_FIX


@pytest.mark.parametrize(
    ("mode", "quality"),
    [
        ("E", FixQuality.ESTIMATED),
        ("M", FixQuality.MANUAL),
        ("N", FixQuality.NO_FIX),
        ("S", FixQuality.SIMULATION),
        ("D", FixQuality.DGPS),
        ("R", FixQuality.RTK),
        ("Z", FixQuality.GPS),
    ],
)
def test_the_mode_of_a_valid_rmc_grades_it(mode, quality):
    assert claimed(RMC[:-1] + mode).quality is quality


def test_rmc_of_old_receivers_has_no_mode_and_is_valid_all_the_same():
    assert claimed(RMC.removesuffix(",A")).quality is FixQuality.GPS


@pytest.mark.parametrize(("written", "year"), [("79", 2079), ("80", 1980), ("99", 1999), ("00", 2000)])
def test_the_two_digits_of_a_year_begin_with_1980(written, year):
    day = parse(RMC.replace("160626", "1606" + written)).day
    assert day is not None
    assert day.year == year


def test_zda_tells_time_and_date():
    assert parse(ZDA) == Sentence("ZDA", time_of_day_ns=HALF_PAST_NOON, day=date(2026, 6, 16))


def test_gll_tells_time_position_and_whether_it_is_valid():
    claim = Claim(FixQuality.GPS, position=GREENWICH, height_known=False)
    said = Sentence("GLL", time_of_day_ns=HALF_PAST_NOON, claim=claim, system=b"GN")
    assert parse("GNGLL,5128.674,N,00000.088,W,123000.00,A,A") == said
    assert parse("GNGLL,5128.674,N,00000.088,W,123000,A") == said
    assert claimed("GNGLL,5128.674,N,00000.088,W,123000.00,A,E").quality is FixQuality.ESTIMATED
    assert claimed("GNGLL,,,,,,V,N") == Claim(FixQuality.NO_FIX, height_known=False)


def test_gsa_tells_how_the_position_was_found_and_with_what():
    satellites = frozenset(b"GN1 " + number for number in (b"23", b"02", b"27", b"10", b"08"))
    claim = Claim(satellites=satellites, dimensions=3, pdop=3.45, hdop=1.87)
    assert parse("GNGSA,A,3,23,02,27,10,08,,,,,,,,3.45,1.87,2.89,1") == Sentence("GSA", claim=claim, system=b"GN1 ")
    nothing = Claim(satellites_used=0, pdop=99.99, hdop=99.99)
    assert claimed("GPGSA,A,1,,,,,,,,,,,,,99.99,99.99,99.99") == nothing
    assert claimed("GLGSA,A,1,,,,,,,,,,,,,,,") == Claim(satellites_used=0)
    assert claimed("GLGSA,A,3,,,,,,,,,,,,,,,") == Claim(dimensions=3)


@pytest.mark.parametrize(
    "body", ["GPGSA,A,4,,,,,,,,,,,,,1,1,1", "GPGSA,A,3,x,,,,,,,,,,,,1,1,1", "GPGSA,A,3,,,,,,,,,,,,,1e9,1,1"]
)
def test_a_gsa_that_cannot_be_raises_wire_error(body):
    with pytest.raises(WireError):
        parse(body)


@pytest.mark.parametrize(
    ("body", "antenna"),
    [
        ("GNTXT,01,01,02,ANTSTATUS=OK", "OK"),
        ("GPTXT,01,01,02,ANTSTATUS=OPEN", "OPEN"),
        ("GPTXT,01,01,01,ANTENNA SHORT", "SHORT"),
        ("GNTXT,01,01,02,ANTSTATUS=INIT", None),
        ("GNTXT,01,01,02,ANTSUPERV=AC SD PDoS SR", None),
        ("GPTXT", None),
    ],
)
def test_txt_may_tell_of_the_antenna(body, antenna):
    assert parse(body) == Sentence("TXT", antenna=antenna)


@pytest.mark.parametrize(
    ("latitude", "longitude", "where"),
    [
        ("4807.038,S", "01131.000,E", (-48.1173, 11.516667)),
        ("9000.0000,N", "18000.0000,W", (90, -180)),
        ("0000,N", "00000,E", (0, 0)),
    ],
)
def test_north_and_east_are_positive(latitude, longitude, where):
    position = claimed(f"GPGLL,{latitude},{longitude},123000,A").position
    assert position is not None
    assert (position.latitude_deg, position.longitude_deg) == pytest.approx(where, abs=1e-6)


NO_PLACES = [",,,", "9000.1,N,00000.0,E", "4807.0,N,18000.1,E", "4860.0,N,01131.0,E", "4807.0,X,01131.0,E", "NaN,N,1,E"]


@pytest.mark.parametrize("written", NO_PLACES)
def test_a_place_that_cannot_be_does_not_spoil_the_time_beside_it(written):
    said = parse(f"GPGLL,{written},123000,A")
    claim = Claim(FixQuality.GPS, height_known=False)
    assert said == Sentence("GLL", time_of_day_ns=HALF_PAST_NOON, claim=claim, system=b"GP")


VECTORS = [
    # u-blox 8 / M8 receiver description, chapter NMEA protocol
    (b"$GPGGA,092725.00,4717.11399,N,00833.91590,E,1,08,1.01,499.6,M,48.0,M,,*5B", "09:27:25", None),
    (b"$GPGLL,4717.11364,N,00833.91565,E,092321.00,A,A*60", "09:23:21", None),
    (b"$GPGSA,A,3,23,29,07,08,09,18,26,28,,,,,1.94,1.18,1.54*0D", None, None),
    (b"$GPRMC,083559.00,A,4717.11437,N,00833.91522,E,0.004,77.52,091202,,,A*57", "08:35:59", date(2002, 12, 9)),
    (b"$GPZDA,082710.00,16,09,2002,00,00*64", "08:27:10", date(2002, 9, 16)),
    # SiRF NMEA reference manual: milliseconds in the time, and no mode in RMC
    (b"$GPGGA,161229.487,3723.2475,N,12158.3416,W,1,07,1.0,9.0,M,,,,0000*18", "16:12:29.487", None),
    (b"$GPRMC,161229.487,A,3723.2475,N,12158.3416,W,0.13,309.62,120598,,*10", "16:12:29.487", date(1998, 5, 12)),
    (b"$GPGLL,3723.2475,N,12158.3416,W,161229.487,A*2C", "16:12:29.487", None),
    # MediaTek MT3333 as in Quectel's L86, without a fix: the date that its clock starts with
    (b"$GNRMC,235953.093,V,,,,,0.00,0.00,050180,,,N*5E", "23:59:53.093", date(1980, 1, 5)),
    (b"$GNGGA,235953.093,,,,,0,0,,,M,,M,,*57", "23:59:53.093", None),
    (b"$GPGLL,,,,,045956.742,V,N*70", "04:59:56.742", None),
    (b"$GPZDA,174749.103,02,12,2022,,*5F", "17:47:49.103", date(2022, 12, 2)),
    # CASIC AT6558: a status at the end of RMC, and an empty ZDA
    (b"$GNRMC,013050.000,A,3106.67898,N,12113.52954,E,5.19,77.74,160125,,,A,V*31", "01:30:50", date(2025, 1, 16)),
    (b"$GNZDA,,,,,,*56", None, None),
    (b"$GPTXT,01,01,01,ANTENNA OPEN*25", None, None),
    # Hemisphere VS100: eight digits of a minute
    (b"$GPGLL,1813.38282955,N,12606.12767097,E,195959.00,A,D*6D", "19:59:59", None),
    (b"$GPGGA,170001.00,1420.39085934,N,05515.55733233,W,2,05,2.2,7.2,M,-41.0,M,6.0,0138*7F", "17:00:01", None),
]


@pytest.mark.parametrize(("line", "time", "day"), VECTORS)
def test_sentences_of_the_manuals_are_understood(line, time, day):
    said = parse_sentence(line)
    assert said.day == day
    if time is None:
        assert said.time_of_day_ns is None
    else:
        of_day = datetime.strptime(time, "%H:%M:%S.%f" if "." in time else "%H:%M:%S") - datetime(1900, 1, 1)  # noqa: DTZ001, DTZ007 - a time of day
        assert said.time_of_day_ns == of_day // timedelta(microseconds=1) * 1000


@pytest.mark.parametrize("talker", ["GP", "GN", "GL", "GA", "GB", "BD", "GQ", "QZ", "GI"])
def test_every_satellite_system_may_talk(talker):
    assert parse(talker + ZDA[2:]) == parse(ZDA)


@pytest.mark.parametrize(
    "body", ["GPVTG,,,,,,,,,N", "PUBX,00,123000.00", "GPTXT,01,01,02,HW UBX-M8030", "IIZDA,123000", "GP", ","]
)
def test_a_sentence_of_no_use_to_a_clock_says_nothing(body):
    said = parse(body)
    assert said == Sentence(said.name)


@pytest.mark.parametrize(
    ("body", "name"),
    [
        ("GPVTG,,", "VTG"),
        ("GNTHS,,", "THS"),
        ("PUBX,00", "PUBX"),
        ("PMTK010,001", "PMTK010"),
        ("IIZDA,1", "IIZDA"),
        (",", ""),
    ],
)
def test_a_sentence_is_named_without_its_talker_and_one_of_nobodys_whole(body, name):
    assert parse(body).name == name


@pytest.mark.parametrize("address", ["", "G", "GPRMCRMCX", "GP\x7fMC", "gprmc", "GP RMC"])
def test_what_is_no_address_has_no_name(address):
    assert parse(f"{address},1") == Sentence()


def test_a_receiver_that_knows_nothing_yet_says_so():
    assert claimed("GPRMC,,V,,,,,,,,,,N") == Claim(FixQuality.NO_FIX, height_known=False)
    nothing = Claim(FixQuality.NO_FIX, satellites_used=0, height_known=False, hdop=99.99)
    assert claimed("GPGGA,,,,,,0,00,99.99,,,,,,") == nothing
    assert claimed("GPGGA") == Claim(height_known=False)
    assert parse("GPZDA,,,,,00,00") == Sentence("ZDA")
    assert claimed("GPGSV") == Claim()


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
    assert parse("GPZDA,235960.00,31,12,2028,00,00") == Sentence(
        "ZDA", time_of_day_ns=86_400 * SECOND, day=date(2028, 12, 31)
    )


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
