"""What the daemon knows from files: a temperature, and what it learned of its clock before."""

import logging
import threading
from datetime import UTC, datetime
from pathlib import Path

from ntp_usg.clocks.drift_file import (
    LONGEST_KEY,
    MOST_RECEIVERS,
    SavedLatencies,
    SavedState,
    keep_latencies,
    load,
    parse_latencies,
    save,
)
from ntp_usg.core.base.dates import DAY_NS, date_of, is_possible
from ntp_usg.core.base.errors import ClockError
from ntp_usg.core.base.instants import WallNs, nanoseconds, seconds
from ntp_usg.core.base.samples import MessageLatency
from ntp_usg.core.engine.engine import Learned
from ntp_usg.sysapi.state_files import open_regular

log = logging.getLogger(__name__)

SAVE_INTERVAL = 3600.0
"""Seconds between two savings: what an hour teaches is little, and flash memory wears."""


def read_temperature(path: str) -> float | None:
    """Degrees celsius from a thermal zone of the kernel, which counts thousandths; None where there is no number."""
    try:
        with open_regular(path) as file:
            return int(file.read(16)) / 1000
    except (OSError, ValueError):
        return None


class DriftFile:
    """The drift file, which may be missing, damaged or not writable: none of that stops a server."""

    def __init__(self, path: str) -> None:
        self._path = Path(path) if path else None
        self._complaint = ""
        self._latencies: dict[str, SavedLatencies] = {}
        self._saved_at: WallNs | None = None
        self._saving = threading.Lock()

    def load(self) -> SavedState | None:
        state = None
        try:
            state = load(self._path) if self._path else None
            self._latencies = parse_latencies(state) if state else {}
            if state and state.saved_at:
                self._saved_at = WallNs(nanoseconds(state.saved_at.timestamp()))
        except ClockError as error:
            log.warning("%s", error)
        return state

    def latencies(self) -> dict[str, dict[str, MessageLatency]]:
        """How late receivers' messages came, as it was loaded, by the receivers' keys and the parts' names."""
        for key, saved in self._latencies.items():
            log.info("Message latency is known from an earlier run: %s, measured on %s", key, saved.measured_at.date())
        return {
            key: {part: MessageLatency(**each.model_dump()) for part, each in saved.parts.items()}
            for key, saved in self._latencies.items()
        }

    def compare(self, now: WallNs) -> None:
        """Say once, when the time is known, that the file was saved at a later one; no date depends on the file's."""
        if self._saved_at is not None and self._saved_at > now + DAY_NS:
            log.warning(
                "The drift file was saved at %s, but the sources say that it is %s: the file's date is ignored",
                date_of(self._saved_at),
                date_of(now),
            )
        self._saved_at = None

    def save(self, learned: Learned | None, now: WallNs) -> None:
        """Keep what was learned until `now`; the same complaint is made once. Any thread may call this."""
        with self._saving:
            self._save(learned, now)

    def _save(self, learned: Learned | None, now: WallNs) -> None:
        if self._path is None or learned is None or not is_possible(now):
            return
        at = datetime.fromtimestamp(seconds(now), UTC)
        state = SavedState(
            frequency_ppm=-learned.rate * 1e6,
            deviation_ppm=learned.deviation * 1e6,
            saved_at=at,
            holdover=learned.holdover,
            latencies=self._kept(learned, at),
        )
        try:
            save(self._path, state)
            self._complaint = ""
        except ClockError as error:
            if str(error) != self._complaint:
                log.warning("%s", error)
            self._complaint = str(error)

    def _kept(self, learned: Learned, at: datetime) -> dict[str, object]:
        """What is known of all receivers: those that are not here now may come back."""
        for key, parts in learned.latencies.items():
            if len(key) <= LONGEST_KEY:
                self._latencies[key] = keep_latencies(parts, at)
        latest = sorted(self._latencies.items(), key=lambda item: min(item[1].measured_at, at), reverse=True)
        self._latencies = dict(latest[:MOST_RECEIVERS])
        return {key: each.model_dump(mode="json") for key, each in self._latencies.items()}
