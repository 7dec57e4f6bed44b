"""The assembler that makes one time message of the TSIP packets that follow a pulse."""

from dataclasses import dataclass, field

from ntp_usg.core.base.dates import is_possible
from ntp_usg.core.base.doubts import Trouble
from ntp_usg.core.base.errors import WireError
from ntp_usg.core.base.instants import NS_PER_SECOND, HostNs, MonoNs, WallNs
from ntp_usg.core.base.samples import Fix, Reception, TimeMessage
from ntp_usg.core.base.verdicts import Outcome, Reason, Verdict
from ntp_usg.core.receivers.commands import Command, Description
from ntp_usg.core.receivers.evidence import Claim, Evidence
from ntp_usg.core.receivers.leap_notice import leap_of_month
from ntp_usg.core.receivers.nmea import BURST_SILENCE_NS
from ntp_usg.core.receivers.rollover import Rollover
from ntp_usg.core.receivers.tsip_framing import Kind, TsipFramer, TsipPacket, build_packet
from ntp_usg.core.receivers.tsip_messages import Report, parse_report
from ntp_usg.core.receivers.tsip_setup import REQUEST_SATELLITES, TsipSetup

Event = TimeMessage | Fix | Verdict | Reception | Command | Description


@dataclass(slots=True)
class _Burst:
    """What was said after one pulse so far, but for the fix; of two reports on the same thing the first counts."""

    instant: WallNs | Reason | None = None
    leap_change: int | None = None
    received_at: HostNs | None = None
    arrivals: list[tuple[str, HostNs]] = field(default_factory=list)

    def has(self, packet: TsipPacket) -> bool:
        """Each report comes once after a pulse."""
        return any(name == Kind(packet.kind).label for name, _ in self.arrivals)

    def absorb(self, report: Report, packet: TsipPacket) -> None:
        if self.instant is None and report.instant is not None:
            self.instant, self.received_at = report.instant, packet.started_at
        if self.leap_change is None:
            self.leap_change = report.leap_change
        self.arrivals.append((Kind(packet.kind).label, packet.started_at))


class TsipAssembler:
    """Receiver bytes in; time messages, fixes without time, reception, verdicts and commands out. No input raises.

    A burst is complete when a packet comes for the second time, or after a silence: call `flush` at `deadline`. With
    `configure` the receiver is asked, and told, to send what is needed; without, nothing is written.
    """

    def __init__(self, *, configure: bool = False) -> None:
        self._framer = TsipFramer()
        self._setup = TsipSetup() if configure else None
        self._rollover = Rollover()
        self._burst: _Burst | None = None
        self._heard_at = MonoNs(0)
        self._last_second = 0
        self._evidence = Evidence()
        self._troubles: dict[str, Trouble | None] = {}

    def deadline(self) -> MonoNs | None:
        return MonoNs(self._heard_at + BURST_SILENCE_NS) if self._burst else None

    def opened(self, now: MonoNs) -> list[Event]:
        """The line is open."""
        return [*self._setup.opened(now)] if self._setup else []

    def feed(self, data: bytes, received_at: HostNs, now: MonoNs) -> list[Event]:
        """What these bytes bring to light; `received_at` stamps them, `now` measures the silence before them."""
        events: list[Event] = []
        if now - self._heard_at >= BURST_SILENCE_NS:
            events += self.flush()
            self._framer = TsipFramer()  # what was begun before a silence is torn
        self._heard_at = now
        for packet in self._framer.feed(data, received_at):
            events += self._take(packet, now)
        return events

    def flush(self) -> list[Event]:
        """The burst so far, as one event: nothing more is coming."""
        burst, self._burst = self._burst, None
        if burst is None:
            return []
        # A time alone is no fix: the receiver's own clock keeps it for a while.
        fix = self._evidence.fix(self._heard_at)
        instant = self._meant(burst.instant, fix)
        events = self._reception({"rollover": self._rollover.trouble})
        if instant is None or isinstance(instant, Reason):
            told: list[Event] = [fix] if self._evidence.is_judged else []
            return events + ([] if instant is None else [_rejected(instant)]) + told
        leap = None if burst.leap_change is None else leap_of_month(instant, burst.leap_change)
        assert burst.received_at is not None
        return [*events, TimeMessage(instant, burst.received_at, fix, leap, tuple(burst.arrivals))]

    def _meant(self, named: WallNs | Reason | None, fix: Fix) -> WallNs | Reason | None:
        """What the receiver means by what it names, or why that is not to be believed."""
        if named is None or isinstance(named, Reason):
            return named
        meant = self._rollover.unroll(named) if fix.quality.rank else named
        if not is_possible(meant):
            return Reason.IMPLAUSIBLE
        second = meant // NS_PER_SECOND
        if second == self._last_second:
            return Reason.STALE
        self._last_second = second
        return meant

    def _take(self, packet: TsipPacket, now: MonoNs) -> list[Event]:
        try:
            report = parse_report(packet)
        except WireError:
            return [_rejected(Reason.IMPLAUSIBLE)]
        events: list[Event] = []
        if self._setup:
            events += self._setup.answer(packet) + self._setup.heard(now)
        if report is None:
            return events
        events += self._belong(report, packet)
        return events + self._reception(report.troubles)

    def _belong(self, report: Report, packet: TsipPacket) -> list[Event]:
        """Add a report to its burst; what ends the one before, and what the new one makes us ask."""
        events = self.flush() if self._burst and self._burst.has(packet) else []
        if self._burst is None:
            self._burst = _Burst()
            self._evidence.begin()
        if self._setup and self._burst.instant is None and report.instant is not None:
            # The count of satellites is in none of the packets that come by themselves.
            events.append(Command(build_packet(REQUEST_SATELLITES)))
        self._burst.absorb(report, packet)
        self._evidence.hear(Kind(packet.kind).label, Claim.of(report), self._heard_at)
        return events

    def _reception(self, troubles: dict[str, Trouble | None]) -> list[Event]:
        troubles = self._troubles | troubles
        changed = [*filter(None, troubles.values())] != [*filter(None, self._troubles.values())]
        self._troubles = troubles
        return [Reception(tuple(filter(None, troubles.values())))] if changed else []


def _rejected(reason: Reason) -> Verdict:
    return Verdict(Outcome.REJECTED, reason)
