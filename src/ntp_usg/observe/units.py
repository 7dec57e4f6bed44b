"""Numbers as people read them."""

from math import inf

_SCALES = ((1e-6, (1e9, "ns", 0)), (1e-3, (1e6, "us", 3)), (1.0, (1e3, "ms", 3)), (inf, (1.0, "s", 3)))


def format_interval(interval: float | None, *, sign: str = "-") -> str:
    """Seconds in the unit that suits their size: `-123 ns`, `1.500 ms`; `-` for what is not known.

    `sign="+"` shows a plus too, for offsets.
    """
    if interval is None:
        return "-"
    scale, unit, decimals = next(scale for limit, scale in _SCALES if abs(interval) < limit)
    return f"{interval * scale:{sign}z.{decimals}f} {unit}"
