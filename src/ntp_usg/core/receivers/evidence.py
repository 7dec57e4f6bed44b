"""What a receiver has said of its fix, part by part: each statement counts until it should have been said again.

Receivers spread their state over many messages, leave fields empty, and send some messages each fifth second only. So
an empty field says nothing, a newer statement outweighs an older one, and what was said stays true for as long as the
receiver's usual interval justifies.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from ntp_usg.core.base.instants import NS_PER_SECOND, MonoNs
from ntp_usg.core.base.samples import Fix, FixQuality, Position

INTERVALS_REMEMBERED = 2.5
"""One message may be lost, and the next may come late."""
SHORTEST_INTERVAL_NS = NS_PER_SECOND
UNKNOWN_INTERVAL_NS = 4 * NS_PER_SECOND
"""What the interval of a message that came once is taken for."""
LONGEST_INTERVAL_NS = 30 * NS_PER_SECOND
"""What is said less often says nothing about now."""
MOST_SATELLITES = 99


@dataclass(frozen=True, slots=True)
class Claim:
    """What one message says of the fix; None where it says nothing."""

    quality: FixQuality | None = None
    satellites_used: int | None = None
    satellites: frozenset[bytes] = frozenset()
    """The satellites in use by name, where they are listed: the lists of several systems add up."""
    satellites_in_view: int | None = None
    """Of one system."""
    dimensions: int | None = None
    position: Position | None = None
    height_known: bool = True
    """Whether `position` has a height of its own."""
    hdop: float | None = None
    pdop: float | None = None
    tdop: float | None = None

    @classmethod
    def of(cls, report: object) -> "Claim":
        """What a report says that has some fields of these names."""
        return cls(**{name: value for name in _FIELDS if (value := getattr(report, name, None)) is not None})

    def join(self, other: "Claim") -> "Claim":
        """Two statements of one message in the same burst: a list in two parts, or two fixes in one second."""
        qualities = [each for each in (self.quality, other.quality) if each is not None]
        return Claim(
            quality=min(qualities, key=lambda quality: quality.rank, default=None),
            satellites_used=_either(max, self.satellites_used, other.satellites_used),
            satellites=frozenset(sorted(self.satellites | other.satellites)[:MOST_SATELLITES]),
            satellites_in_view=_either(max, self.satellites_in_view, other.satellites_in_view),
            dimensions=_either(max, self.dimensions, other.dimensions),
            position=self.position or other.position,
            height_known=self.height_known if self.position else other.height_known,
            hdop=_either(min, self.hdop, other.hdop),
            pdop=_either(min, self.pdop, other.pdop),
            tdop=_either(min, self.tdop, other.tdop),
        )


_FIELDS = tuple(field.name for field in fields(Claim))


@dataclass(slots=True)
class _Statement:
    """The latest claim of one part of the bursts, and how often that part comes."""

    part: str
    claim: Claim
    said_at: MonoNs
    burst: int
    intervals_ns: tuple[int, ...] = ()
    """The last two: some receivers send a message in pairs."""

    def renew(self, claim: Claim, now: MonoNs, burst: int) -> None:
        if burst == self.burst:
            self.claim = self.claim.join(claim)
        else:
            self.intervals_ns = (*self.intervals_ns[-1:], max(now - self.said_at, SHORTEST_INTERVAL_NS))
            self.claim, self.burst = claim, burst
        self.said_at = now

    def counts(self, now: MonoNs, burst: int) -> bool:
        interval_ns = min(max(self.intervals_ns, default=UNKNOWN_INTERVAL_NS), LONGEST_INTERVAL_NS)
        return self.burst == burst or now - self.said_at <= INTERVALS_REMEMBERED * interval_ns


class Evidence:
    """Statements in, one fix out. `graders` are the parts that grade a fix, the most exact first."""

    def __init__(self, graders: Sequence[str] = ()) -> None:
        self._graders = {part: place for place, part in enumerate(graders)}
        self._statements: dict[tuple[str, bytes], _Statement] = {}
        self._burst = 0
        self._height_m = 0.0

    def begin(self) -> None:
        """A new burst begins: what comes from now on is newer than what came before."""
        self._burst += 1

    def hear(self, part: str, claim: Claim, now: MonoNs, system: bytes = b"") -> None:
        """Take in what a part of the present burst says, of one satellite system where the part is of one."""
        statement = self._statements.get((part, system))
        if statement is None:
            self._statements[part, system] = _Statement(part, claim, now, self._burst)
        else:
            statement.renew(claim, now, self._burst)

    @property
    def is_judged(self) -> bool:
        """Whether the present burst says that there is a fix, or that there is none."""
        return any(each.burst == self._burst and each.claim.quality is not None for each in self._statements.values())

    def fix(self, now: MonoNs) -> Fix:
        """The fix, as far as it is known."""
        statements = [each for each in self._statements.values() if each.counts(now, self._burst)]
        quality = self._quality(statements)
        counts = [each for each in statements if each.claim.satellites_in_view is not None]
        return Fix(
            quality=quality,
            satellites_used=_used(statements),
            satellites_in_view=sum(each.claim.satellites_in_view or 0 for each in counts) if counts else None,
            hdop=_newest(statements, "hdop", min),
            pdop=_newest(statements, "pdop", min),
            tdop=_newest(statements, "tdop", min),
            dimensions=_newest(statements, "dimensions", max) if quality.rank else None,
            position=self._position() if quality.rank else None,  # many repeat where they were
        )

    def _quality(self, statements: Iterable[_Statement]) -> FixQuality:
        """No fix if any part denies it in the newest burst that has a word on it; else as the best grader says."""
        judges = [each for each in statements if each.claim.quality is not None]
        newest = max((each.burst for each in judges), default=0)
        words: dict[str, FixQuality] = {}
        for judge in judges:
            quality = judge.claim.quality
            assert quality is not None
            # Parts that come once for each satellite system: one system with a fix is enough.
            if judge.burst == newest and quality.rank >= words.get(judge.part, quality).rank:
                words[judge.part] = quality
        denials = [quality for quality in words.values() if not quality.rank]
        if denials or not words:
            return max(denials, default=FixQuality.NO_FIX)
        grades = [each for each in judges if each.claim.quality and each.claim.quality.rank]
        best = min(grades, key=lambda each: (self._graders.get(each.part, len(self._graders)), -each.burst))
        assert best.claim.quality is not None
        return best.claim.quality

    def _position(self) -> Position | None:
        """The one of this burst, if possible from a part that knows the height."""
        said = [each.claim for each in self._statements.values() if each.burst == self._burst and each.claim.position]
        claim = next((each for each in said if each.height_known), said[0] if said else None)
        if claim is None or claim.position is None:
            return None
        if claim.height_known:
            self._height_m = claim.position.height_m
        return replace(claim.position, height_m=self._height_m)


def _used(statements: Iterable[_Statement]) -> int | None:
    """The largest of the newest counts: short fields and lists that are too short say fewer, none says more."""
    listed: dict[str, tuple[int, frozenset[bytes]]] = {}
    counts = []
    for each in statements:
        if each.claim.satellites_used is not None:
            counts.append((each.burst, each.claim.satellites_used))
        if each.claim.satellites:
            burst, names = listed.get(each.part, (0, frozenset()))
            listed[each.part] = (max(burst, each.burst), names | each.claim.satellites)
    counts += [(burst, min(len(names), MOST_SATELLITES)) for burst, names in listed.values()]
    return max(counts)[1] if counts else None


def _newest(statements: Iterable[_Statement], name: str, choose: Callable[[Iterable[Any]], Any]) -> Any:  # noqa: ANN401
    """The newest value of a field of the claims; `choose` decides between those of one burst."""
    told = [(each.burst, value) for each in statements if (value := getattr(each.claim, name)) is not None]
    newest = max((burst for burst, _ in told), default=0)
    return choose(value for burst, value in told if burst == newest) if told else None


def _either(choose: Callable[[Any, Any], Any], one: Any, other: Any) -> Any:  # noqa: ANN401
    """`choose` of both, or the one that is there."""
    if one is None or other is None:
        return other if one is None else one
    return choose(one, other)
