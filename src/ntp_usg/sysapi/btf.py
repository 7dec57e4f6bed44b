"""The kernel's table of its types and functions (BTF), which programs call functions of the kernel by."""

import struct
from functools import cache
from pathlib import Path

from ntp_usg.core.base.errors import WireError

KERNEL = Path("/sys/kernel/btf/vmlinux")

_HEADER = struct.Struct("<HBBIIIII")  # struct btf_header: magic, version, flags, lengths and offsets of two parts
_TYPE = struct.Struct("<III")  # struct btf_type: name, number of members and kind, size or type
_MAGIC = 0xEB9F
_FUNCTION = 12
_FOLLOWING = {
    **dict.fromkeys((2, 7, 8, 9, 10, 11, 12, 16, 18), (0, 0)),  # only refer to another type, or to none
    1: (4, 0),  # an integer
    3: (12, 0),  # an array
    4: (0, 12),  # a structure
    5: (0, 12),  # a union
    6: (0, 8),  # an enumeration
    13: (0, 8),  # a function's parameters
    14: (4, 0),  # a variable
    15: (0, 12),  # a section
    17: (4, 0),  # a tag of a declaration
    19: (0, 12),  # an enumeration of 64 bits
}
"""Octets that follow a type of each BTF_KIND_: some, and some for each member."""


@cache
def find_kernel_function(name: str) -> int | None:
    """The number of one of the running kernel's functions; None where it has none of this name, or no such table.

    To look through 130,000 types takes a twentieth of a second. Raises OSError or WireError where it cannot be read.
    """
    return find_function(KERNEL.read_bytes(), name) if KERNEL.exists() else None


def find_function(data: bytes, name: str) -> int | None:
    """The number of a function in a table; None where it is not there. Raises WireError where this is no such table."""
    try:
        magic, version, _, header, types_at, types_size, names_at, names_size = _HEADER.unpack_from(data)
        if (magic, version) != (_MAGIC, 1):
            raise WireError("not a table of types (BTF), of version 1 and little-endian")
        types = memoryview(data)[header + types_at :][:types_size]
        names = data[header + names_at :][:names_size]
        return _find(types, names, name.encode() + b"\0")
    except (struct.error, KeyError) as error:
        raise WireError(f"a table of types that is cut short or damaged: {error}") from error


def _find(types: memoryview, names: bytes, wanted: bytes) -> int | None:
    """Types have no other number than their place, counted from 1, and are of different lengths: so one by one."""
    at, number = 0, 0
    while at < len(types):
        name, info, _ = _TYPE.unpack_from(types, at)
        number += 1
        kind = info >> 24 & 0x1F
        if kind == _FUNCTION and names.startswith(wanted, name):
            return number
        some, for_each = _FOLLOWING[kind]
        at += _TYPE.size + some + for_each * (info & 0xFFFF)
    return None
