"""Are the seconds counted right? Receivers may name others; a vote decides, or else how long they insist."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from ntp_usg.core.base.instants import MonoNs, seconds

NEAR = 0.4
"""A server that puts the time this close to a second, in seconds, means that one."""
BRIEF = 10.0
"""Seconds for which a receiver must name the same other second before it counts as a vote."""
PATIENCE = 60.0
"""Seconds of contradiction, all in all, after which the count may not be served any more."""
FORGETTING = 10.0
"""A receiver must agree for so many times longer than it contradicted, before that is forgotten."""
MOST = PATIENCE * (1 + 1 / FORGETTING)
"""So much contradiction is remembered: a minute of agreement ends the doubt."""
PROVEN = 900.0
"""Seconds after which a receiver has corrected itself if it ever will: GPS tells its leap seconds every 12.5 min."""
GAP = 2.0
"""Longest time in seconds that one message stands for."""
ROLLOVER = 1024 * 7 * 86_400
"""Seconds after which GPS's week number starts again: firmware that loses count of that is wrong, and no correction."""


class Ruling(NamedTuple):
    """What the vote came to: the count moves by `ahead` seconds, or is not served while `doubted`, or stands."""

    ahead: int = 0
    doubted: bool = False


STANDS = Ruling()


@dataclass(slots=True)
class _Voice:
    """What one receiver says of the count."""

    ahead: int
    """Its latest names are so many seconds ahead of the count."""
    since: MonoNs
    heard_at: MonoNs
    contradiction: float = 0.0
    """Seconds in which it has named other seconds, as far as that is not forgotten."""
    disputes_since: MonoNs = MonoNs(0)
    """When it began to do so."""

    def hear(self, ahead: int, now: MonoNs) -> None:
        if not self.contradiction:
            self.disputes_since = now
        elapsed = min(seconds(now - self.heard_at), GAP)
        if ahead == 0:
            self.contradiction = max(0.0, self.contradiction - elapsed / FORGETTING)
        elif ahead == self.ahead:  # one that names the same second for ever says something else each time
            self.contradiction = min(self.contradiction + elapsed, MOST)
        if ahead != self.ahead:
            self.ahead, self.since = ahead, now
        self.heard_at = now

    def insists(self, now: MonoNs) -> bool:
        return self.ahead != 0 and seconds(now - self.since) >= BRIEF


class SecondVote:
    """Receivers and servers for and against the count; they know nothing of how exactly a second begins."""

    def __init__(self) -> None:
        self._voices: dict[str, _Voice] = {}

    def hear(self, name: str, ahead: int, now: MonoNs) -> None:
        """A receiver names a second that is so many ahead of the count."""
        if ahead and ahead % ROLLOVER == 0:
            return
        self._voices.setdefault(name, _Voice(ahead, now, now)).hear(ahead, now)

    def forget(self) -> None:
        """The count is another one."""
        self._voices.clear()

    def naming(self, ahead: int) -> Sequence[str]:
        """The receivers that name this second."""
        return [name for name, voice in self._voices.items() if voice.ahead == ahead]

    def judge(self, others: Sequence[float], age: float, now: MonoNs) -> Ruling:
        """Decide; `others` are offsets of independent sources from the count, which has the `age`. Seconds."""
        voices = [each for each in self._voices.values() if seconds(now - each.heard_at) < PATIENCE]
        votes = Counter(each.ahead for each in voices if each.insists(now))
        doubters = [each for each in voices if each.contradiction >= PATIENCE]
        if not votes and not doubters:
            return STANDS
        ahead, count = votes.most_common(1)[0] if votes else (0, 0)
        others_for = sum(abs(each - ahead) < NEAR for each in others) if ahead else 0
        others_against = sum(abs(each) < NEAR for each in others)
        if others_for != others_against:
            return Ruling(ahead) if others_for > others_against else STANDS
        confirming = sum(each.ahead == 0 and each not in doubters for each in voices)
        insisted = max((seconds(now - each.since) for each in voices if each.ahead == ahead), default=0.0)
        alone = len(votes) == 1 and not confirming
        if count > confirming + 1 or (alone and insisted >= min(2 * (age - insisted), PROVEN)):
            return Ruling(ahead)
        undisputed = age - max((seconds(now - each.disputes_since) for each in doubters), default=0.0)
        return Ruling(doubted=len(doubters) >= max(1, confirming + (undisputed >= PROVEN)))
