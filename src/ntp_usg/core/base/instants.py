"""Instants are integer nanoseconds; which clock counted them is in the type. Intervals are float seconds."""

from typing import NewType

HostNs = NewType("HostNs", int)
"""A reading of the host's CLOCK_REALTIME, in Unix nanoseconds: what the kernel stamps packets and pulses with."""

RawNs = NewType("RawNs", int)
"""The host clock without our corrections: samples are kept on this timeline, so that steering never disturbs them."""

WallNs = NewType("WallNs", int)
"""UTC as the daemon believes it, in Unix nanoseconds: what is served."""

MonoNs = NewType("MonoNs", int)
"""A reading of CLOCK_MONOTONIC: for timeouts and ages, which a step of the wall clock must not disturb."""

NS_PER_SECOND = 1_000_000_000


def seconds(interval_ns: int) -> float:
    """An interval of integer nanoseconds as float seconds."""
    return interval_ns / NS_PER_SECOND


def nanoseconds(interval: float) -> int:
    """An interval of float seconds as the nearest integer nanoseconds."""
    return round(interval * NS_PER_SECOND)


def nearest_second(instant_ns: int) -> int:
    """The whole second nearest to an instant, itself in nanoseconds."""
    return (instant_ns + NS_PER_SECOND // 2) // NS_PER_SECOND * NS_PER_SECOND
