"""Which second it is: receivers name it, pulses are counted from there, and the count is held against all who know."""

import math
from collections.abc import Sequence

from ntp_usg.core.base.actions import Action, Level, Note
from ntp_usg.core.base.doubts import Doubt
from ntp_usg.core.base.instants import MonoNs, RawNs, WallNs, nanoseconds, seconds
from ntp_usg.core.base.ports import Clock
from ntp_usg.core.base.samples import TimeMessage
from ntp_usg.core.base.snapshots import LatencyOrigin
from ntp_usg.core.base.verdicts import Reason
from ntp_usg.core.engine.leadership import Leadership
from ntp_usg.core.engine.numbering import WHOLE, Agreement, Naming, Pairing
from ntp_usg.core.engine.pulse_line import PulseLine
from ntp_usg.core.engine.receiver import Receiver
from ntp_usg.core.engine.roster import Roster
from ntp_usg.core.engine.second_vote import NEAR, Ruling, SecondVote
from ntp_usg.core.engine.source import Source
from ntp_usg.core.engine.steering import Steering
from ntp_usg.core.engine.trust import ENOUGH, weigh

JUMPS = frozenset({Doubt.TIME_JUMP})
DOUBTED = (
    "Receivers name other seconds than they did, or than each other, and no other source tells which are right: "
    "add servers."
)


class SecondCount:
    """Numbers pulses by messages, and starts the count again when it turns out to be wrong.

    Names that move by whole seconds while pulses keep their phase are a receiver's correction or its fault; forged
    signals move the pulses as well. docs/explanation/trust.md has the rules.
    """

    def __init__(
        self, roster: Roster, leadership: Leadership, steering: Steering, clock: Clock, panic_threshold: float
    ) -> None:
        """The count never moves by more seconds than `panic_threshold`."""
        self._roster = roster
        self._leadership = leadership
        self._steering = steering
        self._clock = clock
        self._panic_threshold = panic_threshold
        self._vote = SecondVote()
        self._doubt = ""

    def message(self, receiver: Receiver, message: TimeMessage, received_at: RawNs, now: MonoNs) -> list[Action]:
        """Hold an instant that a receiver has named against the pulses, or without pulses against the clock."""
        actions: list[Action] = []
        pairings: list[Pairing] = []
        lines = self._roster.lines
        for name in lines:
            with self._roster.containment.of(name):
                pairing = self._pair(lines[name], receiver, message.second, received_at)
                actions += self._heed(lines[name], receiver, pairing, now)
                pairings += [] if pairing.agreement is Agreement.UNPAIRED else [pairing]
        if pairings:
            ahead = [each.ahead for each in pairings if each.ahead is not None]
        else:
            ahead = self._ahead_of_clock(receiver, message.second, received_at)
        if ahead and _has_voice(receiver) and not any(line.trust.of(JUMPS) for line in lines.values()):
            self._vote.hear(receiver.settings.name, min(ahead, key=abs), now)
        return actions

    def review(self, raw: RawNs, now: MonoNs) -> list[Action]:
        """Move the count, or serve it no longer, if those who name seconds say so."""
        counting_since = self._steering.counting_since
        if counting_since is None:
            return []
        ruling = self._vote.judge(self._offsets(raw, now), seconds(now - counting_since), now)
        if ruling.ahead and abs(ruling.ahead) <= self._panic_threshold:
            return self._move(ruling.ahead)
        before, self._doubt = self._doubt, self._explain(ruling)
        self._leadership.suspend(self._doubt)
        if not self._doubt:
            if before:
                self._believe(0)
            return []
        self._steering.give_up()
        return [Note(Level.ERROR, f"Unsynchronised: {self._doubt}")] if self._doubt != before else []

    def _explain(self, ruling: Ruling) -> str:
        """Why the count must not be served, in words; empty where it may."""
        if ruling.ahead:
            names, limit = ", ".join(self._vote.naming(ruling.ahead)), self._panic_threshold
            text = f"{names}: names seconds that are {ruling.ahead:+d} s from those before"
            return f"{text}: too far to be followed (clock.panic is {limit:g}s; restart to accept it)."
        return DOUBTED if ruling.doubted else ""

    def _pair(self, line: PulseLine, receiver: Receiver, second: WallNs, received_at: RawNs) -> Pairing:
        naming = Naming(
            second=second,
            received_at=received_at,
            latency=receiver.settings.latency,
            trusted=line.settings.rate_hz == 1 and not (receiver.trust.lost or line.trust.lost),
            renamed=receiver.renamed,
            margin=line.accuracy,
        )
        return line.numbering.message(receiver.settings.name, naming)

    def _heed(self, line: PulseLine, receiver: Receiver, pairing: Pairing, now: MonoNs) -> Sequence[Action]:
        """What follows from one message for one line."""
        name = receiver.settings.name
        accused = receiver.trust.accused
        match pairing.agreement:
            case Agreement.AGREED:
                if self._suspect(line, receiver, pairing.latency, now):
                    return []
                receiver.paired(pairing.latency)
                if not accused:
                    line.confirm(now)
            case Agreement.NUMBERED:
                self._suspect(line, receiver, pairing.latency, now)
                line.confirm(now)
            case Agreement.DELAYED:
                receiver.delayed(pairing.latency)
                text = f"{name}: its messages come {pairing.latency:.2f} s after their second from now on"
                return [Note(Level.WARNING, text)]
            case Agreement.DISPUTED:
                line.reject(Reason.NUMBERING_DISPUTED)
            case Agreement.DISPROVED if not accused and not line.trust.accused:
                return self._disproved(line, name)
            case _:
                pass
        return []

    def _suspect(self, line: PulseLine, receiver: Receiver, latency: float, now: MonoNs) -> bool:
        """Whether a latency makes no sense unless the line captures the wrong edge: then it is not learned."""
        raw = self._clock.raw(self._clock.read()[0])
        told = any(line.agrees_with(other, raw, now) for other in self._others())
        return line.suspect(latency, receiver.settings, told=told)

    def _others(self) -> Sequence[Source]:
        """Those that tell the whole time."""
        return [*self._roster.clocks.values(), *self._roster.servers.values()]

    def _disproved(self, line: PulseLine, name: str) -> Sequence[Action]:
        """Nothing is sent before it can be known: the pulses must be counted again, unless somebody else confirms."""
        host, now = self._clock.read()
        if any(abs(each) < NEAR for each in self._offsets(self._clock.raw(host), now)):
            return []
        text = f"{name}: its messages come before the seconds that {line.settings.name} has counted to"
        return self._start_again(text)

    def _move(self, ahead: int) -> list[Action]:
        """The receivers that name other seconds are right: what they said before was wrong."""
        names = ", ".join(self._believe(ahead))
        return self._start_again(f"{names}: now names seconds that are {ahead:+d} s from those before")

    def _believe(self, ahead: int) -> Sequence[str]:
        """Trust the receivers that name this second, and say which they are."""
        names = self._vote.naming(ahead)
        for name in names:
            self._roster.receivers[name].believe()
        return names

    def _start_again(self, text: str) -> list[Action]:
        """Forget the count; what names the seconds now makes a new one."""
        for line in self._roster.lines.values():
            line.renew()
        self._steering.restart()
        self._vote.forget()
        self._leadership.suspend("")
        return [Note(Level.WARNING, f"{text}: counting the seconds again")]

    def _ahead_of_clock(self, receiver: Receiver, second: WallNs, received_at: RawNs) -> list[int]:
        """By how many seconds a message is ahead of the clock; empty where nobody can say."""
        latency_known = receiver.latency_origin is not LatencyOrigin.UNKNOWN or not self._roster.lines
        if not self._steering.locked or not latency_known:
            return []
        told_ns = second - received_at + nanoseconds(receiver.latency)
        ahead = seconds(told_ns - self._clock.current().correction_ns(received_at))
        whole = round(ahead)
        is_late = whole != 0 and not receiver.renamed
        return [] if is_late or abs(ahead - whole) > WHOLE else [whole]

    def _offsets(self, raw: RawNs, now: MonoNs) -> list[float]:
        """Where sources that tell the whole time put it, in seconds from the served time."""
        roster, served = self._roster, self._clock.current()
        offsets: list[float] = []
        for source in self._others():
            if not (source.is_fallback or source.settings.noselect or source.trust.lost):
                with roster.containment.of(source.settings.name):
                    candidate = source.candidate(raw, now, served)
                    known = candidate.reachable and math.isfinite(candidate.offset) and candidate.distance < NEAR
                    offsets += [candidate.offset] if known else []
        return offsets


def _has_voice(receiver: Receiver) -> bool:
    """Whether anything but its jump speaks against a receiver."""
    return weigh([each for each in receiver.trust.doubts if each.doubt not in JUMPS]) >= ENOUGH
