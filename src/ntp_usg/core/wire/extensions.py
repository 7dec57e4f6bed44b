"""Extension fields of NTPv4 packets (RFC 7822): where each begins and ends, whatever it means."""

from collections.abc import Iterator
from dataclasses import dataclass
from struct import Struct

from ntp_usg.core.base.errors import WireError
from ntp_usg.core.wire.header import HEADER_LENGTH

MIN_FIELD_LENGTH = 16
MAX_FIELDS = 32
"""An NTS request, the richest known, has ten."""

MAX_MAC_LENGTH = 24
"""The longest MAC that version 4 allows: what is left over and no longer than this can't be an extension field."""

_FIELD = Struct(">HH")


@dataclass(frozen=True, slots=True)
class ExtensionField:
    """One field; `value` may end in padding, `end` is the offset in the packet at which the next one begins."""

    field_type: int
    value: memoryview
    end: int


def walk_extensions(data: bytes | bytearray | memoryview) -> Iterator[ExtensionField]:
    """The extension fields after the header of a version 4 packet, up to the MAC or the end.

    RFC 7822 tells the two apart by length alone, and therefore wants a last field without a MAC to have 28 octets.
    Raises WireError at a field that breaks the format.
    """
    view = memoryview(data)
    offset = HEADER_LENGTH
    for _ in range(MAX_FIELDS):
        if len(view) - offset <= MAX_MAC_LENGTH:
            return
        field_type, length = _FIELD.unpack_from(view, offset)
        end = offset + length
        if length < MIN_FIELD_LENGTH or length % 4 or end > len(view):
            raise WireError(f"the extension field at octet {offset} says that it has {length} octets")
        yield ExtensionField(field_type, view[offset + _FIELD.size : end], end)
        offset = end
    if len(view) - offset > MAX_MAC_LENGTH:
        raise WireError(f"the packet has more than {MAX_FIELDS} extension fields")
