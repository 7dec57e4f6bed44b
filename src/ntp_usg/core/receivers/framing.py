"""Finds the lines of a receiver in a byte stream that may hold anything else besides."""

import re
from dataclasses import dataclass

from ntp_usg.core.base.instants import HostNs

LONGEST_LINE = 256
"""NMEA 0183 allows 82 characters; receivers with more digits or proprietary sentences send more."""

_LINE = re.compile(rb"\$[^$\r\n]{0,%d}(?=[$\r\n])" % (LONGEST_LINE - 1))
_UNFINISHED = re.compile(rb"\$[^$\r\n]{0,%d}\Z" % (LONGEST_LINE - 1))


@dataclass(frozen=True, slots=True)
class Frame:
    """One line without its end, and when its first byte arrived."""

    data: bytes
    started_at: HostNs


class LineFramer:
    """Cuts `$...` lines out of a stream, of any bytes in pieces of any size; never holds more than one line.

    A line ends where the next begins, too: so a torn line takes no other with it. Over-long lines are dropped. Other
    frames than lines can be cut out by patterns of their own: of a whole one, and of one whose end has not come yet.
    """

    def __init__(self, whole: re.Pattern[bytes] = _LINE, unfinished: re.Pattern[bytes] = _UNFINISHED) -> None:
        self._whole = whole
        self._unfinished = unfinished
        self._rest = b""
        self._rest_at = HostNs(0)

    def feed(self, data: bytes, received_at: HostNs) -> list[Frame]:
        """The lines that these bytes complete."""
        text = self._rest + data
        held = len(self._rest)

        def frame(line: re.Match[bytes]) -> Frame:
            return Frame(line[0], self._rest_at if line.start() < held else received_at)

        lines = list(self._whole.finditer(text))
        frames = [frame(line) for line in lines]
        # What a whole frame ends is not kept: else the frame would be given out again.
        unfinished = self._unfinished.search(text, lines[-1].end() if lines else 0)
        rest = frame(unfinished) if unfinished else Frame(b"", received_at)
        self._rest, self._rest_at = rest.data, rest.started_at
        return frames
