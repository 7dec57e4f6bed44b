"""The assembler that makes one time message of all NMEA 0183 sentences that name the same second."""

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import date

from ntp_usg.core.base.dates import DAY_NS, date_of, is_possible, midnight
from ntp_usg.core.base.doubts import Doubt, Trouble
from ntp_usg.core.base.errors import WireError
from ntp_usg.core.base.instants import NS_PER_SECOND, HostNs, MonoNs, WallNs
from ntp_usg.core.base.samples import Fix, Reception, TimeMessage
from ntp_usg.core.base.verdicts import Outcome, Reason, Verdict
from ntp_usg.core.receivers.evidence import Evidence
from ntp_usg.core.receivers.framing import Frame, LineFramer
from ntp_usg.core.receivers.nmea_sentences import ChecksumError, Sentence, parse_sentence
from ntp_usg.core.receivers.rollover import Rollover

Event = TimeMessage | Fix | Verdict | Reception

BURST_SILENCE_NS = 200_000_000
"""Longer than receivers pause inside a burst, shorter than a line that is not overloaded rests after it."""

MOST_PARTS = 32
"""Kinds of sentences in a burst whose arrival is told: no receiver sends more."""
DATE_KEPT_NS = 75 * NS_PER_SECOND
"""How long a date counts for sentences that name a time of day only."""
_GRADERS = ("GGA", "GNS", "RMC", "GLL")
_ANTENNA = {"OPEN": Trouble(Doubt.ANTENNA, "antenna open"), "SHORT": Trouble(Doubt.ANTENNA, "antenna shorted")}


@dataclass(slots=True)
class _Burst:
    """What was said about one second so far, but for the fix."""

    torn: bool = False
    """Whether it may have begun before the line was opened."""
    received_at: HostNs | None = None
    stamped_by: str = ""
    arrivals: dict[str, HostNs] = field(default_factory=dict)
    time_of_day_ns: int | None = None
    day: date | None = None

    def names_another_second(self, sentence: Sentence) -> bool:
        if None not in (self.day, sentence.day) and self.day != sentence.day:
            return True
        if self.time_of_day_ns is None or sentence.time_of_day_ns is None:
            return False
        return self.time_of_day_ns // NS_PER_SECOND != sentence.time_of_day_ns // NS_PER_SECOND

    def stamp(self, sentence: Sentence, at: HostNs) -> None:
        """Take the time from a sentence that may tell it."""
        if self.received_at is None:
            self.received_at, self.stamped_by = at, sentence.name
        if self.time_of_day_ns is None:
            self.time_of_day_ns = sentence.time_of_day_ns
        self.day = self.day or sentence.day

    def arrive(self, sentence: Sentence, at: HostNs) -> None:
        """Note when the first of its kind came."""
        if len(self.arrivals) < MOST_PARTS:
            self.arrivals.setdefault(sentence.name, at)

    def told(self) -> tuple[tuple[str, HostNs], ...]:
        """When each part came; of those that came at once first the one that stamps the burst."""
        return tuple(sorted(self.arrivals.items(), key=lambda part: (part[1], part[0] != self.stamped_by)))

    def instant(self) -> WallNs | Reason | None:
        """What the burst names, why that is no instant, or None where it says nothing of time."""
        if self.time_of_day_ns is None:
            return None
        if self.day is None:
            return Reason.NO_DATE
        if self.time_of_day_ns >= DAY_NS:
            # Unix time gives second 60 the number of the second after it: a pulse named so would be wrong by one.
            return Reason.LEAP_SECOND
        return WallNs(midnight(self.day) + self.time_of_day_ns)


class NmeaAssembler:
    """Receiver bytes in; time messages, fixes without time, reception and verdicts out. No input raises.

    A burst is complete when a sentence names another second, or after a silence: call `flush` at `deadline`. Only
    `sentences`, such as `{"ZDA"}`, stamp and name a second, where any are given.

    A sentence is stamped when the read that brings its first byte wakes us. Nothing is taken off for bytes of the same
    read by the line's speed: the first of a burst wakes us alone, and over USB the speed is a fiction.
    """

    def __init__(self, sentences: Collection[str] = ()) -> None:
        self._framer = LineFramer()
        self._sentences = frozenset(sentences)
        self._rollover = Rollover()
        self._burst: _Burst | None = None
        self._heard_at = MonoNs(0)
        self._torn = False
        self._last_second = 0
        self._evidence = Evidence(_GRADERS)
        self._dated: tuple[WallNs, MonoNs] | None = None
        """The latest second that was named whole and with a fix, and when."""
        self._antenna: Trouble | None = None
        self._told = Reception(())

    def deadline(self) -> MonoNs | None:
        return MonoNs(self._heard_at + BURST_SILENCE_NS) if self._burst else None

    def opened(self, now: MonoNs) -> list[Event]:
        """The line is open: what comes before a silence may be the rest of a burst, whose first byte nobody heard."""
        self._heard_at, self._torn = now, True
        return []

    def feed(self, data: bytes, received_at: HostNs, now: MonoNs) -> list[Event]:
        """What these bytes bring to light; `received_at` stamps them, `now` measures the silence before them."""
        silence = now - self._heard_at >= BURST_SILENCE_NS
        events = self.flush() if silence else []
        self._torn = self._torn and not silence
        self._heard_at = now
        for frame in self._framer.feed(data, received_at):
            events += self._receive(frame)
        return events

    def flush(self) -> list[Event]:
        """The burst so far, as one message, fix or verdict: nothing more is coming. Before it, news of reception."""
        burst, self._burst = self._burst, None
        if burst is None:
            return []
        self._torn = False
        fix = self._evidence.fix(self._heard_at)
        self._keep_date(burst, fix)
        outcome = self._judge(burst, fix)
        return [*self._reception(fix), *outcome]

    def _keep_date(self, burst: _Burst, fix: Fix) -> None:
        """Complete a time of day by the date that was told before: some receivers tell it seldom."""
        if burst.time_of_day_ns is None:
            return
        if burst.day:
            named = WallNs(midnight(burst.day) + burst.time_of_day_ns)
            self._dated = (named, self._heard_at) if fix.quality.rank else None
        elif self._dated and 0 <= self._heard_at - self._dated[1] <= DATE_KEPT_NS:
            named, named_at = self._dated
            # The day is the one that puts it nearest to what has passed since: also over midnight.
            now = named + self._heard_at - named_at
            burst.day = date_of(now - burst.time_of_day_ns + DAY_NS // 2)

    def _judge(self, burst: _Burst, fix: Fix) -> list[Event]:
        instant = burst.instant()
        if instant is None:
            return [fix] if self._evidence.is_judged else []
        if isinstance(instant, Reason):
            return [_rejected(instant)]
        if burst.torn:
            return [_rejected(Reason.STALE)]
        if fix.quality.rank:  # before its first fix a receiver counts on from any date it was made with
            instant = self._rollover.unroll(instant)
        if not is_possible(instant):
            return [_rejected(Reason.IMPLAUSIBLE)]
        second = instant // NS_PER_SECOND
        if second == self._last_second:
            return [_rejected(Reason.STALE)]
        self._last_second = second
        assert burst.received_at is not None
        return [TimeMessage(instant, burst.received_at, fix, arrivals=burst.told())]

    def _reception(self, fix: Fix) -> list[Event]:
        """What is wrong now, if that is news."""
        # Who has a fix has an antenna: many call one open that draws no current.
        antenna = None if fix.quality.rank else self._antenna
        reception = Reception(tuple(filter(None, (antenna, self._rollover.trouble))))
        changed = reception != self._told
        self._told = reception
        return [reception] if changed else []

    def _receive(self, frame: Frame) -> list[Event]:
        try:
            sentence = parse_sentence(frame.data)
        except ChecksumError:
            return [_rejected(Reason.BAD_CHECKSUM)]
        except WireError:
            return [_rejected(Reason.IMPLAUSIBLE)]
        names = not self._sentences or sentence.name in self._sentences
        events = self.flush() if names and self._burst and self._burst.names_another_second(sentence) else []
        if self._burst is None:
            self._burst = _Burst(self._torn)
            self._evidence.begin()
        if names:
            self._burst.stamp(sentence, frame.started_at)
        self._burst.arrive(sentence, frame.started_at)
        if sentence.claim:
            self._evidence.hear(sentence.name, sentence.claim, self._heard_at, sentence.system)
        if sentence.antenna:
            self._antenna = _ANTENNA.get(sentence.antenna)
        return events


def _rejected(reason: Reason) -> Verdict:
    return Verdict(Outcome.REJECTED, reason)
