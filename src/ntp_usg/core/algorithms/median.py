"""Many samples into one: what ntpd and chrony do between two polls of a noisy reference clock."""

import math
from collections.abc import Sequence
from dataclasses import replace
from statistics import fmean, median

from ntp_usg.core.base.instants import RawNs
from ntp_usg.core.base.samples import Sample

KEPT = 0.6
"""The part of the samples that is averaged; the rest, which lies farthest off, is thrown away (chrony's `filter`)."""


class MedianFilter:
    """Gathers samples, and gives one for every `length` of them."""

    def __init__(self, length: int) -> None:
        self._length = length
        self._samples: list[Sample] = []

    def add(self, sample: Sample) -> Sample | None:
        """The sample that stands for this one and those before, or None while there are too few."""
        self._samples.append(sample)
        if len(self._samples) < self._length:
            return None
        samples, self._samples = self._samples, []
        return _middle(samples)

    def shift(self, offset_ns: int) -> None:
        """What was gathered moves, as UTC does in a leap second."""
        self._samples = [replace(sample, offset_ns=sample.offset_ns + offset_ns) for sample in self._samples]

    def restart(self) -> None:
        """What was gathered and what is to come have nothing in common."""
        self._samples.clear()


def _middle(samples: Sequence[Sample]) -> Sample:
    """The mean of the samples nearest to the line through all: a clock that runs fast scatters by that alone."""
    if len(samples) == 1:
        return samples[0]
    first = samples[0]
    points = [(each.at - first.at, each.offset_ns - first.offset_ns) for each in samples]
    slope = _slope(points)
    centre = median(offset - slope * at for at, offset in points)
    nearest = sorted(range(len(points)), key=lambda index: abs(points[index][1] - slope * points[index][0] - centre))
    kept = nearest[: math.ceil(KEPT * len(points))]
    at, offset_ns = (fmean(points[index][axis] for index in kept) for axis in (0, 1))
    return Sample(
        RawNs(first.at + round(at)),
        first.offset_ns + round(offset_ns),
        fmean(samples[index].dispersion for index in kept),
        fmean(samples[index].delay for index in kept),
    )


def _slope(points: Sequence[tuple[int, int]]) -> float:
    """Of the line through most of the points (Theil and Sen): outliers do not tilt it."""
    slopes = [
        (later - earlier) / (end - begin)
        for number, (begin, earlier) in enumerate(points)
        for end, later in points[number + 1 :]
        if end > begin
    ]
    return median(slopes) if slopes else 0.0
