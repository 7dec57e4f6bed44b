"""The serving state as the kernel's program reads it: integers only, straight lines for a few seconds ahead."""

import struct
from math import ceil

from ntp_usg.core.base.instants import NS_PER_SECOND, HostNs, MonoNs, WallNs
from ntp_usg.core.base.snapshots import Leap, ServingState
from ntp_usg.core.server.responder import answer_start, is_usable
from ntp_usg.core.wire.timestamps import to_ntp

LIFETIME_NS = 4_000_000_000
"""So long it is served unless renewed; below 2**32, in which the program counts."""

_WORDS = struct.Struct("<14Q")
STATE_BYTES = _WORDS.size
_MULTIPLIER, _MASK = 0x9E3779B97F4A7C15, 2**64 - 1
_UNITS_PER_NS = 2**32 / NS_PER_SECOND * 2**29
"""Of an NTP timestamp, in the program's fixed point."""
_DISPERSION_UNITS = 2**52
_LARGEST_DISPERSION = 1000.0
"""Seconds; more does not fit, and is no time to serve."""
_DAY_NS = 86_400 * NS_PER_SECOND
_BEFORE_LEAP_NS = 2 * NS_PER_SECOND
"""A second may be left out: the count jumps where the second before the last of the day ends."""


def build_state(number: int, state: ServingState, host: HostNs, now: MonoNs, tai_minus_host_ns: int) -> bytes:
    """One slot of the program's memory, from clocks that were read together: `tai_minus_host_ns` is whole seconds.

    A state that says "unsynchronised" or has expired is one of no lifetime: answering it is left to user space.
    """
    mapping, start = state.mapping, HostNs(max(host, state.mapping.base_ns))
    wall = mapping.wall(start)
    at = MonoNs(now + start - host)
    dispersion = state.root_dispersion_at(at)
    lifetime = min(LIFETIME_NS, state.expires_at - at, _until_leap(state, wall)) if is_usable(state) else 0
    if not dispersion + state.dispersion_rate <= _LARGEST_DISPERSION:  # NaN neither
        lifetime = 0
    words = (
        number,
        *_head(state),
        start + tai_minus_host_ns,
        to_ntp(wall),
        tai_minus_host_ns + state.host_minus_mono_ns,
        max(lifetime, 0),
        round((1 + mapping.rate) * _UNITS_PER_NS),
        round(mapping.slew_rate * _UNITS_PER_NS),
        max(mapping.slew_ns - (start - mapping.base_ns), 0),
        ceil(dispersion * _DISPERSION_UNITS) if lifetime > 0 else 0,
        ceil(state.dispersion_rate * _DISPERSION_UNITS / NS_PER_SECOND) if lifetime > 0 else 0,
    )
    unsigned = [word & _MASK for word in words]
    return _WORDS.pack(*unsigned, check_words(unsigned))


def _head(state: ServingState) -> tuple[int, int, int]:
    """An answer's first 24 octets, with nothing for the root dispersion."""
    start = bytearray(answer_start(state, state.as_of))
    start[8:12] = bytes(4)
    return struct.unpack("<3Q", start)


def _until_leap(state: ServingState, wall: WallNs) -> int:
    """Nanoseconds until the count of seconds jumps: what is announced happens at a midnight, UTC.

    The program could not see it: the kernel's TAI goes on smoothly there.
    """
    if state.leap is Leap.NONE:
        return LIFETIME_NS
    return _DAY_NS - wall % _DAY_NS - _BEFORE_LEAP_NS


def check_words(words: list[int]) -> int:
    """The sum that tells the program that it has read words as they were written together, and not two lots mixed."""
    multiplier, total = 1, 0
    for word in words:
        multiplier = multiplier * _MULTIPLIER & _MASK
        total += word * multiplier
    return total & _MASK
