"""Judges what another program says its clock read: it may be old, torn or mad."""

from datetime import UTC, datetime

from ntp_usg.core.base.instants import NS_PER_SECOND, HostNs, nanoseconds
from ntp_usg.core.base.samples import Measurement
from ntp_usg.core.base.verdicts import Outcome, Reason, Verdict
from ntp_usg.core.receivers.rollover import EARLIEST_DATE

OLDEST_NS = 4 * NS_PER_SECOND
"""A reading that waited longer for us belongs to a program that hangs, or to a clock that was stepped since."""
EARLIEST_NS = nanoseconds(datetime(EARLIEST_DATE.year, EARLIEST_DATE.month, EARLIEST_DATE.day, tzinfo=UTC).timestamp())
LATEST_NS = EARLIEST_NS + 100 * 366 * 86_400 * NS_PER_SECOND
IMPLAUSIBLE = Verdict(Outcome.REJECTED, Reason.IMPLAUSIBLE)
STALE = Verdict(Outcome.REJECTED, Reason.STALE)


def is_fresh(at: HostNs, now: HostNs) -> bool:
    """Whether a host reading that another program took can be of the moment."""
    return 0 <= now - at <= OLDEST_NS


def judge_reading(reading: Measurement, now: HostNs) -> Measurement | Verdict:
    """The reading itself, or why it is of no use. Any integers will do."""
    if not is_fresh(reading.at, now):
        return STALE
    if not EARLIEST_NS <= reading.at + reading.offset_ns < LATEST_NS or not 0 <= reading.leap <= 3:
        return IMPLAUSIBLE
    return reading
