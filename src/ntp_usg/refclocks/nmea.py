"""Any receiver that speaks NMEA 0183 over a serial line."""

import asyncio
import time
from functools import partial
from typing import Annotated, ClassVar

from pydantic import BaseModel, BeforeValidator, Field, FiniteFloat, PlainSerializer, WithJsonSchema

from ntp_usg.core.base.errors import DeviceError
from ntp_usg.core.base.instants import MonoNs, seconds
from ntp_usg.core.base.samples import Fix, FixQuality, TimeMessage
from ntp_usg.core.base.verdicts import Outcome, Reason, Verdict
from ntp_usg.core.engine.settings import ReceiverSettings
from ntp_usg.core.receivers.nmea import NmeaAssembler
from ntp_usg.refclocks.driver import Context, DriverOptions, ReferenceId, Reporter, keep_open
from ntp_usg.refclocks.serial_line import SerialLine

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


class NmeaOptions(DriverOptions):
    """The configuration table [gps]."""

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
    poll_interval_secs: Annotated[int, Field(ge=1, le=1024)] = 1
    """Seconds from one measurement to the next."""
    accuracy_secs: Annotated[FiniteFloat, Field(gt=0)] = 0.2
    """How far a message's arrival may be off, once `offset_secs` is taken off: half the width of an honest bound."""

    def source(self) -> ReceiverSettings:
        return ReceiverSettings(
            name="GPS_NMEA(0)",
            driver="nmea",
            poll_interval=self.poll_interval_secs,
            accuracy=self.accuracy_secs,
            min_satellites=self.min_satellites,
            min_quality=self.min_quality,
            latency=self.offset_secs,
            **self.shared(),
        )


class NmeaDriver:
    """Reports one time message a second, from a line that may be silent, noisy or gone at any time."""

    Options: ClassVar[type[BaseModel]] = NmeaOptions

    def __init__(self, options: NmeaOptions) -> None:
        self._options = options

    async def run(self, context: Context) -> None:
        await keep_open(context, partial(self._listen, context))

    async def _listen(self, context: Context, report: Reporter) -> None:
        device, baud_rate, timeout = self._options.device, self._options.baud_rate, self._options.timeout_secs
        clock = asyncio.get_running_loop().time
        assembler = NmeaAssembler()
        with SerialLine(device, baud_rate, context.now) as line:
            lost_at = clock() + timeout
            while clock() < lost_at:
                events = await _next_events(line, assembler, lost_at)
                for event in events:
                    _deliver(event, context)
                if any(event != _NOISE for event in events):
                    report(connected=True, detail=f"{device} at {baud_rate} baud")
                    lost_at = clock() + timeout
        # Opening it anew also undoes what another program may have done to the line's settings.
        raise DeviceError(f"{device} sends no NMEA: is it wired, and is baud_rate {baud_rate} the receiver's?")


def _deliver(event: TimeMessage | Fix | Verdict, context: Context) -> None:
    match event:
        case TimeMessage():
            context.message(event)
        case Fix():
            context.fix(event)
        case Verdict():
            context.verdict(event)


async def _next_events(line: SerialLine, assembler: NmeaAssembler, until: float) -> list[TimeMessage | Fix | Verdict]:
    deadline = assembler.deadline()
    try:
        async with asyncio.timeout_at(until if deadline is None else min(until, seconds(deadline))):
            data, received_at = await line.read()
    except TimeoutError:
        return assembler.flush()
    return assembler.feed(data, received_at, MonoNs(time.monotonic_ns()))
