"""Another NTP server as a source: its association asks, its estimator learns, its distance limits the trust."""

import math
from collections import deque
from collections.abc import Callable
from dataclasses import replace

from ntp_usg.core.algorithms.alert import Alert
from ntp_usg.core.algorithms.estimator import Estimator, NoiseModel
from ntp_usg.core.algorithms.leap import Announcement, Weight
from ntp_usg.core.algorithms.poll import PollControl
from ntp_usg.core.algorithms.selection import Choice
from ntp_usg.core.associations.client import ClientAssociation
from ntp_usg.core.associations.schedule import BURST_LENGTH
from ntp_usg.core.base.actions import Action, Leave, Level, Note, Send
from ntp_usg.core.base.addresses import numeric_address
from ntp_usg.core.base.dates import is_possible, nearest_possible
from ntp_usg.core.base.instants import MonoNs, RawNs, WallNs, nanoseconds
from ntp_usg.core.base.mapping import ClockMapping
from ntp_usg.core.base.samples import Exchange, RemoteState, Sample
from ntp_usg.core.base.snapshots import UNSYNCHRONISED_STRATUM, Leap, ServerPath, SourceKind, SourceSnapshot, Tally
from ntp_usg.core.base.verdicts import Reason
from ntp_usg.core.engine.settings import NetworkSettings
from ntp_usg.core.engine.source import Source
from ntp_usg.core.wire.header import Header

RECENT = 8
"""So many of the latest round trips count, as in the clock filter of RFC 5905: where a route has become longer, its
delay is soon what is stated."""
_UNHEARD = RemoteState(Leap.UNSYNCHRONISED, UNSYNCHRONISED_STRATUM, b"INIT", 0.0, 0.0, 0)
NETWORK_NOISE = NoiseModel(expected=1e-3, floor=1e-6, gate=100e-6)

CURRENT = 8.0
"""Seconds in which what a server has said needs no confirmation."""


class NetworkSource(Source):
    """One server that is asked over the network."""

    LOST_AFTER = 8
    """So many poll intervals without a usable answer, and the server counts as lost: its reach is empty."""

    FALSE_AFTER = 8
    """So many requests in a row to a falseticker, and another address of its name is asked."""

    settings: NetworkSettings

    def __init__(
        self,
        settings: NetworkSettings,
        estimator: Estimator,
        random_bits: Callable[[int], int],
        now: MonoNs,
    ) -> None:
        super().__init__(settings, estimator, now)
        self.association = ClientAssociation(settings.association, random_bits, now)
        self.remote: RemoteState | None = None
        self._reference_id = settings.reference_id
        self._poll_control = PollControl(settings.association.min_poll, settings.association.max_poll)
        self._alert = Alert(now)
        self.alarmed = False
        """Whether the latest answer contradicts those before it, and is news: others should say what they see."""
        self._delays: deque[float] = deque(maxlen=RECENT)
        self._heard: Sample | None = None
        self._false = 0
        self.path: ServerPath | None = None
        """Where it is, once its name was found."""
        self._no_witness: Reason | None = None
        """Why it has no vote of its own, by its latest answer; `_told` is what people have heard of that."""
        self._told: Reason | None = None
        self.is_ours = False
        """Whether it is this server itself that answers there."""

    @property
    def reach(self) -> int:
        return self.association.reach

    @property
    def poll_interval(self) -> float:
        return 2.0**self.association.poll

    @property
    def is_server(self) -> bool:
        return True

    def is_orphan(self, stratum: int) -> bool:
        """Whether the server follows nobody but its own group, as its stratum shows."""
        return self.remote is not None and self.remote.stratum >= stratum

    @property
    def is_elder(self) -> bool:
        """Whether its address goes before ours: of orphans the one with the smallest is followed by all."""
        own = self.association.own_reference_id
        return own is not None and self._reference_id < own

    @property
    def about_to_vote(self) -> bool:
        """Too few answers have come yet, but nothing is known to stand against more."""
        unusable = self.settings.noselect or self._no_witness is not None or self.association.refused is not None
        return not unusable and not self.estimator.ready

    @property
    def stratum(self) -> int:
        return self.remote.stratum if self.remote else 16

    @property
    def accuracy(self) -> float:
        """Half of both round trips, and what the server says that it may be off by itself."""
        return self._accuracy(self._delay)

    def _accuracy(self, delay: float) -> float:
        return math.inf if self.remote is None else (self.remote.root_delay + delay) / 2 + self.remote.root_dispersion

    @property
    def _latest_delay(self) -> float:
        return self._delays[-1] if self._delays else 0.0

    @property
    def _delay(self) -> float:
        """What the shortest of the latest round trips took: what others took longer is in the estimate's deviation.

        It is the second shortest, for a single one that cannot be would hide an asymmetry for hours.
        """
        return sorted(self._delays)[:2][-1] if self._delays else 0.0

    @property
    def reference_id(self) -> bytes:
        """What our reference id is while we follow this server: known once its address was found."""
        return self._reference_id

    @property
    def where(self) -> tuple[str, int] | None:
        """The address and port that are asked, in their one spelling; two sources with the same ask one server."""
        if self.path is None:
            return None
        return numeric_address(self.path.address) or self.path.address, self.path.port

    @property
    def reference_address(self) -> bytes:
        return self._reference_id

    def locate(self, reference_id: bytes) -> None:
        """Take in the address that is asked from now on; another one is another server."""
        if self._reference_id not in (b"", reference_id):
            self.restart()
            self.association.moved()
        self._reference_id = reference_id

    @property
    def root_delay(self) -> float:
        return self.remote.root_delay + self._delay if self.remote else 0.0

    @property
    def falls_silent_at(self) -> None:
        """Never by itself: the reach register runs empty request by request."""
        return

    def silent(self, now: MonoNs) -> bool:  # noqa: ARG002 - the reach register knows
        """Nothing usable for eight polls, or the server has refused us."""
        return self.reach == 0 or self._accepted_at is None or self.association.refused is not None

    def restart(self) -> None:
        super().restart()
        self._delays.clear()

    def renew(self) -> None:
        super().renew()
        self.association.start_again()

    def poll(self, now: MonoNs) -> None:
        """Nothing: the association keeps the register itself, a bit for each request."""

    def ask(self, now: MonoNs, tally: Tally) -> list[Action]:
        """The request that is due; before it, `Leave` when this address has been no good for too long.

        `tally` is what selection makes of the server now.
        """
        objection = self._objection() if self.association.gives_up(now) else None
        request = self.association.timer(now)
        if request is None:
            return []
        self._false = self._false + 1 if tally is Tally.FALSETICKER else 0
        if self._false >= self.FALSE_AFTER:
            self._false, objection = 0, "Its time contradicts that of the majority."
        leave = [] if objection is None else [Leave(self.settings.name, objection)]
        return [*leave, Send(self.settings.name, request)]

    def _objection(self) -> str:
        """Why the latest requests brought no usable answer."""
        if self._latest in (None, Reason.USED, Reason.OUTLIER):
            return "It does not answer."
        return self._latest.explanation

    def receive(
        self, data: bytes, at: RawNs, now: MonoNs, pivot: WallNs, stranger: Callable[[Header], Reason | None]
    ) -> Reason:
        """Make a measurement of an answer, or say why it is none; `pivot` tells the era of its timestamps.

        `stranger` says why the server is no witness of its own: it is this one, or has a vote already.
        """

        def objection(header: Header, exchange: Exchange) -> Reason | None:
            self._no_witness = stranger(header)
            if self._no_witness is not None and self.association.reach:
                self.association.reach = 0
                self.restart()
            return self._no_witness or self._doubt_date(exchange)

        result = self.association.receive(data, at, now, nearest_possible(pivot), objection)
        if not isinstance(result, Exchange):
            return self.reject(result)
        sample = replace(result.sample, offset_ns=result.sample.offset_ns - nanoseconds(self.settings.offset))
        self.remote = result.remote
        self._heard = sample
        self._delays.append(max(sample.delay, 0.0))
        reason = self.measure(sample, now)
        self._set_pace(reason, now)
        return reason

    def _set_pace(self, reason: Reason, now: MonoNs) -> None:
        """Ask as often as the estimate needs, and a few times at once where it may be wrong."""
        control = self._poll_control
        self.association.set_poll(control.update(self.estimator, reason))
        self.alarmed = False
        if self.association.hurrying:
            return
        if self._alert.calls(now, surprised=control.surprised, ageing=control.ageing):
            self.alarmed = control.surprised
            again = self.association.hurry if control.surprised else self.association.start_again
            again()

    def bear_witness(self, now: MonoNs) -> None:
        """Ask at once whether this server sees what another one has just shown."""
        if self.healthy and self.age(now) > CURRENT and self._alert.spend(now, 1 / BURST_LENGTH):
            self.association.hurry(1)

    def _doubt_date(self, exchange: Exchange) -> Reason | None:
        """Whether what the server shows, less what it is known to be ahead by, can be today's date."""
        shown = exchange.sample.at + exchange.sample.offset_ns
        return None if is_possible(shown - nanoseconds(self.settings.offset)) else Reason.IMPLAUSIBLE

    def review(self, now: MonoNs, served: ClockMapping) -> list[Action]:  # noqa: ARG002 - only health changes
        """Notice that the server answers or has stopped to."""
        told, self._told = self._told, self._no_witness
        healthy = self.estimator.ready and not self.silent(now)
        if healthy == self.healthy:
            news = self._no_witness if self._no_witness is not told else None
            return [Note(Level.WARNING, f"{self.settings.name}: {news.explanation}")] if news else []
        self.healthy = healthy
        if healthy:
            return [Note(Level.INFO, f"{self.settings.name}: reachable, stratum {self.stratum}")]
        return [Note(Level.WARNING, f"{self.settings.name}: lost. {self.reason(now)}")]

    def shift(self, offset_ns: int) -> None:
        """What was announced has happened; the server will drop its bits in its next answers."""
        super().shift(offset_ns)
        if self.remote is not None:
            self.remote = replace(self.remote, leap=Leap.NONE)

    def apart(self, served: ClockMapping) -> float:
        """Seconds between the latest sample and the served clock."""
        return 0.0 if self._heard is None else abs(self._offset(self._heard, served))

    def possible_error(self, served: ClockMapping) -> float:
        """No queue moves a sample by more than half of its round trip."""
        return self.apart(served) + self._accuracy(self._latest_delay)

    def contradiction(self, served: ClockMapping, bound: float) -> float:
        """Beyond what queues and the bound allow the server or the clock is wrong."""
        possible = self.possible_error(served)
        return possible if possible - 2 * self._accuracy(self._latest_delay) > bound else 0.0

    def announcement(self) -> Announcement | None:
        """What the server says of a coming leap second."""
        if self.remote is None:
            return None
        return Announcement(self.settings.name, Leap(self.remote.leap), Weight.NETWORK)

    def snapshot(self, now: MonoNs, served: ClockMapping, choice: Choice) -> SourceSnapshot:
        remote = self.remote or _UNHEARD
        return replace(
            super().snapshot(now, served, choice),
            kind=SourceKind.SERVER,
            path=self.path,
            reference_id=remote.reference_id,
            delay=self._latest_delay,
            root_delay=remote.root_delay,
            root_dispersion=remote.root_dispersion,
            leap=Leap(remote.leap),
            reference_time=remote.reference_time,
        )

    def reason(self, now: MonoNs) -> str:
        if self.association.refused is not None:
            return self.association.refused.explanation
        return super().reason(now)
