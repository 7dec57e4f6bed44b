"""How late the parts of a receiver's bursts come: a typical value, how far single ones stray, how sure that is."""

import math
from collections import deque
from collections.abc import Mapping, Sequence
from itertools import islice
from statistics import NormalDist, median

from ntp_usg.core.base.samples import MessageLatency

FEWEST = 8
"""So many measurements tell something."""
RECENT = 16
NEWS = 12
"""When so many of the recent ones lie elsewhere, what was known before is forgotten."""
STAND_INS = 16
"""What was saved counts as so many measurements."""
CAPACITY = 128
LONGEST_STRIDE = 64
"""A full memory is thinned until it keeps every 64th: it then spans two hours of a message a second."""
MOST_PARTS = 32
SAME = 1e-3
"""Seconds that a latency may change by without being another one: a busy host does as much."""

_SIGMA_OF_DEVIATION = 1 / NormalDist().inv_cdf(0.75)
_SIGMAS_OF_90_PERCENT = 2 * NormalDist().inv_cdf(0.95)
_DEVIATION_OF_MEDIAN = math.sqrt(math.pi / 2)


class LatencyMeter:
    """Measures one part. Memory is bounded: when it is full it is thinned, so that it spans more time."""

    def __init__(self, saved: MessageLatency | None = None) -> None:
        self.measured = 0
        """Measurements made here; those that were saved are not among them."""
        self._saved_count = 0 if saved is None else saved.count
        self._old: deque[float] = deque(() if saved is None else _stand_ins(saved), maxlen=CAPACITY)
        self._recent: deque[float] = deque()
        self._stride = 1
        self._reading: MessageLatency | None = None

    def add(self, latency: float) -> None:
        """One more measurement, in seconds."""
        self._recent.append(latency)
        self.measured += 1
        self._forget_if_changed()
        if len(self._recent) > RECENT:
            self._keep(self._recent.popleft())
        self._reading = None

    def read(self) -> MessageLatency | None:
        """What is known, or None as long as that is too little."""
        if self._reading is None and len(self._old) + len(self._recent) >= FEWEST:
            self._reading = _read([*self._old, *self._recent], self._saved_count + self.measured)
        return self._reading

    def _keep(self, latency: float) -> None:
        if self.measured % self._stride:
            return
        if len(self._old) == CAPACITY and self._stride < LONGEST_STRIDE:
            self._stride *= 2
            self._old = deque(islice(self._old, 0, None, 2), maxlen=CAPACITY)
        self._old.append(latency)

    def _forget_if_changed(self) -> None:
        if len(self._old) < FEWEST:
            return
        old = _read(list(self._old), 0)
        news = [each for each in self._recent if abs(each - old.median) > SAME + 4 * old.spread]
        if len(news) >= NEWS:
            self._old.clear()
            self._recent = deque(news)
            self._stride, self._saved_count, self.measured = 1, 0, len(news)


class LatencyBook:
    """The meters of all parts of one receiver's bursts, which begin with what was saved of them."""

    def __init__(self, saved: Mapping[str, MessageLatency] | None = None) -> None:
        self._meters = {part: LatencyMeter(each) for part, each in islice((saved or {}).items(), MOST_PARTS)}

    def learn(self, latencies: Mapping[str, float]) -> None:
        """Take in how late each part of one burst came, in seconds."""
        for part, latency in latencies.items():
            if part in self._meters or len(self._meters) < MOST_PARTS:
                self._meters.setdefault(part, LatencyMeter()).add(latency)

    def read(self, part: str) -> MessageLatency | None:
        """What is known of a part, by then or by now."""
        meter = self._meters.get(part)
        return meter.read() if meter else None

    def is_measured(self, part: str) -> bool:
        """Whether it was measured here, and not only before."""
        meter = self._meters.get(part)
        return meter is not None and meter.measured >= FEWEST

    def measured(self) -> dict[str, MessageLatency]:
        """All that was measured here, with what was known before, by part; the soonest first."""
        known = {part: reading for part in self._meters if self.is_measured(part) and (reading := self.read(part))}
        return dict(sorted(known.items(), key=lambda item: item[1].median))


def _stand_ins(saved: MessageLatency) -> list[float]:
    """Measurements that would give what was saved: they fade as the memory is thinned, and are outvoted before."""
    spread = max(saved.spread, 1e-9)
    distribution = NormalDist(saved.median, math.hypot(spread, saved.uncertainty))
    count = min(saved.count, STAND_INS)
    return [distribution.inv_cdf((number + 0.5) / count) for number in range(count)]


def _read(values: Sequence[float], count: int) -> MessageLatency:
    ordered = sorted(values)
    size = len(ordered)
    middle = median(ordered)
    deviation = _SIGMA_OF_DEVIATION * median(abs(value - middle) for value in ordered)
    # Where more than half are the same, or where there are two typical values, the deviations' median tells too little.
    edge = size // 20
    spread = max(deviation, (ordered[size - 1 - edge] - ordered[edge]) / _SIGMAS_OF_90_PERCENT)
    return MessageLatency(middle, spread, _uncertainty(values, spread), count)


def _uncertainty(values: Sequence[float], spread: float) -> float:
    """Of the median: by the number of values, and by how far their halves differ, which shows a slow wander."""
    half = len(values) // 2
    wander = median(values[:half]) - median(values[half:])
    return math.hypot(_DEVIATION_OF_MEDIAN * spread / math.sqrt(len(values)), wander / 2)
