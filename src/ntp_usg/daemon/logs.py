"""The log: lines as journald and terminals want them, safe to show, and never a flood of them."""

import logging
import os
import sys
import time
from collections.abc import Iterator
from copy import copy
from typing import TextIO

SYSLOG_PRIORITIES = {"DEBUG": 7, "INFO": 6, "WARNING": 4, "ERROR": 3, "CRITICAL": 2}

BURST = 20
"""Lines of one topic that pass at once."""
REFILL_SECONDS = 30.0
"""After so long one more passes."""
REPORT_SECONDS = 60.0
"""Lines held back are summed up so long after the first of them."""
MOST_TOPICS, MOST_SHAPES = 128, 16
_LIMITS_ITSELF = "ntp_usg.daemon.progress"
"""This logger writes no more than a line a second for each source, and only where they are asked for."""
MOST_LINES, LINE_LENGTH = 40, 1000
"""Of one message, with its traceback: more is left out."""


def configure_logging(level: str) -> None:
    """Log to standard error: with priorities below systemd, with time and level on a terminal."""
    handler = BoundedHandler(sys.stderr)
    if "JOURNAL_STREAM" in os.environ:
        handler.setFormatter(JournalFormatter("%(message)s"))
    else:
        handler.setFormatter(SafeFormatter("%(asctime)s %(levelname)-7s %(message)s"))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    logging.getLogger("asyncio").setLevel(logging.WARNING)


def report_held_back() -> None:
    """Sum up what has been held back for a minute; to be called at least twice a minute."""
    for handler in logging.getLogger().handlers:
        if isinstance(handler, BoundedHandler):
            handler.report()


class SafeFormatter(logging.Formatter):
    """Shows text from outside as it is: it can neither steer a terminal nor pretend to be a line of its own."""

    def format(self, record: logging.LogRecord) -> str:
        return printable(super().format(record))


class JournalFormatter(SafeFormatter):
    """Prefixes the syslog priority, which journald takes off again (sd-daemon(3)); it has a clock of its own."""

    def format(self, record: logging.LogRecord) -> str:
        priority = f"<{SYSLOG_PRIORITIES.get(record.levelname, 6)}>"
        return priority + super().format(record).replace("\n", f"\n{priority}")


def printable(text: str) -> str:
    """Text of bounded size without control characters; lines after the first are indented."""
    lines = text.split("\n")
    if len(lines) > MOST_LINES:  # the end of a traceback says what went wrong
        half = MOST_LINES // 2
        lines = [*lines[:half], f"... {len(lines) - 2 * half:,} lines left out ...", *lines[-half:]]
    return "\n    ".join(map(_printable_line, lines))


def _printable_line(line: str) -> str:
    left_out = len(line) - LINE_LENGTH
    shown = line[:LINE_LENGTH] + (f"... {left_out:,} characters left out" if left_out > 0 else "")
    if shown.isprintable():
        return shown
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in shown)


class BoundedHandler(logging.StreamHandler[TextIO]):
    """Writes what the limiter lets pass, and the sums of the rest: on `report`, and at the end."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self._limiter = FloodLimiter()

    def emit(self, record: logging.LogRecord) -> None:
        try:
            passing = list(self._limiter.take(record, time.monotonic()))
        except Exception:  # noqa: BLE001 - a line that cannot be formatted must not end whoever writes it
            self.handleError(record)
        else:
            for each in passing:
                super().emit(each)

    def report(self, *, all_of_it: bool = False) -> None:
        """Write the sums that are due, or all of them."""
        self.acquire()
        try:
            for each in self._limiter.due(float("inf") if all_of_it else time.monotonic()):
                super().emit(each)
        finally:
            self.release()

    def close(self) -> None:
        self.report(all_of_it=True)
        super().close()


class FloodLimiter:
    """A token bucket for each topic (a source, a server, a logger), so that nobody can fill the log.

    A topic without tokens is held back until its report, which gives the last line of each shape with the number of
    the others, in the order in which they came: the last state is always told.
    """

    def __init__(self) -> None:
        self._topics: dict[str, _Topic] = {}

    def take(self, record: logging.LogRecord, now: float) -> Iterator[logging.LogRecord]:
        """What is to be written now: reports that are due, and `record` if its topic has a token left."""
        yield from self.due(now)
        if record.name == _LIMITS_ITSELF:
            yield record
            return
        text = record.getMessage()
        name = _topic(record.name, text)
        if name not in self._topics and len(self._topics) >= MOST_TOPICS:
            self._topics = {name: topic for name, topic in self._topics.items() if not topic.rested(now)}
            name = name if len(self._topics) < MOST_TOPICS else ""
        if self._topics.setdefault(name, _Topic(now)).admits(record, text, now):
            yield record

    def due(self, now: float) -> Iterator[logging.LogRecord]:
        """The reports that are due."""
        for topic in self._topics.values():
            if topic.held and now >= topic.report_at:
                yield from topic.report()


class _Topic:
    def __init__(self, now: float) -> None:
        self._tokens = float(BURST)
        self._refilled_at = now
        self.report_at = now
        self.held: dict[str, tuple[logging.LogRecord, int]] = {}
        """By shape the last record and the number of all, the newest shape last."""

    def rested(self, now: float) -> bool:
        """Whether it is as good as new."""
        self._refill(now)
        return self._tokens == BURST and not self.held

    def admits(self, record: logging.LogRecord, text: str, now: float) -> bool:
        self._refill(now)
        if self._tokens >= 1.0 and not self.held:
            self._tokens -= 1.0
            return True
        if not self.held:
            self.report_at = now + REPORT_SECONDS
        self._hold(record, text)
        return False

    def report(self) -> list[logging.LogRecord]:
        held, self.held = self.held, {}
        return [_with_count(record, number) for record, number in held.values()]

    def _hold(self, record: logging.LogRecord, text: str) -> None:
        shape = _shape(text)
        if shape not in self.held and len(self.held) >= MOST_SHAPES:
            shape = ""  # others: of them only the last is kept
        _, number = self.held.pop(shape, (record, 0))
        kept = copy(record)
        kept.exc_info = kept.stack_info = None  # frames would stay alive; those of the first lines have been shown
        kept.msg, kept.args = text, ()
        self.held[shape] = kept, number + 1

    def _refill(self, now: float) -> None:
        self._tokens = min(float(BURST), self._tokens + (now - self._refilled_at) / REFILL_SECONDS)
        self._refilled_at = now


def _topic(logger: str, text: str) -> str:
    """Most lines begin with who they are about: `gps: lost`; others are about what their logger is."""
    subject, colon, _ = text[:100].partition(": ")
    return f"{logger} {subject}" if colon and " " not in subject else logger


def _shape(text: str) -> str:
    """Which lines are alike: those with the same beginning, numbers apart."""
    return " ".join(word for word in text[:200].split()[:6] if not any(map(str.isdigit, word)))


def _with_count(record: logging.LogRecord, number: int) -> logging.LogRecord:
    if number > 1:
        record.msg += f" ({number - 1:,} more like this in the last minute)"
    return record
