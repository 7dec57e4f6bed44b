"""Lines are found again after anything, and stamped with the arrival of their first byte."""

import re

from ntp_usg.core.base.instants import HostNs
from ntp_usg.core.receivers.framing import LONGEST_LINE, Frame, LineFramer


def feed(*chunks: bytes) -> list[Frame]:
    """The frames of chunks that arrive at 0, 1, 2 ..."""
    framer = LineFramer()
    return [frame for at, chunk in enumerate(chunks) for frame in framer.feed(chunk, HostNs(at))]


def test_a_line_comes_without_its_end():
    assert feed(b"$A*00\r\n$B*11\n") == [Frame(b"$A*00", HostNs(0)), Frame(b"$B*11", HostNs(0))]


def test_a_line_in_pieces_carries_the_stamp_of_its_first_byte():
    assert feed(b"$A*00\r\n$B", b"*1", b"1\r\n$C\r") == [
        Frame(b"$A*00", HostNs(0)),
        Frame(b"$B*11", HostNs(0)),
        Frame(b"$C", HostNs(2)),
    ]


def test_a_line_is_not_given_out_before_its_end():
    assert feed(b"$A*00") == []
    assert feed(b"$A*00", b"\r") == [Frame(b"$A*00", HostNs(0))]


def test_a_torn_line_does_not_take_the_next_one_with_it():
    assert feed(b"$TORN", b"$A*00\r\n") == [Frame(b"$TORN", HostNs(0)), Frame(b"$A*00", HostNs(1))]


def test_bytes_that_are_in_no_line_are_skipped():
    assert feed(b"\xff\x00\xb5bA*00\r\n", b"\r\nB\r\n$C\n\xfe") == [Frame(b"$C", HostNs(1))]


def test_the_longest_line_passes_and_one_byte_more_is_dropped():
    longest = b"$" + b"x" * (LONGEST_LINE - 1)
    assert feed(longest + b"\n") == [Frame(longest, HostNs(0))]
    assert feed(longest + b"x\n$A\n") == [Frame(b"$A", HostNs(0))]


def test_an_endless_line_is_not_kept():
    framer = LineFramer()
    for _ in range(1000):
        assert framer.feed(b"$" + b"x" * 200, HostNs(0)) in ([], [Frame(b"$" + b"x" * 200, HostNs(0))])
        assert framer.feed(b"x" * 5000, HostNs(0)) == []
        assert len(framer._rest) <= LONGEST_LINE
    assert framer.feed(b"\n$A\n", HostNs(1)) == [Frame(b"$A", HostNs(1))]


def test_other_frames_than_lines_are_cut_out_by_their_own_patterns():
    framer = LineFramer(re.compile(rb"\x02[^\x02\x03]{0,8}\x03"), re.compile(rb"\x02[^\x02\x03]{0,8}\Z"))
    assert framer.feed(b"noise\x02one\x03\x02tw", HostNs(1)) == [Frame(b"\x02one\x03", HostNs(1))]
    assert framer.feed(b"o\x03", HostNs(2)) == [Frame(b"\x02two\x03", HostNs(1))]
    assert framer.feed(b"\x02far too long\x03", HostNs(3)) == []


def test_a_whole_frame_after_a_torn_one_is_given_out_once():
    framer = LineFramer(re.compile(rb"@\d{4}\r"), re.compile(rb"@[\d@\r]{0,9}\Z"))
    assert framer.feed(b"@12@3456\r", HostNs(1)) == [Frame(b"@3456\r", HostNs(1))]
    assert framer.feed(b"@78", HostNs(2)) == []
    assert framer.feed(b"90\r", HostNs(3)) == [Frame(b"@7890\r", HostNs(2))]
