"""The system clock: the kernel's own, made to follow the engine's mapping by frequency, slew and step."""

from collections import deque
from dataclasses import dataclass
from typing import Protocol

from ntp_usg.core.base.instants import NS_PER_SECOND, HostNs, MonoNs, RawNs
from ntp_usg.core.base.mapping import IDENTITY, ClockMapping
from ntp_usg.core.base.snapshots import Leap
from ntp_usg.sysapi.timex import MAXIMUM_FREQUENCY_PPM, ClockState, ClockStatus, suspended_for

_MAXIMUM_RATE = MAXIMUM_FREQUENCY_PPM / 1e6
_REMEMBERED = 64  # segments: older readings than these belong to no sample that is still to come
_LEAPS_NS = {Leap.INSERT: -NS_PER_SECOND, Leap.DELETE: NS_PER_SECOND}
_LEAP_TOLERANCE_NS = 1_000_000  # wall and monotonic time are slewed alike: they part by what reading them takes
_DAY_NS = 86_400 * NS_PER_SECOND
_FREQUENCY_TOLERANCE_PPM = 0.001


class Kernel(Protocol):
    """What the system clock needs of `sysapi.timex.KernelClock`."""

    def read(self) -> tuple[HostNs, MonoNs]: ...
    def state(self) -> ClockState: ...
    def set_frequency(self, ppm: float) -> float: ...
    def step(self, offset_ns: int) -> None: ...
    def declare(
        self, *, leap: Leap, maximum_error: float, estimated_error: float, tai_offset: int | None = None
    ) -> None: ...


@dataclass(frozen=True, slots=True)
class _Segment:
    """From `host` = `raw` on, the kernel has run `rate` (seconds per second) faster than its raw clock."""

    host: HostNs
    raw: RawNs
    rate: float

    def raw_at(self, reading: HostNs) -> RawNs:
        elapsed = reading - self.host
        # The correction alone in floating point, so that years of nanoseconds lose nothing.
        return RawNs(self.raw + elapsed - round(elapsed * (self.rate / (1 + self.rate))))


class SystemClock:
    """The kernel's clock, with a record of what it was truly made to do.

    The record (one segment for each change of frequency) is what turns host readings into raw ones: the raw clock is
    the kernel's at frequency 0. A slew is a frequency that must be ended, by `timer` at `deadline`; if that comes late
    the clock overshoots, and the record shows it.
    """

    name = "system"

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._in_charge = False
        self._rate = kernel.state().frequency_ppm / 1e6
        self._slew_ns = 0
        self._slew_ends: MonoNs | None = None
        self._leap_ns = 0
        self._host_minus_mono = 0
        host, _ = kernel.read()
        self._segments = deque([_Segment(host, RawNs(host), self._rate)], maxlen=_REMEMBERED)

    def read(self) -> tuple[HostNs, MonoNs]:
        """The host's wall and monotonic clocks, read together."""
        host, mono = self._kernel.read()
        if self._leap_ns and abs(host - mono - self._host_minus_mono - self._leap_ns) < _LEAP_TOLERANCE_NS:
            self._record_leap(host)
        return host, mono

    def raw(self, reading: HostNs) -> RawNs:
        """A host reading freed of our corrections: by the segment that it was taken in, since stamps arrive late.

        After a step back, host time passes twice, and a stamp from the first time is taken for one of the second.
        """
        taken_in = (segment for segment in reversed(self._segments) if segment.host <= reading)
        return next(taken_in, self._segments[0]).raw_at(reading)

    def current(self) -> ClockMapping:
        """What the kernel does now, as raw -> host."""
        now = self._segments[-1]
        return ClockMapping(now.raw, now.host - now.raw, self._rate, now.rate - self._rate, self._slew_ns)

    def serving(self) -> ClockMapping:
        """The host's time and what is still to be slewed, which shrinks as the kernel works it off."""
        if self._slew_ends is None:
            return IDENTITY
        now = self._segments[-1]
        phase, host_ns = (now.rate - self._rate) * self._slew_ns, self._slew_ns * (1 + now.rate)
        return ClockMapping(now.host, round(phase), slew_rate=-phase / host_ns, slew_ns=round(host_ns))

    def steer(self, mapping: ClockMapping, *, step: bool) -> None:
        """Follow a mapping raw -> disciplined; within the kernel's 500 ppm, so that a great slew takes longer.

        Without `step` the present time stays as it is and only the frequency follows.
        Raises ClockError where the kernel refuses.
        """
        host, mono = self.read()
        raw = self.raw(host)
        if step:
            self._step(host, raw, mapping.wall(raw) - host)
        elif not self._in_charge:
            self._step(host, raw, 0)  # ends what another program may have left running
        self._rate = _limited(mapping.rate)
        phase = mapping.slew_rate * max(0, mapping.slew_ns - max(0, raw - mapping.base_ns))
        slew_rate = _limited(self._rate + mapping.slew_rate) - self._rate
        if phase * slew_rate <= 0:
            self._end_slew()
            return
        rate = self._run(self._rate + slew_rate)
        self._slew_ns = round(phase / slew_rate)
        self._slew_ends = MonoNs(mono + round(self._slew_ns * (1 + rate)))  # CLOCK_MONOTONIC runs at our rate too

    def declare(
        self, *, leap: Leap, maximum_error: float, estimated_error: float, tai_offset: int | None = None
    ) -> None:
        """Tell the kernel how good its clock is (seconds), once it is ours to speak for."""
        if not self._in_charge:
            return
        host, mono = self.read()
        self._leap_ns, self._host_minus_mono = _LEAPS_NS.get(leap, 0), host - mono
        self._kernel.declare(
            leap=leap, maximum_error=maximum_error, estimated_error=estimated_error, tai_offset=tai_offset
        )

    def interference(self) -> str | None:
        """What another program has made of our settings of the kernel's clock, in words; None where they stand."""
        state, ours = self._kernel.state(), self._segments[-1].rate * 1e6
        if not self._in_charge:
            return None
        if abs(state.frequency_ppm - ours) > _FREQUENCY_TOLERANCE_PPM:
            return f"the kernel's clock is corrected by {state.frequency_ppm:+.3f} ppm, and not by our {ours:+.3f} ppm"
        return "the kernel's own PLL has been switched on" if ClockStatus.PLL in state.status else None

    def suspended_for(self) -> float:
        """Seconds that the machine has slept since it was started: the wall clock went on meanwhile."""
        return suspended_for()

    def deadline(self) -> MonoNs | None:
        """When the slew in progress has to end."""
        return self._slew_ends

    def timer(self, now: MonoNs) -> None:
        """End the slew that is due."""
        if self._slew_ends is not None and now >= self._slew_ends:
            self._end_slew()

    def close(self) -> None:
        """Leave the kernel at the last good frequency, with no slew that nobody would end."""
        if self._slew_ends is not None:
            self._end_slew()

    def _step(self, host: HostNs, raw: RawNs, offset_ns: int) -> None:
        self._kernel.step(offset_ns)
        self._in_charge = True
        self._leap_ns = 0  # the kernel forgets it, too
        self._segments.append(_Segment(HostNs(host + offset_ns), raw, self._segments[-1].rate))

    def _record_leap(self, host: HostNs) -> None:
        """Put on record what the kernel did at midnight: for host time a step, for raw time nothing.

        An inserted second follows 24:00:00, a deleted one would have followed 23:59:59.
        """
        midnight = round(host / _DAY_NS) * _DAY_NS
        before = HostNs(midnight - max(0, self._leap_ns))
        after = HostNs(before + self._leap_ns)
        former, raw = self._segments[-1], self._segments[-1].raw_at(before)
        self._slew_ns = max(0, self._slew_ns - max(0, raw - former.raw))
        self._segments.append(_Segment(after, raw, former.rate))
        self._leap_ns = 0

    def _end_slew(self) -> None:
        self._slew_ns, self._slew_ends = 0, None
        self._rate = self._run(self._rate)

    def _run(self, rate: float) -> float:
        """Run the kernel at a rate from now on, on record; returns what it made of it."""
        actual = self._kernel.set_frequency(rate * 1e6) / 1e6
        host, _ = self.read()
        self._segments.append(_Segment(host, self.raw(host), actual))
        return actual


def _limited(rate: float) -> float:
    return min(max(rate, -_MAXIMUM_RATE), _MAXIMUM_RATE)
