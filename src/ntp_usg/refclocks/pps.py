"""Pulses, mostly one a second: from the kernel, a modem line of a serial port, or a simulated receiver's socket."""

import asyncio
import contextlib
from collections.abc import Mapping
from functools import partial
from typing import Annotated, ClassVar, Self

from pydantic import BaseModel, BeforeValidator, Field, FiniteFloat, model_validator

from ntp_usg.core.base.aliases import Alias, flag, precision
from ntp_usg.core.base.errors import DeviceError
from ntp_usg.core.base.instants import NS_PER_SECOND
from ntp_usg.core.base.samples import Pulse
from ntp_usg.core.base.verdicts import Verdict
from ntp_usg.core.engine.settings import PulseSettings
from ntp_usg.core.receivers.pulse_latency import Latency
from ntp_usg.core.receivers.pulses import CaptureMode, EdgePicker
from ntp_usg.refclocks.driver import Context, DriverOptions, ReferenceId, Reporter, keep_open
from ntp_usg.refclocks.pulse_sources import Capture, KernelPulses, PulseSource, PulseWiring
from ntp_usg.sysapi.cpu_latency import CpuLatencyLimit
from ntp_usg.sysapi.modem_lines import LineName

_AWAKE_US = 10
"""A processor that wakes within so many microseconds counts as kept awake."""

_REST = 1 / 64
"""Share of the time between pulses in which no other edge is looked at: noise must not keep the event loop busy."""

_CALIBRATED = 1e-6
"""What a line is off by whose offset somebody has measured, unless they say otherwise."""


def _capture_mode(value: object) -> CaptureMode:
    for mode in CaptureMode:
        if isinstance(value, str) and value.lower() == mode.lower():
            return mode
    raise ValueError(f"must be one of {', '.join(CaptureMode)}")


class PpsOptions(DriverOptions):
    """The configuration table [pps]; a `device` that ends in .sock is where a simulated receiver sends its pulses."""

    ALIASES: ClassVar[Mapping[str, Alias]] = {
        **DriverOptions.ALIASES,
        "accuracy": Alias("dispersion"),
        "precision": precision("dispersion"),
        "rate": Alias("rate_hz"),
        "flag2": flag("capture_mode", "Assert", "Clear"),
        "flag3": flag("kernel_consumer", off=False, on=True),
    }

    device: str = "/dev/pps0"
    """A pulse line of the kernel; with `line`, a serial port."""
    reference_id: ReferenceId = "PPS"
    timeout_secs: Annotated[FiniteFloat, Field(gt=0)] = 2.0
    capture_mode: Annotated[CaptureMode, BeforeValidator(_capture_mode)] = CaptureMode.ASSERT
    """The edge that marks the second (RFC 2783 section 3.3); of both, the one that begins the pulse."""
    long_pulse: bool = False
    """The pulse lasts for more than half of the time. Without this, the level that lasts for less time is the pulse."""
    line: LineName | None = None
    """The modem line of the serial port that the pulse is on."""
    capture: Capture = "kernel"
    """Who stamps a modem line: the kernel (only dcd), a thread that waits, or a program that looks when it is due."""
    offset_secs: FiniteFloat | None = None  # type: ignore[assignment] # not even 0 is a claim that we make for others
    """How late edges are stamped, steadily. Where absent, what is usual for such a line, told in its status."""
    dispersion: Annotated[FiniteFloat, Field(gt=0)] | None = None
    """How far one pulse may be off, in seconds. Where absent, what is usual; with `offset_secs`, a microsecond."""
    rate_hz: Annotated[int, Field(ge=1, le=100)] = 1
    """Pulses in a second, one of which begins it: 1, 2, 4, 5, 8, 10, 16, 20, 25, 32, 40, 50, 64, 80 or 100."""
    cpu_dma_latency_us: Annotated[int, Field(ge=0, le=1_000_000)] | None = None
    """Keep the processor from sleeping more deeply than it can wake from within so many microseconds."""
    kernel_consumer: bool = False
    """Feed the pulses to the kernel's own discipline (hardpps) too, as far as it has one."""

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.line is None and self.capture != "kernel":
            raise ValueError('`capture` is for a modem line: set `line` too, as in line = "dcd"')
        if self.capture == "kernel" and self.line not in {None, "dcd"}:
            raise ValueError('the kernel stamps only dcd: set `capture` to "poll" or "wait"')
        if (self.capture, self.line) == ("wait", "ri") and self.capture_mode is not CaptureMode.CLEAR:
            raise ValueError('of ri only the end of a pulse can be waited for: set `capture` to "poll"')
        if NS_PER_SECOND % self.rate_hz:
            rates = ", ".join(str(rate) for rate in range(1, 101) if NS_PER_SECOND % rate == 0)
            raise ValueError(f"`rate_hz` must divide a second evenly: it is one of {rates}")
        if self.rate_hz > 1 and self.capture == "poll":
            raise ValueError('`poll` looks at one pulse a second: with `rate_hz` set `capture` to "kernel" or "wait"')
        if self.kernel_consumer and self.capture != "kernel":
            raise ValueError('`kernel_consumer` is for edges that the kernel stamps: capture = "kernel"')
        return self

    @property
    def occupies(self) -> str:
        """A serial port is the receiver's as well, whose messages come on it."""
        return f"{self.device} {self.line}" if self.line else self.device

    @property
    def wiring(self) -> PulseWiring:
        return PulseWiring(self.device, self.line, self.capture)

    def latency(self) -> Latency:
        """How late edges are stamped: as somebody has measured it, else as is usual."""
        awake = self.cpu_dma_latency_us is not None and self.cpu_dma_latency_us <= _AWAKE_US
        usual = self.wiring.kind.latency(awake=awake)
        uncertainty = usual.uncertainty if self.offset_secs is None else _CALIBRATED
        return Latency(
            usual.mean if self.offset_secs is None else self.offset_secs,
            uncertainty if self.dispersion is None else self.dispersion,
        )

    def source(self) -> PulseSettings:
        return self.pulses("PPS", "pps")

    def pulses(self, name: str, driver: str) -> PulseSettings:
        """What the engine must know, under the name that ntpq prints, with the unit."""
        latency = self.latency()
        return PulseSettings(
            name=self.numbered(name),
            driver=driver,
            accuracy=latency.uncertainty,
            offset=latency.mean,
            rate_hz=self.rate_hz,
            **self.shared(),
        )


class PpsDriver:
    """Reports pulses, from a line that may fall silent or go at any time."""

    Options: ClassVar[type[BaseModel]] = PpsOptions

    def __init__(self, options: PpsOptions) -> None:
        self._options = options

    async def run(self, context: Context) -> None:
        await keep_open(context, partial(self._listen, context))

    async def _listen(self, context: Context, report: Reporter) -> None:
        device, mode, timeout = self._options.device, self._options.capture_mode, self._options.timeout_secs
        with contextlib.ExitStack() as held:
            limits = self._stay_awake(held)
            source = held.enter_context(contextlib.closing(await self._options.wiring.open(mode)))
            notes = [f"{self._options.wiring}, edge: {mode}", *self._expectation(), *limits, *self._feed_kernel(source)]
            try:
                async with asyncio.timeout(timeout):
                    picker = self._picker(*await source.latest())
                while True:
                    async with asyncio.timeout(timeout):
                        pulse = await self._next_pulse(source, picker, context)
                    report(connected=True, detail=", ".join(notes))
                    context.pulse(pulse)
                    await asyncio.sleep(_REST / self._options.rate_hz)
            except TimeoutError:
                raise DeviceError(f"{device}: no pulse for {timeout:g} s; has the receiver a fix?") from None

    def _picker(self, assert_edge: Pulse, clear_edge: Pulse) -> EdgePicker:
        options = self._options
        period, long_pulse = 1 / options.rate_hz, options.long_pulse
        return EdgePicker(options.capture_mode, assert_edge, clear_edge, period=period, long_pulse=long_pulse)

    async def _next_pulse(self, source: PulseSource, picker: EdgePicker, context: Context) -> Pulse:
        while True:
            match picker.receive(*await source.fetch()):
                case Pulse() as pulse:
                    return pulse
                case Verdict() as verdict:
                    context.verdict(verdict)

    def _expectation(self) -> list[str]:
        """What is assumed of the stamps, where nobody has measured it."""
        latency = self._options.latency()
        if self._options.offset_secs is not None or not latency.mean:
            return []
        return [f"taken to be {latency} ({self._options.wiring.kind})"]

    def _stay_awake(self, held: contextlib.ExitStack) -> list[str]:
        """Keep the processor awake while `held` is; what hinders us is worth a note, and no reason to do without."""
        limit_us = self._options.cpu_dma_latency_us
        if limit_us is None:
            return []
        try:
            held.enter_context(contextlib.closing(CpuLatencyLimit(limit_us)))
        except DeviceError as error:
            return [f"the processor may sleep: {error}"]
        return [f"the processor wakes within {limit_us} us"]

    def _feed_kernel(self, source: PulseSource) -> list[str]:
        if not (self._options.kernel_consumer and isinstance(source, KernelPulses)):
            return []
        try:
            source.feed_kernel()
        except DeviceError as error:
            return [str(error)]
        return ["feeds the kernel's discipline too"]
