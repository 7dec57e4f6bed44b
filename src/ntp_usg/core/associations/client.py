"""The client's side of NTP (RFC 5905 sections 8, 9 and 13): when to ask a server, and what to make of its answers."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from ntp_usg.core.base.errors import WireError
from ntp_usg.core.base.instants import MonoNs, RawNs, WallNs, nanoseconds, seconds
from ntp_usg.core.base.samples import Exchange, RemoteState, Sample
from ntp_usg.core.base.snapshots import PHI, UNSYNCHRONISED_STRATUM, Leap
from ntp_usg.core.base.verdicts import Reason
from ntp_usg.core.wire.header import HEADER_LENGTH, Header, Mode, build_header, parse_header
from ntp_usg.core.wire.timestamps import from_ntp
from ntp_usg.core.wire.trailer import mac_start

NEVER: Final = MonoNs((1 << 63) - 1)
"""The deadline of an association that has nothing to do any more."""

SLOWEST_POLL = 17
"""RFC 5905 MAXPOLL: 36 hours."""
BURST_LENGTH = 4
"""Requests in a burst."""
FIRST_TRIES = 8
"""A server that has not answered yet is asked so often at the pace of a burst; then it gets its peace."""
BURST_SPACING = 2.0
"""Seconds between the requests of a burst (RFC 5905 BTIME)."""
PATIENCE = 12
"""After so many unanswered requests each further one doubles the interval (RFC 5905 UNREACH)."""
FIRST_DELAY_BITS = 27
"""The first request goes out after up to 2**27 ns (0.13 s): a fleet that is switched on does not ask in one moment."""
JITTER_BITS = 16
JITTER_SHARE = 32
"""Intervals are longer than asked for by up to one part in 32, so that clients do not fall into step."""

MAX_DELAY = 3.0
"""Seconds; an answer that took longer says too little about the time."""
MAX_CLOCK_JUMP = 0.01
"""Seconds by which our wall clock may outrun the monotonic one while we wait; more, and somebody has set it."""
MAX_REFERENCE_LEAD = 1.0
"""A reference timestamp this far ahead of the transmit timestamp is a rounded one; a later one cannot be true."""

_KISSES = {b"RATE": Reason.KISS_RATE, b"DENY": Reason.KISS_DENY, b"RSTR": Reason.KISS_RSTR}


@dataclass(frozen=True, slots=True, kw_only=True)
class AssociationSettings:
    """How to ask one server. Polls are exponents of two, in seconds."""

    name: str
    version: int = 4
    min_poll: int = 6
    max_poll: int = 10
    iburst: bool = False
    """Ask a server that is new or back again a few times in quick succession."""
    burst: bool = False
    """Do so at each poll: only for one's own servers."""
    precision: int = -20
    """Of our timestamps, as an exponent of two in seconds."""
    max_distance: float = 3.0
    """An answer whose time may be off by more seconds is refused (RFC 5905 MAXDIST)."""


class ClientAssociation:
    """The on-wire protocol, peer and poll processes towards one server.

    `random_bits(n)` gives n unpredictable bits: nobody can forge an answer without guessing 64 of them.
    """

    def __init__(self, settings: AssociationSettings, random_bits: Callable[[int], int], now: MonoNs) -> None:
        self.settings = settings
        self.reach = 0
        """Eight-bit shift register, one bit a request, newest lowest: set when its answer was usable."""
        self.stopped: Reason | None = None
        """Why the server may not be asked any more, when it said so."""
        self.own_reference_id: bytes | None = None
        """What the server would call us, once known: if it follows us, we must not follow it."""
        self._random_bits = random_bits
        self._first_at = MonoNs(now + random_bits(FIRST_DELAY_BITS))
        self._asked_at: MonoNs | None = None
        self._jitter = 0
        self._wanted_poll = self._slowed_to = settings.min_poll
        self._quick = FIRST_TRIES if settings.iburst else 0
        self._unanswered = 0
        self._nonce: int | None = None
        self._answered: int | None = None
        self._sent_at: RawNs | None = None

    @property
    def poll(self) -> int:
        """The exponent in force: what was asked for, slowed down for a server that is silent or complains."""
        fastest = max(self._wanted_poll, self._slowed_to)
        slowest = max(self.settings.max_poll, fastest)
        return min(fastest + max(0, self._unanswered - PATIENCE), slowest)

    def set_poll(self, exponent: int) -> None:
        """Ask for another interval; kept within the settings' limits."""
        self._wanted_poll = max(self.settings.min_poll, min(exponent, self.settings.max_poll))

    def deadline(self) -> MonoNs:
        """When `timer` wants to be called."""
        if self.stopped is not None:
            return NEVER
        if self._asked_at is None:
            return self._first_at
        interval = nanoseconds(min(BURST_SPACING, 2.0**self.poll) if self._quick else 2.0**self.poll)
        return MonoNs(self._asked_at + interval + (interval * self._jitter // JITTER_SHARE >> JITTER_BITS))

    def timer(self, now: MonoNs) -> bytes | None:
        """The request to send, once the deadline has come. It replaces an earlier one that is still unanswered."""
        if now < self.deadline():
            return None
        self.reach = self.reach << 1 & 0xFF
        self._unanswered += 1
        if self._quick:
            self._quick -= 1
        elif self.settings.burst and self.reach:
            self._burst()
        self._asked_at = now
        self._jitter = self._random_bits(JITTER_BITS)
        self._nonce = self._random_bits(64) or 1
        self._sent_at = None
        # draft-ietf-ntp-data-minimization: a random timestamp, and nothing that the server does not need.
        return build_header(Header(version=self.settings.version, poll=self.poll, transmit_timestamp=self._nonce))

    def sent(self, at: RawNs) -> None:
        """The latest request left at this time; a better measurement of the same departure may follow."""
        self._sent_at = at

    def receive(self, data: bytes, at: RawNs, now: MonoNs, pivot: WallNs | None = None) -> Exchange | Reason:
        """What an answer that arrived at `at` is worth, or why it is worth nothing.

        `pivot` is any instant within 68 years of the true time, where the raw clock itself may be further off.
        """
        header = _parse_answer(data)
        if isinstance(header, Reason):
            return header
        if header.origin_timestamp == self._answered:
            return Reason.DUPLICATE
        if self._sent_at is None or header.origin_timestamp != self._nonce:
            return Reason.BOGUS_ORIGIN
        # From here on it is the server that speaks, or somebody who sees our packets; one answer a question.
        sent_at, self._answered, self._nonce = self._sent_at, self._nonce, None
        if header.stratum == 0 and header.reference_id in _KISSES:
            return self._obey(_KISSES[header.reference_id])
        refusal = self._refusal(header)
        if refusal is not None:
            return refusal
        waited = seconds(now - self._asked_at) if self._asked_at is not None else 0.0
        exchange = self._measure(header, sent_at, at, waited, WallNs(at) if pivot is None else pivot)
        if isinstance(exchange, Exchange):
            self._heard()
        return exchange

    def _heard(self) -> None:
        if not self.reach and self.settings.iburst:
            self._burst()
        self.reach |= 1
        self._unanswered = 0

    def hurry(self) -> None:
        """Ask a few times in quick succession: what the last answers said is of no use any more."""
        self._unanswered = 0
        self._burst()

    def _burst(self) -> None:
        if self._slowed_to == self.settings.min_poll:  # not to a server that has complained
            self._quick = BURST_LENGTH - 1

    def _obey(self, kiss: Reason) -> Reason:
        """RFC 5905 section 7.4: slow down and never ask faster again, or never ask again."""
        if kiss is Reason.KISS_RATE:
            self._slowed_to = min(self.poll + 1, SLOWEST_POLL)
            self._quick = 0
        else:
            self.stopped = kiss
        return kiss

    def _refusal(self, header: Header) -> Reason | None:
        """Why what the server says of itself forbids to follow it."""
        if header.leap is Leap.UNSYNCHRONISED or not 0 < header.stratum < UNSYNCHRONISED_STRATUM:
            return Reason.UNSYNCHRONISED_SERVER
        if header.stratum > 1 and header.reference_id == self.own_reference_id:
            return Reason.LOOP
        if not (header.receive_timestamp and header.transmit_timestamp) or _reference_lead(header) > MAX_REFERENCE_LEAD:
            return Reason.BAD_TIMESTAMPS
        return None

    def _measure(self, header: Header, sent_at: RawNs, at: RawNs, waited: float, pivot: WallNs) -> Exchange | Reason:
        """The four timestamps as an offset and a delay (RFC 5905 section 8), where they can be true.

        `waited` is what the monotonic clock says of the time since the request, in seconds.
        """
        arrived = from_ntp(header.receive_timestamp, pivot)
        left = from_ntp(header.transmit_timestamp, arrived)
        elapsed, held = seconds(at - sent_at), seconds(left - arrived)
        precision = 2.0**self.settings.precision
        dispersion = precision + 2.0**header.precision + PHI * max(0.0, elapsed)
        delay = elapsed - held
        if (header.root_delay + max(0.0, delay)) / 2 + header.root_dispersion + dispersion > self.settings.max_distance:
            return Reason.TOO_DISTANT
        # Either clock may have been read a little coarsely or slewed meanwhile, but not set.
        if delay < -dispersion or held < -dispersion or elapsed > waited + MAX_CLOCK_JUMP:
            return Reason.BAD_TIMESTAMPS
        if elapsed > MAX_DELAY:
            return Reason.TOO_LATE
        sample = Sample(
            # Half way, because that is where the formula is exact when the raw clock runs fast or slow.
            at=RawNs((sent_at + at) // 2),
            offset_ns=((arrived - sent_at) + (left - at)) // 2,
            dispersion=dispersion,
            delay=max(delay, precision),
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


def _parse_answer(data: bytes) -> Header | Reason:
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


def _reference_lead(header: Header) -> float:
    """Seconds by which the server claims to have been set after it answered; 0 when it was before, as it must be."""
    lead = (header.reference_timestamp - header.transmit_timestamp) % (1 << 64)
    return lead / (1 << 32) if header.reference_timestamp and lead < 1 << 63 else 0.0
