"""How measurements scatter, drawn with letters."""

import statistics
from collections import Counter
from collections.abc import Iterator, Sequence

from ntp_usg.observe.units import format_interval

BINS = 11
_WIDTH = 40
_REACH = 3.0
_EIGHTHS = " ▏▎▍▌▋▊▉█"


def histogram(deviations: Sequence[float], *, unicode: bool) -> Iterator[str]:
    """Lines of `+1.200 us  ████▌ 12` to both sides of 0, as far as most of it reaches; the outer ones take the rest.

    None at all where nothing scatters. Without `unicode` the bars are of plain letters.
    """
    # The median deviation, because one wild value must not push all the others into one line.
    spread = 1.5 * statistics.median(map(abs, deviations)) or statistics.pstdev(deviations)
    if not spread:
        return
    step = 2 * _REACH * spread / BINS
    middle = BINS // 2
    counts = Counter(min(max(round(deviation / step), -middle), middle) for deviation in deviations)
    highest = max(counts.values())
    for number in range(-middle, middle + 1):
        label = format_interval(number * step, sign="+")
        edge = "<" if number == -middle else ">" if number == middle else " "
        length = _WIDTH * counts[number] / highest
        yield f"{edge}{label:>11}  {_bar(length) if unicode else '#' * round(length)} {counts[number] or ''}".rstrip()


def _bar(length: float) -> str:
    whole, eighths = divmod(round(length * 8), 8)
    return "█" * whole + _EIGHTHS[eighths].strip()
