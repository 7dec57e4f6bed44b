"""The four octets that say what a server follows (RFC 5905 section 7.3)."""

import hashlib

from ntp_usg.core.base.snapshots import SourceKind, SourceSnapshot


def address_reference(packed: bytes) -> bytes:
    """The reference id of whoever follows the server at a packed address (RFC 5905 figure 12): IPv6 is hashed."""
    return packed if len(packed) == 4 else hashlib.md5(packed, usedforsecurity=False).digest()[:4]


def describe_reference(reference_id: bytes, stratum: int) -> str:
    """As people read it: the name of a clock or a kiss code (`GPS`, `RATE`), else an address.

    It is an address at stratum 2 to 15, and at stratum 1 of servers that put one there, as chrony's local clock does.
    """
    name = reference_id.rstrip(b"\0").decode("latin-1")
    if 2 <= stratum < 16 or not all(" " <= char <= "~" for char in name):
        return ".".join(str(octet) for octet in reference_id)
    return name


def describe_source(source: SourceSnapshot) -> str:
    """A source's reference id as people read it: a clock has a name at every stratum, a server what it follows."""
    return describe_reference(source.reference_id, source.stratum if source.kind is SourceKind.SERVER else 0)
