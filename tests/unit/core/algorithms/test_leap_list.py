import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ntp_usg.core.algorithms.leap_list import MAX_BYTES, LeapTable, parse_leap_list
from ntp_usg.core.base.errors import ConfigError
from ntp_usg.core.base.instants import WallNs
from ntp_usg.core.base.snapshots import Leap

# The published file of July 2025, without most of its lines; the hash over what is left is made here.
UPDATED, EXPIRES = 3_960_835_200, 3_991_593_600
STEPS = [(2_272_060_800, 10), (2_287_785_600, 11), (2_303_683_200, 12)]
JULY_1972 = WallNs(78_796_800_000_000_000)

# The whole of the contents that IERS published on 2025-07-07, for the hash that they published with it.
IERS_HASH = "49db2447 571e5e1b 2f002a53 9c8da8e4 39b8e49e"
IERS_STEPS = """
2272060800 10
2287785600 11
2303683200 12
2335219200 13
2366755200 14
2398291200 15
2429913600 16
2461449600 17
2492985600 18
2524521600 19
2571782400 20
2603318400 21
2634854400 22
2698012800 23
2776982400 24
2840140800 25
2871676800 26
2918937600 27
2950473600 28
2982009600 29
3029443200 30
3076704000 31
3124137600 32
3345062400 33
3439756800 34
3550089600 35
3644697600 36
3692217600 37
"""


def file_of(steps=STEPS, updated=UPDATED, expires=EXPIRES, digest=None) -> bytes:
    covered = f"{updated}{expires}" + "".join(f"{at}{offset}" for at, offset in steps)
    found = hashlib.sha1(covered.encode()).hexdigest()
    words = digest or " ".join(found[i : i + 8] for i in range(0, 40, 8))
    lines = [f"{at}\t{offset}\t# a comment" for at, offset in steps]
    return "\n".join(["#\tATOMIC TIME", f"#$\t{updated}", f"#@\t{expires}", *lines, f"#h\t{words}", ""]).encode()


def complaints(data: bytes) -> list[str]:
    with pytest.raises(ConfigError) as error:
        parse_leap_list(data, "leap-seconds.list")
    return [str(problem) for problem in error.value.problems]


def test_the_published_file_passes_with_its_published_hash():
    data = f"#$ {UPDATED}\n#@ {EXPIRES}\n{IERS_STEPS}\n#h {IERS_HASH}\n".encode()
    table = parse_leap_list(data, "leap-seconds.list")
    assert len(table.steps) == 28
    assert table.tai_offset(WallNs(1_800_000_000_000_000_000)) == 37


def test_tai_offset_changes_at_the_midnight_after_a_leap_second():
    table = parse_leap_list(file_of(), "x")
    assert table.tai_offset(WallNs(JULY_1972 - 1)) == 10
    assert table.tai_offset(JULY_1972) == 11
    assert table.tai_offset(WallNs(0)) is None


def test_counted_in_tai_an_inserted_second_is_the_one_before_midnight_once_more():
    table = parse_leap_list(file_of(), "x")
    leap_second = JULY_1972 + 10 * 10**9
    assert table.tai_offset_by_tai(leap_second - 1) == 10
    assert table.tai_offset_by_tai(leap_second) == 11
    assert table.tai_offset_by_tai(0) is None


def test_counted_in_tai_a_deleted_second_is_left_out():
    table = parse_leap_list(file_of([(2_272_060_800, 10), (2_287_785_600, 9)]), "x")
    midnight = JULY_1972 + 9 * 10**9
    assert table.tai_offset_by_tai(midnight - 1) == 10
    assert table.tai_offset_by_tai(midnight) == 9


def test_leap_at_tells_inserted_from_deleted_and_other_midnights():
    table = parse_leap_list(file_of([(2_272_060_800, 10), (2_287_785_600, 11), (2_303_683_200, 10)]), "x")
    january_1973 = WallNs(94_694_400_000_000_000)
    assert table.leap_at(JULY_1972) is Leap.INSERT
    assert table.leap_at(january_1973) is Leap.DELETE
    assert table.leap_at(WallNs(JULY_1972 + 1)) is Leap.NONE


def test_the_first_line_is_where_utc_begins_and_no_leap_second():
    table = parse_leap_list(file_of(), "x")
    assert table.leap_at(table.steps[0].at) is Leap.NONE


def test_the_table_expires_when_the_file_says():
    table = parse_leap_list(file_of(), "x")
    assert not table.expired(WallNs(table.expires - 1))
    assert table.expired(table.expires)
    assert table.expires == 1_782_604_800_000_000_000  # 2026-06-28


def test_a_hash_without_its_leading_zeros_is_right_all_the_same():
    for expires in range(EXPIRES, EXPIRES + 10_000):
        digest = hashlib.sha1(f"{UPDATED}{expires}227206080010".encode()).hexdigest()
        words = [digest[i : i + 8] for i in range(0, 40, 8)]
        if any(word.startswith("0") for word in words):
            break
    short = " ".join(word.lstrip("0") or "0" for word in words)
    parse_leap_list(file_of(STEPS[:1], expires=expires, digest=short), "x")


def test_a_file_whose_contents_were_edited_is_refused():
    a_later_expiry = file_of().replace(str(EXPIRES).encode(), b"4091593600")
    a_line_cut_off = file_of().replace(b"2303683200\t12", b"# ")
    for data in (a_later_expiry, a_line_cut_off):
        assert "the hash does not fit the contents" in complaints(data)[0]


@pytest.mark.parametrize(
    ("steps", "where"),
    [
        ([(2_272_060_800, 10), (2_272_060_800, 11)], "leap-seconds.list:5: not later"),
        ([(2_272_060_800, 10), (2_287_785_600, 12)], "leap-seconds.list:5: from 10 to 12"),
        ([(2_272_060_800, 10), (2_287_785_600, 10)], "leap-seconds.list:5: from 10 to 10"),
        ([(2_272_060_801, 10)], "leap-seconds.list:4: a leap second must end a month"),
        ([(2_272_060_800 + 86_400, 10)], "leap-seconds.list:4: a leap second must end a month"),
        ([], "leap-seconds.list: there are no leap seconds"),
    ],
)
def test_impossible_leap_seconds_are_named_with_their_line(steps, where):
    assert complaints(file_of(steps))[0].startswith(where)


def test_every_problem_is_told_at_once():
    assert complaints(b"#$ soon\nhello\n") == [
        "leap-seconds.list:1: the #$ line is not as the format asks",
        "leap-seconds.list:2: not a pair of numbers: the seconds since 1900 and TAI minus UTC",
        "leap-seconds.list: there is no #$ line with the date of update",
        "leap-seconds.list: there is no #@ line with the date of expiry",
        "leap-seconds.list: there is no #h line with the hash",
        "leap-seconds.list: there are no leap seconds in it",
    ]


def test_a_repeated_date_is_refused():
    assert "a second #@ line; the first is line 3" in complaints(file_of() + b"#@ 4000000000\n")[0]


def test_a_huge_file_is_refused_unread():
    assert "longer than" in complaints(b"1" * (MAX_BYTES + 1))[0]


@given(
    st.integers(0, len(file_of())), st.integers(0, 40), st.binary(max_size=20) | st.from_regex(rb"#[$@h] ?[0-9a-f ]*")
)
def test_damaged_files_are_refused_with_a_problem_or_read(at, length, noise):
    data = file_of()
    data = data[:at] + noise + data[at + length :]
    try:
        assert isinstance(parse_leap_list(data, "x"), LeapTable)
    except ConfigError as error:
        assert error.problems  # noqa: PT017  a damaged comment leaves a good file, so that raising is no must
