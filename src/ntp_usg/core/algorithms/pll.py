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


@dataclass(slots=True)
class PllFll:
    """What a clock must do that follows offsets; it holds the frequency found so far."""

    frequency: float = 0.0
    """Seconds per second."""
    residual: float = 0.0
    """Seconds of phase that are still to be worked off."""
    time_constant: float = PLL_GAIN * 64.0
    """Seconds in which the residual decays to 1/e."""
    _updated: bool = False

    def advance(self, elapsed: float) -> float:
        """Let seconds pass; returns the seconds of phase worked off in them, beside what the frequency did."""
        kept = self.residual * math.exp(-elapsed / self.time_constant)
        done, self.residual = self.residual - kept, kept
        return done

    def update(self, offset: float, interval: float, poll: float) -> tuple[float, float]:
        """Take in the offset in seconds left after `interval` seconds, at a poll interval in seconds.

        Returns the phase correction to work off and the frequency (appendix A.5.5.6). After the first offset only the
        phase is known.
        """
        change = 0.0
        if self._updated:
            if poll > ALLAN_INTERCEPT / 2:
                averaging = max(FLL_GAIN - math.log2(poll), AVERAGE)
                change += (offset - self.residual) / (max(interval, ALLAN_INTERCEPT) * averaging)
            change += offset * min(interval, poll) / (4 * PLL_GAIN * poll) ** 2
        self._updated = True
        self.frequency = max(-MAX_FREQUENCY, min(MAX_FREQUENCY, self.frequency + change))
        self.residual = offset
        self.time_constant = PLL_GAIN * poll
        return self.residual, self.frequency
