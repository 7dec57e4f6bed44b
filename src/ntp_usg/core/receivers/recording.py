"""What a receiver sent, and when, so that it can be played again; docs/reference/recordings.md has the format."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from ntp_usg.core.base.errors import WireError
from ntp_usg.core.base.instants import HostNs

LONGEST_CHUNK = 4096
LONGEST_LINE = 2 * LONGEST_CHUNK + 64
_END_OF_TIME = 2**63


@dataclass(frozen=True, slots=True)
class Chunk:
    """Bytes that arrived together."""

    at: HostNs
    data: bytes


def build_chunk(chunk: Chunk) -> bytes:
    """One line of a recording, with its end."""
    return b'{"at_ns": %d, "hex": "%s"}\n' % (chunk.at, chunk.data.hex().encode())


def parse_chunk(line: bytes) -> Chunk:
    """The inverse of `build_chunk`; keys that we do not know are left to others. Raises WireError."""
    if len(line) > LONGEST_LINE:
        raise WireError(f"longer than {LONGEST_LINE} bytes")
    try:
        entry = json.loads(line)
        at, data = entry["at_ns"], bytes.fromhex(entry["hex"])
    # A list nested too deep is a RecursionError; a document that is no table, or holds other types, a TypeError.
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise WireError('not {"at_ns": NANOSECONDS, "hex": "BYTES"}') from error
    if type(at) is not int or not 0 <= at < _END_OF_TIME:
        raise WireError(f"at_ns {at!r} is no time")
    return Chunk(HostNs(at), data)


def parse_recording(readline: Callable[[int], bytes]) -> Iterator[Chunk]:
    """The chunks of a file, never more than one in memory; `readline(size)` gives at most so much of its next line.

    Raises WireError with the number of the line at fault.
    """
    last = None
    for number, line in enumerate(iter(lambda: readline(LONGEST_LINE + 1), b""), start=1):
        try:
            chunk = parse_chunk(line)
        except WireError as error:
            raise WireError(f"{number}: {error}") from error
        if last and chunk.at < last.at:
            raise WireError(f"{number}: is earlier than the line before")
        yield (last := chunk)
    if last is None:
        raise WireError("1: nothing was recorded")
