"""How far a long bench is: a line on a terminal that the next one overwrites."""

import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")


def watched(results: Iterable[T], total: int, what: str) -> Iterator[T]:
    """The results as they are; who waits at a terminal sees how many have come, and how long the rest will take."""
    shown = sys.stderr.isatty()
    start = time.monotonic()
    for number, result in enumerate(results, 1):
        if shown:
            left = (time.monotonic() - start) / number * (total - number)
            text = f"{number} of {total} {what}, about {left / 60:.1f} min left"
            sys.stderr.write(f"\r\033[K{text}" if number < total else "\r\033[K")
            sys.stderr.flush()
        yield result
