"""chrony's SOCK protocol: another program sends one datagram a reading (chrony.conf, `refclock SOCK`)."""

import asyncio
import contextlib
import struct
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import BaseModel, Field, FiniteFloat

from ntp_usg.core.base.errors import DeviceError, WireError
from ntp_usg.core.base.instants import NS_PER_SECOND, HostNs, nanoseconds
from ntp_usg.core.base.samples import Measurement, Pulse
from ntp_usg.core.base.verdicts import Verdict
from ntp_usg.core.engine.settings import ClockSettings, PulseSettings
from ntp_usg.core.receivers.readings import IMPLAUSIBLE, STALE, is_fresh, judge_reading
from ntp_usg.refclocks.datagram_socket import DatagramSocket
from ntp_usg.refclocks.driver import Context, DriverOptions, ReferenceId, Reporter, keep_open

MAGIC = 0x534F434B
# struct timeval, offset, pulse, leap, padding, magic: as 64-bit programs and those with 64-bit time send it, and others
_LAYOUTS = {layout.size: layout for layout in (struct.Struct("=qqdiiii"), struct.Struct("=iidiiii"))}
_LONGEST = 64
_LARGEST_OFFSET = 1e10  # three centuries
RESOLUTION = 1e-6
"""Seconds: that of `struct timeval`."""


@dataclass(frozen=True, slots=True)
class SockSample:
    """One datagram. `offset` is true time minus the host's in seconds; with a pulse, what the host's clock read."""

    at: HostNs
    offset: float
    pulse: bool
    leap: int


def parse_sock_sample(data: bytes) -> SockSample:
    """Read a `struct sock_sample` of this machine's byte order; raises WireError for anything else."""
    layout = _LAYOUTS.get(len(data))
    if layout is None:
        raise WireError(f"a SOCK sample has {' or '.join(map(str, _LAYOUTS))} bytes, not {len(data)}")
    whole, microseconds, offset, pulse, leap, _, magic = layout.unpack(data)
    if magic != MAGIC:
        raise WireError(f"a SOCK sample ends in {MAGIC:#x}, not {magic:#x}")
    if not 0 <= microseconds < 1_000_000 or not abs(offset) < _LARGEST_OFFSET:  # nor is it a NaN
        raise WireError("a SOCK sample with an impossible time")
    return SockSample(HostNs(whole * NS_PER_SECOND + microseconds * 1000), offset, bool(pulse), leap)


class SockOptions(DriverOptions):
    """The configuration table [sock]; `device` is the path of the socket that we make."""

    device: str = "/run/ntp_usg/refclock.sock"
    reference_id: ReferenceId = "SOCK"
    timeout_secs: Annotated[FiniteFloat, Field(gt=0)] = 10.0
    pulse: bool = False
    """The samples are pulses: exact about when a second begins, silent about which."""
    accuracy_secs: Annotated[FiniteFloat, Field(gt=0)] = 1e-4
    """How far its time may be off, once `offset_secs` is taken off: half the width of an honest bound."""

    def source(self) -> ClockSettings | PulseSettings:
        settings = PulseSettings if self.pulse else ClockSettings
        return settings(
            name=self.numbered("SOCK"),
            driver="sock",
            accuracy=self.accuracy_secs,
            offset=self.offset_secs,
            **self.shared(),
        )


class SockDriver:
    """Reports what is sent to its socket, as readings or as pulses."""

    Options: ClassVar[type[BaseModel]] = SockOptions

    def __init__(self, options: SockOptions) -> None:
        self._options = options
        self._pulses = 0

    async def run(self, context: Context) -> None:
        await keep_open(context, partial(self._listen, context))

    async def _listen(self, context: Context, report: Reporter) -> None:
        path, timeout = Path(self._options.device), self._options.timeout_secs
        with contextlib.closing(DatagramSocket(path, "readings")) as line:
            # A sender may stay connected, and would lose a socket that is made again: silence is no reason to.
            while line.exists:
                try:
                    async with asyncio.timeout(timeout):
                        await self._hear(line, context)
                except TimeoutError:
                    advice = "does the other program know this path?"
                    report(connected=False, detail=f"{path}: no usable sample for {timeout:g} s; {advice}")
                else:
                    report(connected=True, detail=str(path))
        raise DeviceError(f"{path} was removed by another program")

    async def _hear(self, line: DatagramSocket, context: Context) -> None:
        """Report the next sample that is of use."""
        while True:
            match self._judge(await line.receive(_LONGEST), context.now()):
                case Verdict() as verdict:
                    context.verdict(verdict)
                case Pulse() as pulse:
                    return context.pulse(pulse)
                case Measurement() as reading:
                    return context.sample(reading)

    def _judge(self, data: bytes, now: HostNs) -> Measurement | Pulse | Verdict:
        try:
            sample = parse_sock_sample(data)
        except WireError:
            return IMPLAUSIBLE
        if sample.pulse is not self._options.pulse:
            return IMPLAUSIBLE
        if not sample.pulse:
            return judge_reading(Measurement(sample.at, nanoseconds(sample.offset), RESOLUTION, sample.leap), now)
        edge_at = _edge(sample)
        if not is_fresh(edge_at, now):
            return STALE
        self._pulses += 1
        return Pulse(edge_at, self._pulses)


def _edge(sample: SockSample) -> HostNs:
    """The instant nearest to the sample's at which the host's clock read its offset as the fraction of a second."""
    fraction_ns, half = nanoseconds(sample.offset % 1.0), NS_PER_SECOND // 2
    return HostNs(sample.at + (fraction_ns - sample.at + half) % NS_PER_SECOND - half)
