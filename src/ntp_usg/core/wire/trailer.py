"""What follows the header and the extension fields: a message authentication code (MAC), or nothing."""

from collections.abc import Container

from ntp_usg.core.base.errors import WireError
from ntp_usg.core.wire.extensions import walk_extensions
from ntp_usg.core.wire.header import HEADER_LENGTH, version_of

_MAC_LENGTHS = (20, 24)
"""Key id and a digest of 16 octets (MD5, RFC 8573 AES-CMAC) or 20 (SHA-1, or a longer one cut): RFC 7822."""

_OLD_MAC_LENGTHS = range(12, 73, 4)
"""Before version 4: from DES (RFC 1305 appendix C, 12) to long digests (68) and the extended MS-SNTP form (72)."""


def mac_start(data: bytes | bytearray | memoryview) -> int:
    """The offset of the MAC (key id first) in a packet that has a whole header; its length where there is none.

    A crypto-NAK (a key id of 0 and no digest) counts as a MAC. Raises WireError when the lengths do not add up.
    """
    start = HEADER_LENGTH
    lengths: Container[int] = _OLD_MAC_LENGTHS
    if version_of(data[0]) == 4:
        lengths = _MAC_LENGTHS
        for field in walk_extensions(data):
            start = field.end
    length = len(data) - start
    if length and length not in lengths and bytes(data[start:]) != bytes(4):
        raise WireError(f"{length} octets after the last field are no MAC")
    return start
