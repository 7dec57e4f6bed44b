"""Judges what another program says its clock read: it may be old, torn or mad."""

from ntp_usg.core.base.dates import is_possible
from ntp_usg.core.base.instants import NS_PER_SECOND, HostNs
from ntp_usg.core.base.samples import Measurement
from ntp_usg.core.base.verdicts import Outcome, Reason, Verdict

OLDEST_NS = 4 * NS_PER_SECOND
"""A reading that waited longer for us belongs to a program that hangs, or to a clock that was stepped since."""
IMPLAUSIBLE = Verdict(Outcome.REJECTED, Reason.IMPLAUSIBLE)
STALE = Verdict(Outcome.REJECTED, Reason.STALE)


def is_fresh(at: HostNs, now: HostNs) -> bool:
    """Whether a host reading that another program took can be of the moment."""
    return 0 <= now - at <= OLDEST_NS


def judge_reading(reading: Measurement, now: HostNs) -> Measurement | Verdict:
    """The reading itself, or why it is of no use. Any integers will do."""
    if not is_fresh(reading.at, now):
        return STALE
    if not is_possible(reading.at + reading.offset_ns) or not 0 <= reading.leap <= 3:
        return IMPLAUSIBLE
    return reading
