"""The clock discipline of RFC 5905 section 11.3: a loop that locks phase at short polls and frequency at long ones."""

import math
from dataclasses import dataclass

PLL_GAIN = 4
"""The time constant of the phase, in poll intervals.

Appendix A.1.1 says 16 (CLOCK_PLL); the Linux kernel's loop, which ntpd uses there, runs at 4 and measures far better.
"""
FLL_GAIN = 18
AVERAGE = 4
ALLAN_INTERCEPT = 2048.0
"""Seconds: below it the phase's noise rules, above it the wander of the frequency."""
MAX_FREQUENCY = 500e-6
WATCH = 300.0
"""Seconds over which an unknown frequency is measured before the loop closes, which would take a day to find it."""


@dataclass(slots=True)
class PllFll:
    """What a clock must do that follows offsets; it holds the frequency found so far."""

    frequency: float = 0.0
    """Seconds per second."""
    residual: float = 0.0
    """Seconds of phase that are still to be worked off."""
    time_constant: float = PLL_GAIN * 64.0
    """Seconds in which the residual decays to 1/e."""
    settled: bool = False
    """Whether the frequency is known, from before or from the first WATCH seconds."""
    _watched: float | None = None

    def advance(self, elapsed: float) -> float:
        """Let seconds pass; returns the seconds of phase worked off in them, beside what the frequency did."""
        kept = self.residual * math.exp(-elapsed / self.time_constant)
        done, self.residual = self.residual - kept, kept
        return done

    def update(self, offset: float, interval: float, poll: float) -> tuple[float, float]:
        """Take in the offset in seconds left after `interval` seconds, at a poll interval in seconds.

        Returns the phase correction to work off and the frequency (appendix A.5.5.6).
        """
        if self._watched is None:
            self._watched = 0.0
        elif self.settled:
            self._change(self._pull(offset, interval, poll))
        else:
            self._watched += interval
            if self._watched < WATCH:
                return self.residual, self.frequency
            self.settled = True
            self._change((offset - self.residual) / self._watched)
        self.residual = offset
        self.time_constant = PLL_GAIN * poll
        return self.residual, self.frequency

    def _pull(self, offset: float, interval: float, poll: float) -> float:
        """What an offset says of the frequency: to the phase lock always, to the frequency lock at long polls."""
        pull = offset * min(interval, poll) / (4 * PLL_GAIN * poll) ** 2
        if poll > ALLAN_INTERCEPT / 2:
            averaging = max(FLL_GAIN - math.log2(poll), AVERAGE)
            pull += (offset - self.residual) / (max(interval, ALLAN_INTERCEPT) * averaging)
        return pull

    def _change(self, frequency: float) -> None:
        self.frequency = max(-MAX_FREQUENCY, min(MAX_FREQUENCY, self.frequency + frequency))
