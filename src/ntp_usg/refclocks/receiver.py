"""What the drivers of all receivers on a serial line share, whatever the receiver speaks."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Annotated, ClassVar, Protocol

from pydantic import BaseModel, BeforeValidator, Field, FiniteFloat, PlainSerializer, WithJsonSchema

from ntp_usg.core.base.aliases import Alias, absent
from ntp_usg.core.base.errors import DeviceError
from ntp_usg.core.base.instants import HostNs, MonoNs, WallNs, seconds
from ntp_usg.core.base.samples import Fix, FixQuality, PulseCorrection, Reception, TimeMessage
from ntp_usg.core.base.verdicts import Outcome, Reason, Verdict
from ntp_usg.core.engine.settings import ReceiverSettings
from ntp_usg.core.receivers.commands import Command, Description
from ntp_usg.core.receivers.rollover import build_floor
from ntp_usg.refclocks.driver import Context, DriverOptions, ReferenceId, Reporter, keep_open
from ntp_usg.refclocks.serial_line import SerialLine

Event = TimeMessage | Fix | Verdict | PulseCorrection | Reception | Command | Description

_QUALITIES = {
    "NoFix": FixQuality.NO_FIX,
    "Gps": FixQuality.GPS,
    "DGps": FixQuality.DGPS,
    "DifferentialGps": FixQuality.DGPS,
    "Pps": FixQuality.PPS,
    "Rtk": FixQuality.RTK,
    "FloatRtk": FixQuality.FLOAT_RTK,
}


_NOISE = Verdict(Outcome.REJECTED, Reason.BAD_CHECKSUM)


def _quality(value: object) -> FixQuality:
    for name, quality in _QUALITIES.items():
        if value is quality or (isinstance(value, str) and value.lower() == name.lower()):
            return quality
    raise ValueError(f"must be one of {', '.join(_QUALITIES)}")


def _spelling(quality: FixQuality) -> str:
    return next(name for name, named in _QUALITIES.items() if named is quality)


class ReceiverOptions(DriverOptions):
    """What every receiver on a serial line can be told."""

    ALIASES: ClassVar[Mapping[str, Alias]] = {
        **DriverOptions.ALIASES,
        "time1": absent("is of the pulses: write `offset_secs` in [pps]; that of the messages is `time2`"),
        "time2": Alias("offset_secs"),
        "flag1": absent("pulses have a table of their own: write [pps]"),
        "flag2": absent("the edge of the pulses is `capture_mode` in [pps]"),
        "flag3": absent("the kernel's own use of the pulses is a matter of [pps]"),
        "flag4": absent("nothing of this reaches clients or the log: leave it out"),
    }
    """Of ntpd's driver 20, where the messages' offset is the second one."""

    reference_id: ReferenceId = "GPS"
    timeout_secs: Annotated[FiniteFloat, Field(gt=0)] = 5.0
    baud_rate: Annotated[int, Field(ge=50, le=4_000_000)] = 9600
    """Speed of the serial line, as the receiver is set; 8 data bits, no parity, 1 stop bit."""
    min_satellites: Annotated[int, Field(ge=0, le=99)] = 4
    """With fewer satellites in the fix the time is not believed."""
    min_quality: Annotated[
        FixQuality,
        BeforeValidator(_quality),
        PlainSerializer(_spelling),
        WithJsonSchema({"enum": list(_QUALITIES)}),
    ] = FixQuality.GPS
    """The worst fix whose time is believed; `DifferentialGps` is another word for `DGps`. Case does not matter."""
    accuracy_secs: Annotated[FiniteFloat, Field(gt=0)] = 0.2
    """How far a message's arrival may be off, once `offset_secs` is taken off: half the width of an honest bound."""

    def named(self, name: str, driver: str) -> ReceiverSettings:
        """What the engine must know, under the name that ntpq prints, with the unit."""
        return ReceiverSettings(
            name=self.numbered(name),
            driver=driver,
            accuracy=self.accuracy_secs,
            min_satellites=self.min_satellites,
            min_quality=self.min_quality,
            latency=self.offset_secs,
            **self.shared(),
        )


class Assembler(Protocol):
    """Bytes of one protocol in, events out; `opened` comes first, `flush` is to be called at `deadline`."""

    def opened(self, now: MonoNs) -> Sequence[Event]: ...
    def deadline(self) -> MonoNs | None: ...
    def feed(self, data: bytes, received_at: HostNs, now: MonoNs) -> Sequence[Event]: ...
    def flush(self) -> Sequence[Event]: ...


class ReceiverDriver:
    """Reports one time message a second, from a line that may be silent, noisy or gone at any time."""

    Options: ClassVar[type[BaseModel]]
    protocol: ClassVar[str]
    hint = ""
    """What else to look after when nothing in this protocol comes."""

    def __init__(self, options: ReceiverOptions) -> None:
        self._options = options
        self.earliest: Callable[[], WallNs] = build_floor
        """What time it is at the earliest: assemblers unroll their receiver's dates from there (class Rollover)."""

    def assemble(self) -> Assembler:
        """A new assembler, for a line that is newly opened."""
        raise NotImplementedError

    async def run(self, context: Context) -> None:
        self.earliest = context.earliest
        await keep_open(context, partial(self._listen, context))

    async def _listen(self, context: Context, report: Reporter) -> None:
        device, baud_rate, timeout = self._options.device, self._options.baud_rate, self._options.timeout_secs
        clock = asyncio.get_running_loop().time
        assembler = self.assemble()
        described: tuple[str, ...] = ()
        troubles: tuple[str, ...] = ()
        with SerialLine(device, baud_rate, context.now) as line:
            lost_at = clock() + timeout
            events = assembler.opened(MonoNs(time.monotonic_ns()))
            while clock() < lost_at:
                for event in events:
                    if isinstance(event, Command):
                        await line.write(event.data)
                    _deliver(event, context)
                    if isinstance(event, Description):
                        described = (event.text,)
                    if isinstance(event, Reception):
                        troubles = tuple(trouble.text for trouble in event.troubles)
                if any(event != _NOISE and not isinstance(event, Command | Description) for event in events):
                    report(connected=True, detail=", ".join((f"{device} at {baud_rate} baud", *described, *troubles)))
                    lost_at = clock() + timeout
                events = await _next_events(line, assembler, lost_at)
        # Opening it anew also undoes what another program may have done to the line's settings.
        question = f"is it wired, and is baud_rate {baud_rate} the receiver's?"
        raise DeviceError(f"{device} sends no {self.protocol}: {question}{self.hint}")


def _deliver(event: Event, context: Context) -> None:
    match event:
        case TimeMessage():
            context.message(event)
        case Fix():
            context.fix(event)
        case PulseCorrection():
            context.correction(event)
        case Reception():
            context.reception(event)
        case Verdict():
            context.verdict(event)


async def _next_events(line: SerialLine, assembler: Assembler, until: float) -> Sequence[Event]:
    deadline = assembler.deadline()
    try:
        async with asyncio.timeout_at(until if deadline is None else min(until, seconds(deadline))):
            data, received_at = await line.read()
    except TimeoutError:
        return assembler.flush()
    return assembler.feed(data, received_at, MonoNs(time.monotonic_ns()))
