"""What the drivers of all receivers on a serial line share, whatever the receiver speaks."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated, ClassVar, Final, Literal, Protocol

from pydantic import BaseModel, BeforeValidator, Field, FiniteFloat, PlainSerializer, WithJsonSchema

from ntp_usg.core.base.aliases import Alias, absent
from ntp_usg.core.base.doubts import Trouble
from ntp_usg.core.base.errors import DeviceError
from ntp_usg.core.base.instants import HostNs, MonoNs, seconds
from ntp_usg.core.base.samples import Fix, FixQuality, PulseCorrection, Reception, TimeMessage
from ntp_usg.core.base.verdicts import Outcome, Reason, Verdict
from ntp_usg.core.engine.settings import ReceiverSettings
from ntp_usg.core.receivers.autobaud import USUAL_RATES, SpeedSearch, usual_rates
from ntp_usg.core.receivers.commands import Command, Description
from ntp_usg.core.receivers.spotter import ProtocolSpotter
from ntp_usg.refclocks.driver import Context, DriverOptions, ReferenceId, Reporter, keep_open, load_drivers
from ntp_usg.refclocks.serial_line import CharacterFormat, SerialLine

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

Sawtooth = Literal["add", "subtract", "ignore"]
"""What to do with the error that a receiver tells of its next pulse."""
SAWTOOTH_SIGNS: Mapping[Sawtooth, int] = {"add": 1, "subtract": -1, "ignore": 0}

AUTO: Final = "auto"
_NOISE = Verdict(Outcome.REJECTED, Reason.BAD_CHECKSUM)


def _quality(value: object) -> FixQuality:
    for name, quality in _QUALITIES.items():
        if value is quality or (isinstance(value, str) and value.lower() == name.lower()):
            return quality
    raise ValueError(f"must be one of {', '.join(_QUALITIES)}")


def _spelling(quality: FixQuality) -> str:
    return next(name for name, named in _QUALITIES.items() if named is quality)


def _baud_rate(value: object) -> object:
    if value == AUTO or (type(value) is int and 50 <= value <= 4_000_000):
        return value
    raise ValueError(f'must be a number from 50 to 4000000, or "{AUTO}"')


BaudRate = Annotated[
    int | Literal["auto"],
    BeforeValidator(_baud_rate),
    WithJsonSchema({"anyOf": [{"type": "integer", "minimum": 50, "maximum": 4_000_000}, {"enum": [AUTO]}]}),
]


class ReceiverOptions(DriverOptions):
    """What every receiver on a serial line can be told."""

    ALIASES: ClassVar[Mapping[str, Alias]] = {
        **DriverOptions.ALIASES,
        "time1": absent("belongs to the pulses: write `offset_secs` in [pps]; that of the messages is `time2`"),
        "time2": Alias("offset_secs"),
        "flag1": absent("pulses have a table of their own: write [pps]"),
        "flag2": absent("the edge of the pulses is `capture_mode` in [pps]"),
        "flag3": absent("the kernel's own use of the pulses is a matter of [pps]"),
        "flag4": absent("nothing of this reaches clients or the log: leave it out"),
    }
    """Of ntpd's driver 20, where the messages' offset is the second one."""

    reference_id: ReferenceId = "GPS"
    timeout_secs: Annotated[FiniteFloat, Field(gt=0)] = 5.0
    baud_rate: BaudRate = 9600
    """Speed of the serial line, as the receiver is set; `auto` tries the usual ones until it understands something."""
    data_bits: Literal[8, 7] = 8
    """Bits of a character."""
    parity: Literal["none", "even", "odd"] = "none"
    """What the bit after them makes of them."""
    stop_bits: Literal[1, 2] = 1
    """Pauses after a character."""
    min_satellites: Annotated[int, Field(ge=0, le=99)] = 4
    """With fewer satellites in the fix the time is not believed."""
    min_quality: Annotated[
        FixQuality,
        BeforeValidator(_quality),
        PlainSerializer(_spelling),
        WithJsonSchema({"enum": list(_QUALITIES)}),
    ] = FixQuality.GPS
    """The worst fix whose time is believed; `DifferentialGps` is another word for `DGps`. Case does not matter."""
    mobile: bool = False
    """The receiver is in a vehicle: that its position moves is no reason to distrust it."""
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
            mobile=self.mobile,
            **self.shared(),
        )


class Assembler(Protocol):
    """Bytes of one protocol in, events out; `opened` comes first, `flush` is to be called at `deadline`."""

    def opened(self, now: MonoNs) -> Sequence[Event]: ...
    def deadline(self) -> MonoNs | None: ...
    def feed(self, data: bytes, received_at: HostNs, now: MonoNs) -> Sequence[Event]: ...
    def flush(self) -> Sequence[Event]: ...


@dataclass(slots=True)
class _Portrait:
    """What is known of the device at the other end, for people, and what it is known again by."""

    where: str
    speed: str
    description: Description = Description("")
    troubles: tuple[Trouble, ...] = ()
    remark: str = ""
    """What people should know about what comes, and what does not."""
    told: bool = False
    """Whether it has said anything of its time or its fix, be it wrong."""

    def learn(self, event: Event) -> None:
        self.told = self.told or (event != _NOISE and isinstance(event, TimeMessage | Fix | Verdict))
        if self.told:
            self.remark = ""
        if isinstance(event, Description):
            self.description = event
        if isinstance(event, Reception):
            self.troubles = event.troubles

    @property
    def detail(self) -> str:
        return ", ".join(
            filter(None, (self.where, self.description.text, self.remark, *(each.text for each in self.troubles)))
        )

    @property
    def identity(self) -> str:
        return ", ".join(filter(None, (self.speed, self.description.model)))


class ReceiverDriver:
    """Reports one time message a second, from a line that may be silent, noisy or gone at any time."""

    Options: ClassVar[type[BaseModel]]
    protocol: ClassVar[str]
    hint = ""
    """What else to look after when nothing in this protocol comes."""
    needs = "a message with the date and the time"
    """What the receiver must send, in words."""

    def __init__(self, options: ReceiverOptions) -> None:
        self._options = options
        self._found: int | None = None
        self._spotter = ProtocolSpotter()

    def assemble(self) -> Assembler:
        """A new assembler, for a line that is newly opened, or listened to at another speed."""
        raise NotImplementedError

    async def run(self, context: Context) -> None:
        await keep_open(context, partial(self._listen, context))

    async def _listen(self, context: Context, report: Reporter) -> None:
        options = self._options
        search, self._spotter = self._search(), ProtocolSpotter()
        form = CharacterFormat(options.data_bits, options.parity, options.stop_bits)
        with SerialLine(options.device, USUAL_RATES[0], context.now, form) as line:
            while (baud_rate := search.next_rate(_now())) is not None:
                line.set_speed(baud_rate)
                speed = f"{baud_rate} baud"
                how = f"found at {speed}" if options.baud_rate == AUTO else f"at {speed}"
                await self._hear(line, search, context, report, _Portrait(f"{options.device} {how}", speed))
        self._found = search.found or self._found
        # Opening it again also undoes what another program may have done to the line's settings.
        raise DeviceError(f"{options.device} {self._complaint(search, form)}")

    def _search(self) -> SpeedSearch:
        """One speed for as long as the timeout; or all, each for half of it: a burst a second is well inside."""
        timeout = self._options.timeout_secs
        if self._options.baud_rate == AUTO:
            return SpeedSearch(usual_rates(self._found), patience=timeout / 2, timeout=timeout)
        return SpeedSearch([self._options.baud_rate], patience=timeout, timeout=timeout)

    async def _hear(
        self, line: SerialLine, search: SpeedSearch, context: Context, report: Reporter, device: _Portrait
    ) -> None:
        """Report what comes at one speed, until it is to be given up."""
        assembler, opened_at = self.assemble(), _now()
        events = assembler.opened(opened_at)
        while True:
            for event in events:
                if isinstance(event, Command):
                    line.write(event.data)
                deliver(event, context)
                device.learn(event)
            if any(event != _NOISE and not isinstance(event, Command | Description) for event in events):
                search.understand(_now())
                if not device.told and seconds(_now() - opened_at) > self._options.timeout_secs:
                    device.remark = self._useless()
                report(connected=True, detail=device.detail, identity=device.identity)
            if _now() >= search.deadline:
                return
            events = await self._next_events(line, assembler, search, None if device.told else self._spotter)

    async def _next_events(
        self, line: SerialLine, assembler: Assembler, search: SpeedSearch, spotter: ProtocolSpotter | None
    ) -> Sequence[Event]:
        due = assembler.deadline()
        until = search.deadline if due is None else min(due, search.deadline)
        try:
            async with asyncio.timeout(seconds(until - _now())):
                data, received_at = await line.read()
        except TimeoutError:
            return assembler.flush()
        now = _now()
        search.hear(now)
        if spotter:
            spotter.feed(data)
        return assembler.feed(data, received_at, now)

    def _complaint(self, search: SpeedSearch, form: CharacterFormat) -> str:
        if not search.noise:
            return f"sends nothing: is the receiver powered, and its TX wired to our RX?{self.hint}"
        if seen := self._useless() or self._foreign():
            return f"sends {seen}.{self.hint}"
        if self._options.baud_rate == AUTO:
            rates = ", ".join(map(str, sorted(USUAL_RATES)))
            speeds = f"any usual speed ({rates}): does the receiver speak it?"
            return f"sends bytes, but no {self.protocol} at {speeds}{self.hint}"
        speed = f"{self._options.baud_rate} baud, {form}"
        return f'sends bytes, but no {self.protocol} at {speed}: try baud_rate = "{AUTO}"{self.hint}'

    def _useless(self) -> str:
        """What comes in the driver's own protocol, where none of it tells the time."""
        names = self._spotter.seen.get(self.protocol)
        return f"only {', '.join(names)}, which name no second: the receiver must send {self.needs}" if names else ""

    def _foreign(self) -> str:
        """What comes in other protocols, and which table is theirs."""
        tables = {driver.protocol: table for table, driver in receiver_drivers().items()}
        seen = {name: parts for name, parts in self._spotter.seen.items() if name in tables and name != self.protocol}
        return " and ".join(
            f"{protocol} ({', '.join(parts)}) and no {self.protocol}: use the table [{tables[protocol]}], or switch "
            f"the receiver to {self.protocol}"
            for protocol, parts in seen.items()
        )


def receiver_drivers() -> dict[str, type[ReceiverDriver]]:
    """The installed drivers of receivers on serial lines, by the name of their configuration table."""
    return {name: each for name, each in load_drivers().items() if issubclass(each, ReceiverDriver)}


def listening_options(table: str, device: str) -> ReceiverOptions:
    """What a driver is to be told that is to listen, and to say nothing to the receiver."""
    model = receiver_drivers()[table].Options
    wanted = {"device": device, "configure": False}
    options = model(**{key: value for key, value in wanted.items() if key in model.model_fields})
    assert isinstance(options, ReceiverOptions)
    return options


def deliver(event: Event, context: Context) -> None:
    """Report what concerns the engine."""
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


def _now() -> MonoNs:
    return MonoNs(time.monotonic_ns())
