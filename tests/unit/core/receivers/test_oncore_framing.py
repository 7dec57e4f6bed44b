"""Messages of known lengths between @@ and the end of a line."""

import pytest

from ntp_usg.core.base.instants import HostNs
from ntp_usg.core.base.verdicts import Outcome, Reason, Verdict
from ntp_usg.core.receivers.oncore_framing import (
    LENGTHS,
    LONGEST_MESSAGE,
    Kind,
    OncoreFramer,
    OncoreMessage,
    build_message,
)

TORN = Verdict(Outcome.REJECTED, Reason.BAD_CHECKSUM)
UTC = build_message(Kind.TIME_MODE, b"\x01")


def feed(*pieces):
    framer = OncoreFramer()
    return [message for at, piece in enumerate(pieces) for message in framer.feed(piece, HostNs(at))]


def test_the_checksum_is_that_of_the_manual():
    # M12+ User's Guide: the questions for the T-RAIM alarm limit and for pending leap seconds.
    assert build_message("Gf", b"\xff\xff") == bytes.fromhex("40404766FFFF210D0A")
    assert build_message(Kind.LEAP_DATE) == bytes.fromhex("4040476A2D0D0A")


@pytest.mark.parametrize("kind", list(Kind))
def test_every_message_is_cut_out_at_its_length(kind):
    data = bytes(range(13, 13 + 200))[: LENGTHS[kind] - 7].ljust(LENGTHS[kind] - 7, b"@")
    assert feed(b"noise" + build_message(kind, data) + UTC) == [
        OncoreMessage(kind, data, HostNs(0)),
        OncoreMessage(Kind.TIME_MODE, b"\x01", HostNs(0)),
    ]


def test_a_message_in_pieces_is_stamped_by_its_first():
    for cut in range(1, len(UTC)):
        assert feed(b"noise", UTC[:cut], UTC[cut:]) == [OncoreMessage(Kind.TIME_MODE, b"\x01", HostNs(1))]


def test_a_wrong_checksum_is_told():
    assert feed(UTC[:4] + b"\x00" + UTC[5:]) == [TORN]


@pytest.mark.parametrize("torn", [b"@", b"@@", b"@@E", b"@@Ea123", b"@@Cj" + bytes(100), b"@@Zz123\r\n"])
def test_a_torn_message_does_not_take_the_next_one_with_it(torn):
    assert feed(torn + UTC, UTC) == [
        OncoreMessage(Kind.TIME_MODE, b"\x01", HostNs(0)),
        OncoreMessage(Kind.TIME_MODE, b"\x01", HostNs(1)),
    ]


def test_an_endless_message_is_not_kept():
    framer = OncoreFramer()
    for _ in range(100):
        assert framer.feed(b"@@Cj" + b"x" * 290, HostNs(0)) == []
        assert framer.feed(b"@@Ha" + b"@" * 3000, HostNs(0)) == []
        assert len(framer._framer._rest) <= LONGEST_MESSAGE
