import contextlib
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ntp_usg.core.base.errors import WireError
from ntp_usg.sysapi import btf
from ntp_usg.sysapi.btf import find_function, find_kernel_function

NAMES = b"\0first\0second\0"
FIRST, SECOND, COND = (NAMES.index(word) for word in (b"first", b"second", b"cond"))
FOLLOWING = dict.fromkeys((2, 7, 8, 9, 10, 11, 16, 18), b"") | {
    1: b"i" * 4,
    3: b"a" * 12,
    4: b"s" * 36,
    5: b"u" * 36,
    6: b"e" * 24,
    13: b"p" * 24,
    14: b"v" * 4,
    15: b"d" * 36,
    17: b"t" * 4,
    19: b"E" * 36,
}
"""What comes after a type of each kind but a function, where it has three members."""


def described(kind: int, name: int = 0, members: int = 0, following: bytes = b"") -> bytes:
    return struct.pack("<III", name, kind << 24 | 0x80000000 * (kind == 4) | members, 1) + following


def table(*types: bytes, names: bytes = NAMES) -> bytes:
    body = b"".join(types)
    return struct.pack("<HBBIIIII", 0xEB9F, 1, 0, 24, 0, len(body), len(body), len(names)) + body + names


def test_a_function_is_found_by_its_place_among_types_of_every_kind():
    others = [described(kind, FIRST, 3, following) for kind, following in FOLLOWING.items()]
    data = table(*others, described(12, FIRST), *others, described(12, SECOND))
    assert find_function(data, "first") == len(others) + 1
    assert find_function(data, "second") == 2 * len(others) + 2
    assert find_function(data, "third") is None


def test_only_the_whole_name_counts():
    data = table(described(12, FIRST), described(12, COND), described(12, SECOND))
    assert find_function(data, "secon") is None
    assert find_function(data, "cond") == 2
    assert find_function(data, "second") == 3


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0" * 100,
        table(described(12))[:20],
        b"\x9f\xeb\2" + table(described(12))[3:],
        table(described(20)),
        table(described(0)),
        table(described(12) + b"half"),
    ],
    ids=["empty", "zeros", "half a header", "version 2", "a kind to come", "no kind", "half a type"],
)
def test_what_is_no_such_table_is_refused(data):
    with pytest.raises(WireError):
        find_function(data, "first")


def test_names_that_lie_beyond_the_end_are_no_names():
    assert find_function(table(described(12, 2**32 - 1), described(4, FIRST, 65535)), "first") is None


@given(
    st.binary(max_size=400)
    | st.lists(st.binary(min_size=12, max_size=12)).map(lambda types: table(*types))
    | st.builds(
        lambda at, octet: table(described(4, FIRST, 3, bytes(36)), described(12, FIRST))[:at] + bytes([octet]) * 40,
        st.integers(0, 90),
        st.integers(0, 255),
    )
)
def test_any_octets_give_a_number_or_the_documented_error(data):
    with contextlib.suppress(WireError):
        assert find_function(data, "first") in (None, *range(1, 100))


def test_where_there_is_no_table_there_is_no_function(monkeypatch, tmp_path):
    monkeypatch.setattr(btf, "KERNEL", tmp_path / "vmlinux")
    find_kernel_function.cache_clear()
    assert find_kernel_function("first") is None
    (tmp_path / "vmlinux").write_bytes(table(described(12, FIRST)))
    find_kernel_function.cache_clear()
    assert find_kernel_function("first") == 1
    find_kernel_function.cache_clear()


if btf.KERNEL.exists():  # no skipped test where there is none: the format is tried everywhere

    def test_this_kernels_own_functions_are_found():
        assert find_kernel_function("schedule")
        assert find_kernel_function("no_such_function_of_the_kernel") is None
