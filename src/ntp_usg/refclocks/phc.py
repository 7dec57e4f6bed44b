"""The clock on a network card or another board (PTP hardware clock): as a whole clock, or as a stamp for pulses."""

import asyncio
import contextlib
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Annotated, ClassVar, Self

from pydantic import BaseModel, Field, FiniteFloat, model_validator

from ntp_usg.core.algorithms.leap_list import MAX_BYTES, LeapTable, parse_leap_list
from ntp_usg.core.base.aliases import Alias, absent
from ntp_usg.core.base.errors import ConfigError, DeviceError, WireError
from ntp_usg.core.base.instants import HostNs, seconds
from ntp_usg.core.base.samples import Measurement, Pulse
from ntp_usg.core.base.verdicts import Outcome, Reason, Verdict
from ntp_usg.core.engine.settings import ClockSettings, PulseSettings
from ntp_usg.core.receivers.phc import MAX_SAMPLES, CrossStamp, Edge, Pulses, measure, tightest
from ntp_usg.core.receivers.readings import IMPLAUSIBLE, STALE, is_fresh, judge_reading
from ntp_usg.refclocks.descriptors import readable
from ntp_usg.refclocks.driver import Context, DriverOptions, ReferenceId, Reporter, keep_open
from ntp_usg.sysapi.phc import PhcDevice, find_clock
from ntp_usg.sysapi.processes import running
from ntp_usg.sysapi.state_files import read_trusted

_STEERERS = frozenset({"phc2sys", "ptp4l", "ts2phc"})
_REPEATED = Verdict(Outcome.REJECTED, Reason.REPEATED)
_TOO_WIDE = Verdict(Outcome.REJECTED, Reason.TOO_LATE)


def _power_of_two(value: object) -> float:
    if type(value) is not int or not -4 <= value <= 6:
        raise ValueError("is an exponent of two: must be a whole number from -4 to 6")
    return 2.0**value


LEAP_FILE_SECONDS = 3600.0
"""How often the list of leap seconds is read again: a card may be followed for years."""


class PhcOptions(DriverOptions):
    """The configuration table [phc]; `device` is a path like /dev/ptp0 or a network interface like eth0."""

    ALIASES: ClassVar[Mapping[str, Alias]] = {
        **DriverOptions.ALIASES,
        "dpoll": Alias("reading_interval_secs", _power_of_two, example=-2),
        "extpps": Alias("external_stamps"),
        "clear": Alias("falling_edge"),
        "nocrossts": absent("the daemon finds the best way to read a card"),
    }
    """Of chrony's PHC."""

    device: str = "/dev/ptp0"
    reference_id: ReferenceId = "PHC"
    timeout_secs: Annotated[FiniteFloat, Field(gt=0)] = 5.0
    reading_interval_secs: Annotated[FiniteFloat, Field(ge=0.05, le=64)] = 1.0
    """How often the clock is read."""
    samples: Annotated[int, Field(ge=1, le=MAX_SAMPLES)] = 10
    """Readings at a time, of which the one with the least doubt counts."""
    max_bracket_secs: Annotated[FiniteFloat, Field(gt=0)] = 1e-3
    """A reading that took longer is not used: the host was busy, or the card is slow."""
    tai: bool = False
    """The card counts TAI, as under PTP, and not UTC."""
    utc_offset_secs: Annotated[int | None, Field(ge=10, le=255)] = None
    """TAI minus UTC for `tai`; where absent, the list of leap seconds tells it."""
    leap_file: str = "/usr/share/zoneinfo/leap-seconds.list"
    """That list."""
    external_stamps: bool = False
    """Follow pulses on an input of the card, which its clock only stamps: that clock need not be right."""
    channel: Annotated[int, Field(ge=0, le=255)] = 0
    """The input channel of the pulses."""
    pin: Annotated[int | None, Field(ge=0, le=255)] = None
    """The pin to make that channel's input; where absent, pins stay as they are."""
    falling_edge: bool = False
    """The falling edge of a pulse marks the second."""
    accuracy_secs: Annotated[FiniteFloat, Field(gt=0)] = 1e-6
    """How far its time, or its pulses, may be off by."""

    @model_validator(mode="after")
    def _patient(self) -> Self:
        if not self.external_stamps and self.reading_interval_secs >= self.timeout_secs:
            raise ValueError("reading_interval_secs must be shorter than timeout_secs")
        return self

    @property
    def occupies(self) -> str:
        return f"channel {self.channel} of {self.device}" if self.external_stamps else self.device

    def source(self) -> ClockSettings | PulseSettings:
        settings = PulseSettings if self.external_stamps else ClockSettings
        return settings(
            name=self.numbered("PHC"),
            driver="phc",
            accuracy=self.accuracy_secs,
            offset=self.offset_secs,
            **self.shared(),
        )


class PhcDriver:
    """Reads the card's clock beside the host's; never sets it."""

    Options: ClassVar[type[BaseModel]] = PhcOptions

    def __init__(self, options: PhcOptions) -> None:
        self._options = options
        self._pulses = 0

    async def run(self, context: Context) -> None:
        await keep_open(context, partial(self._watch, context))

    async def _watch(self, context: Context, report: Reporter) -> None:
        path = find_clock(self._options.device)
        try:
            with contextlib.closing(PhcDevice(path, stamps_edges=self._options.external_stamps)) as device:
                if self._options.external_stamps:
                    await self._stamp(device, path, context, report)
                await self._read(device, path, context, report)
        except WireError as error:
            raise DeviceError(f"{path} makes no sense: {error}") from error

    async def _read(self, device: PhcDevice, path: str, context: Context, report: Reporter) -> None:
        """Take its clock for a whole one."""
        options, clock = self._options, asyncio.get_running_loop().time
        leap_table = _read_leap_table(options)
        rivals = _rivals()
        lost_at, look_at = clock() + options.timeout_secs, clock() + LEAP_FILE_SECONDS
        while clock() < lost_at:
            if clock() >= look_at:
                leap_table, look_at = _newer(leap_table, options), clock() + LEAP_FILE_SECONDS
            match self._judge(tightest(device.compare(options.samples)), leap_table, context.now()):
                case Measurement() as reading:
                    report(connected=True, detail=f"{path}, {'TAI' if options.tai else 'UTC'}, {device.way}{rivals}")
                    context.sample(reading)
                    lost_at = clock() + options.timeout_secs
                case Verdict() as verdict:
                    context.verdict(verdict)
            await asyncio.sleep(options.reading_interval_secs)
        raise DeviceError(f"{path}: no usable reading for {options.timeout_secs:g} s; is its clock set?")

    def _judge(self, stamp: CrossStamp, leap_table: LeapTable | None, now: HostNs) -> Measurement | Verdict:
        if seconds(stamp.width_ns) > self._options.max_bracket_secs:
            return _TOO_WIDE
        tai_offset = self._options.utc_offset_secs if self._options.tai else 0
        if tai_offset is None:
            assert leap_table is not None
            tai_offset = leap_table.tai_offset_by_tai(stamp.card_ns)
        return IMPLAUSIBLE if tai_offset is None else judge_reading(measure(stamp, tai_offset), now)

    async def _stamp(self, device: PhcDevice, path: str, context: Context, report: Reporter) -> None:
        """Take the pulses that it stamps."""
        options, pulses = self._options, Pulses()
        self._set_up(device, path)
        pulses.compare(tightest(device.compare(options.samples)))
        try:
            while True:
                async with asyncio.timeout(options.timeout_secs):
                    pulse = await self._next_pulse(device, pulses, context)
                report(connected=True, detail=f"{path}, channel {options.channel}, {device.way}")
                context.pulse(pulse)
        except TimeoutError:
            advice = "is the pulse on the right pin?"
            channel, timeout = options.channel, options.timeout_secs
            raise DeviceError(f"{path}: no pulse on channel {channel} for {timeout:g} s; {advice}") from None

    def _set_up(self, device: PhcDevice, path: str) -> None:
        options, can = self._options, device.capabilities()
        if options.channel >= can.channels:
            raise DeviceError(f"{path} has {can.channels} input channels, counted from 0: channel {options.channel}")
        if options.pin is not None:
            device.set_pin(options.pin, options.channel)
        device.watch(options.channel, falling=options.falling_edge)

    async def _next_pulse(self, device: PhcDevice, pulses: Pulses, context: Context) -> Pulse:
        while True:
            await readable(device.fileno())
            edges = device.edges()
            pulses.compare(tightest(device.compare(self._options.samples)))
            for edge in edges:
                match self._judge_edge(edge, pulses, context.now()):
                    case Pulse() as pulse:
                        return pulse
                    case Verdict() as verdict:
                        context.verdict(verdict)

    def _judge_edge(self, edge: Edge, pulses: Pulses, now: HostNs) -> Pulse | Verdict | None:
        if edge.channel != self._options.channel:
            return None
        if not pulses.marks_second(edge.card_ns):
            return _REPEATED
        at = pulses.host(edge.card_ns)
        if at is None or not is_fresh(at, now):
            return STALE
        self._pulses += 1
        return Pulse(at, self._pulses)


def _rivals() -> str:
    """Who else may have to do with this clock: one that sets it by the host's would lead us in a circle."""
    found = running(_STEERERS)
    return f"; it may be set by {', '.join(found)}, which must not set it by this host's clock" if found else ""


def _newer(table: LeapTable | None, options: PhcOptions) -> LeapTable | None:
    """The list as it is now; the one so far where it cannot be read, of which the daemon's own look tells people."""
    try:
        return _read_leap_table(options)
    except DeviceError:
        return table


def _read_leap_table(options: PhcOptions) -> LeapTable | None:
    if not options.tai or options.utc_offset_secs is not None:
        return None
    try:
        return parse_leap_list(read_trusted(Path(options.leap_file), MAX_BYTES), options.leap_file)
    except (OSError, ConfigError) as error:
        raise DeviceError(f"TAI minus UTC is not known: set utc_offset_secs, or correct leap_file ({error})") from error
