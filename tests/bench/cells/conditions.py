"""The worlds that servers are judged in, in words that both simulators understand: ours and clknetsim."""

from dataclasses import dataclass
from typing import Any, Literal

DELAY = 100e-6
"""Each way, before jitter; seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Happening:
    """Something that happens to the world: seconds from the start, and for how many."""

    what: Literal["frequency", "cut", "route"]
    at: float
    lasts: float | None = None
    every: float | None = None
    """Seconds from one time to the next; without it, it happens once."""
    size: float = 0.0
    """Of a change of frequency in ppm; of a longer way there in seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """One client of one server with true time: intervals in seconds, `there` is from the client to the server."""

    jitter_there: float
    """Mean of the exponential part of the delay."""
    jitter_back: float
    polls: tuple[int, int] = (6, 10)
    """Least and greatest exponent of the poll interval."""
    wander_ppb: float = 1.0
    """Random walk of the client's frequency: standard deviation of its change in a second."""
    frequency_ppm: float = 0.0
    offset: float = 0.3
    happenings: tuple[Happening, ...] = ()
    length: float = 100_000.0
    settled: float = 20_000.0
    probe: float = 16.0
    """Time between two looks at the client."""

    def scenario(self) -> dict[str, Any]:
        """As `ntp_usg simulate` takes it."""
        crystal = {"offset": self.offset, "frequency_ppm": self.frequency_ppm, "wander_ppb": self.wander_ppb}
        source = {"name": "server", "iburst": True, "min_poll": self.polls[0], "max_poll": self.polls[1]}
        jitter = {"jitter": self.jitter_there, "jitter_back": self.jitter_back}
        return {
            "duration": self.length,
            "settled": self.settled,
            "probe": self.probe,
            "knots": min(16.0, max(self.probe, 1.0)),
            "server": [{"name": "server"}],
            "host": [{"name": "client", "oscillator": crystal, "source": [source]}],
            "link": [{"between": ("client", "server"), "delay": DELAY, **jitter}],
            "event": [_event(happening) for happening in self.happenings],
        }


def _event(happening: Happening) -> dict[str, Any]:
    subject: dict[str, Any] = {"between": ("client", "server")}
    if happening.what == "frequency":
        subject = {"clock": "client", "ppm": happening.size}
    if happening.what == "route":
        subject["delay"] = happening.size
    times = {"at": happening.at, "for": happening.lasts, "every": happening.every}
    return {"what": happening.what, **subject} | {key: value for key, value in times.items() if value is not None}
