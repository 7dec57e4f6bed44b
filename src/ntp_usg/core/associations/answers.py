"""What one answer of a server is worth (RFC 5905 section 8): the same checks for the daemon and for `ntp_usg query`."""

from collections.abc import Collection
from dataclasses import dataclass

from ntp_usg.core.base.errors import WireError
from ntp_usg.core.base.instants import RawNs, WallNs, seconds
from ntp_usg.core.base.samples import Exchange, RemoteState, Sample
from ntp_usg.core.base.snapshots import PHI, UNSYNCHRONISED_STRATUM, Leap
from ntp_usg.core.base.verdicts import Reason
from ntp_usg.core.wire.header import HEADER_LENGTH, Header, Mode, parse_header
from ntp_usg.core.wire.timestamps import from_ntp
from ntp_usg.core.wire.trailer import mac_start

MAX_DELAY = 3.0
"""Seconds; an answer that took longer says too little about the time."""
MAX_CLOCK_JUMP = 0.01
"""Seconds by which our wall clock may outrun the monotonic one while we wait; more, and somebody has set it."""
MAX_REFERENCE_LEAD = 1.0
"""A reference timestamp this far ahead of the transmit timestamp is a rounded one; a later one cannot be true."""

_KISSES = {b"RATE": Reason.KISS_RATE, b"DENY": Reason.KISS_DENY, b"RSTR": Reason.KISS_RSTR}


@dataclass(frozen=True, slots=True)
class RoundTrip:
    """When a request left and its answer came, by our own clocks."""

    sent_at: RawNs
    received_at: RawNs
    waited: float
    """Seconds between the two by the monotonic clock, which nobody sets."""
    pivot: WallNs
    """Any instant within 68 years of the true time: it tells the era of the server's timestamps."""


def parse_answer(data: bytes) -> Header | Reason:
    """The header of a well-formed answer of a server, or what is wrong with the datagram."""
    if len(data) < HEADER_LENGTH:
        return Reason.TOO_SHORT
    try:
        header = parse_header(data)
    except WireError:
        return Reason.BAD_VERSION
    if header.mode is not Mode.SERVER:
        return Reason.NOT_AN_ANSWER
    try:
        mac_start(data)
    except WireError:
        return Reason.BAD_FORMAT
    return header


def kiss_of(header: Header) -> Reason | None:
    """What a kiss-o'-death asks of us; None for any other answer."""
    return _KISSES.get(header.reference_id) if header.stratum == 0 else None


def refusal(header: Header, own_reference_ids: Collection[bytes | None] = ()) -> Reason | None:
    """Why what the server says of itself forbids to follow it; `own_reference_ids` is what it calls us."""
    if header.leap is Leap.UNSYNCHRONISED or not 0 < header.stratum < UNSYNCHRONISED_STRATUM:
        return Reason.UNSYNCHRONISED_SERVER
    if header.reference_id in own_reference_ids:
        return Reason.LOOP
    if not (header.receive_timestamp and header.transmit_timestamp) or _reference_lead(header) > MAX_REFERENCE_LEAD:
        return Reason.BAD_TIMESTAMPS
    return None


def measure(header: Header, trip: RoundTrip, *, precision: int, max_distance: float) -> Exchange | Reason:
    """The four timestamps as an offset and a delay, where they can be true.

    `precision` is that of our own timestamps, as an exponent of two in seconds; `max_distance` is in seconds.
    """
    arrived = from_ntp(header.receive_timestamp, trip.pivot)
    left = from_ntp(header.transmit_timestamp, arrived)
    elapsed, held = seconds(trip.received_at - trip.sent_at), seconds(left - arrived)
    own_precision = 2.0**precision
    dispersion = own_precision + 2.0**header.precision + PHI * max(0.0, elapsed)
    delay = elapsed - held
    # Either clock may have been read a little coarsely or slewed meanwhile, but not set.
    if delay < -dispersion or held < -dispersion or elapsed > trip.waited + MAX_CLOCK_JUMP:
        return Reason.BAD_TIMESTAMPS
    if (header.root_delay + max(0.0, delay)) / 2 + header.root_dispersion + dispersion > max_distance:
        return Reason.TOO_DISTANT
    if elapsed > MAX_DELAY:
        return Reason.TOO_LATE
    sample = Sample(
        # Half way, because that is where the formula is exact when the raw clock runs fast or slow.
        at=RawNs((trip.sent_at + trip.received_at) // 2),
        offset_ns=((arrived - trip.sent_at) + (left - trip.received_at)) // 2,
        dispersion=dispersion,
        delay=max(delay, own_precision),
    )
    remote = RemoteState(
        header.leap,
        header.stratum,
        header.reference_id,
        header.root_delay,
        header.root_dispersion,
        header.precision,
        from_ntp(header.reference_timestamp, left) if header.reference_timestamp else WallNs(0),
    )
    return Exchange(sample, remote)


def _reference_lead(header: Header) -> float:
    """Seconds by which the server claims to have been set after it answered; 0 when it was before, as it must be."""
    lead = (header.reference_timestamp - header.transmit_timestamp) % (1 << 64)
    return lead / (1 << 32) if header.reference_timestamp and lead < 1 << 63 else 0.0
