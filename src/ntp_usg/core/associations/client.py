"""The client's side of NTP (RFC 5905 sections 8, 9 and 13): when to ask a server, and what to make of its answers."""

from collections.abc import Callable

from ntp_usg.core.associations.answers import MAX_DELAY, RoundTrip, kiss_of, measure, parse_answer, refusal
from ntp_usg.core.associations.schedule import BURST_LENGTH, PollSchedule
from ntp_usg.core.associations.settings import AssociationSettings
from ntp_usg.core.base.instants import MonoNs, RawNs, WallNs, seconds
from ntp_usg.core.base.samples import Exchange
from ntp_usg.core.base.verdicts import Reason
from ntp_usg.core.wire.header import Header, build_header

TRIES = 4
"""Requests in a row without a usable answer, after which an address that served before is left for another ..."""
FIRST_TRY = 1
"""... and one that never did."""
LEAST_PATIENCE = 0.05
"""Seconds; an answer is waited for at least so long before the next request replaces it, and at most MAX_DELAY."""


Objection = Callable[[Header, Exchange], Reason | None]


def _no_objection(_header: Header, _exchange: Exchange) -> None:
    return None


class ClientAssociation:
    """The on-wire protocol, peer and poll processes towards one server.

    `random_bits(n)` gives n unpredictable bits: nobody can forge an answer without guessing 64 of them.
    """

    def __init__(self, settings: AssociationSettings, random_bits: Callable[[int], int], now: MonoNs) -> None:
        self.settings = settings
        self.reach = 0
        """Eight-bit shift register, one bit a request, newest lowest: set when its answer was usable."""
        self.refused: Reason | None = None
        """Why the address that was asked last may not be asked any more, when it said so."""
        self.other_reference_ids: frozenset[bytes] = frozenset()
        """What it would call us if it asked us at another of our addresses."""
        self.own_reference_id: bytes | None = None
        """What the server would call us, once known: if it follows us, we must not follow it."""
        self._random_bits = random_bits
        self._schedule = PollSchedule(settings, random_bits, now)
        self._tries = 0
        self._served = False
        self._patience = MAX_DELAY
        self._nonce: int | None = None
        self._answered: int | None = None
        self._sent_at: RawNs | None = None

    @property
    def poll(self) -> int:
        """The exponent in force: what was asked for, slowed down for a server that is silent or complains."""
        return self._schedule.poll

    def set_poll(self, exponent: int) -> None:
        """Ask for another interval; kept within the settings' limits."""
        self._schedule.set_poll(exponent)

    def deadline(self) -> MonoNs:
        """When `timer` wants to be called: polls faster than the path wait for the answer, or until it is overdue."""
        return self._schedule.deadline(self._patience if self._nonce is not None else 0.0)

    def gives_up(self, now: MonoNs) -> bool:
        """Whether the next request, if it is due, should rather go to another address of the server's name."""
        return now >= self.deadline() and self._tries >= (TRIES if self._served else FIRST_TRY)

    def timer(self, now: MonoNs) -> bytes | None:
        """The request to send, once the deadline has come. It replaces an earlier one that is still unanswered."""
        if now < self.deadline():
            return None
        if self.gives_up(now):
            self._tries = 0
        self._overdue()
        self.reach = self.reach << 1 & 0xFF
        self._tries += 1
        self._schedule.ask(now, reachable=self.reach != 0)
        self._nonce = self._random_bits(64) or 1
        self._sent_at = None
        # draft-ietf-ntp-data-minimization: a random timestamp, and nothing that the server does not need.
        return build_header(Header(version=self.settings.version, poll=self.poll, transmit_timestamp=self._nonce))

    def sent(self, at: RawNs) -> None:
        """The latest request left at this time; a better measurement of the same departure may follow.

        Only these count as unanswered: what this machine could not send (no network, no address of the name) gives no
        reason to ask the server more rarely.
        """
        if self._sent_at is None:
            self._schedule.left()
        self._sent_at = at

    def moved(self) -> None:
        """The latest request went to another address, which is another server: what the last one did says nothing."""
        self.reach = 0
        self.refused = None
        self._tries = 1
        self._served = False
        self._patience = MAX_DELAY
        self._schedule.moved()

    def receive(
        self,
        data: bytes,
        at: RawNs,
        now: MonoNs,
        pivot: WallNs | None = None,
        objection: Objection = _no_objection,
    ) -> Exchange | Reason:
        """What an answer that arrived at `at` is worth, or why it is worth nothing.

        `pivot` is any instant within 68 years of the true time, where the raw clock itself may be further off;
        `objection` says why even a sound answer is not to be used.
        """
        header = parse_answer(data)
        if isinstance(header, Reason):
            return header
        if header.origin_timestamp == self._answered:
            return Reason.DUPLICATE
        if self._sent_at is None or header.origin_timestamp != self._nonce:
            return Reason.BOGUS_ORIGIN
        # From here on it is the server that speaks, or somebody who sees our packets; one answer a question.
        sent_at, self._answered, self._nonce = self._sent_at, self._nonce, None
        asked_at = self._schedule.asked_at
        waited = seconds(now - asked_at) if asked_at is not None else 0.0
        self._patience = min(max(2 * waited, self._patience / 2, LEAST_PATIENCE), MAX_DELAY)
        if (kiss := kiss_of(header)) is not None:
            return self._obey(kiss)
        trip = RoundTrip(sent_at, at, waited, WallNs(at) if pivot is None else pivot)
        settings = self.settings
        result = refusal(header, {self.own_reference_id, *self.other_reference_ids}) or measure(
            header, trip, precision=settings.precision, max_distance=settings.max_distance
        )
        if isinstance(result, Exchange):
            result = objection(header, result) or result
        if isinstance(result, Exchange):
            self._heard()
        return result

    @property
    def hurrying(self) -> bool:
        """Whether the next request comes earlier than at the poll interval."""
        return self._schedule.hurrying

    def hurry(self, requests: int = BURST_LENGTH - 1) -> None:
        """Ask so often in quick succession: what the last answers said may be outdated."""
        self._schedule.hurry(requests)

    def start_again(self) -> None:
        """Ask as at the start: nothing is known any more."""
        self._schedule.start_again()

    def network_returned(self, now: MonoNs) -> bool:
        """Ask at once where the latest request has no usable answer; a server that complained keeps its pace."""
        if self._schedule.asked_at is None or not self._tries or self._schedule.slowed:
            return False
        self._schedule.ask_at_once(now)
        self._nonce = None
        self._tries = 0
        return True

    def _heard(self) -> None:
        self._schedule.answered(reachable=self.reach != 0)
        self.reach |= 1
        self._tries = 0
        self._served = True

    def _overdue(self) -> None:
        """An answer that has not come in time may be lost, or the path has become slower."""
        if self._nonce is not None:
            self._patience = min(2 * self._patience, MAX_DELAY)

    def _obey(self, kiss: Reason) -> Reason:
        """RFC 5905 section 7.4: ask less often, or never again."""
        if kiss is Reason.KISS_RATE:
            self._schedule.complained()
        else:
            self.refused = kiss
            self._schedule.refused()
        return kiss
