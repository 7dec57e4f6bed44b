"""Leap smear: instead of a second that is counted twice or not at all, a day whose seconds are a little off."""

import math
from enum import StrEnum

from ntp_usg.core.base.instants import WallNs, seconds
from ntp_usg.core.base.snapshots import Leap

HALF_DAY = 43_200.0


class SmearKind(StrEnum):
    """How the second is spread over the window."""

    LINEAR = "linear"
    """The same rate throughout (11.6 ppm): what public smearing services agree on."""
    COSINE = "cosine"
    """The rate swells and fades (18.2 ppm at most): no jump of frequency at the ends."""


def smear_offset(at: WallNs, leap_at: WallNs, kind: SmearKind, leap: Leap = Leap.INSERT) -> float:
    """How far smeared time lags at an instant, in seconds: from 0 to 1 where a second is inserted, to -1 where deleted.

    `at` must run on over the leap as if there were none (UTC as it was counted before), and the smeared time is `at`
    minus the lag. The window is from noon to noon, UTC, with the leap (which ends at `leap_at`) in the middle of it.
    Whoever serves smeared time announces no leap second: to its clients there is none.
    """
    if leap not in (Leap.INSERT, Leap.DELETE):
        return 0.0
    sign = 1 if leap is Leap.INSERT else -1
    window = 2 * HALF_DAY + sign  # the noon after comes a second later, or sooner, than the count of `at` expects
    elapsed = seconds(at - leap_at) + HALF_DAY
    share = min(max(elapsed / window, 0.0), 1.0)
    return sign * (share if kind is SmearKind.LINEAR else math.sin(math.pi / 2 * share) ** 2)
