"""A recording of a receiver (`ntp_usg gps record`), played through the parts that would hear the receiver itself."""

import asyncio
import math
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial
from itertools import chain
from typing import Annotated, ClassVar, Literal, Self

from pydantic import BaseModel, Field, FiniteFloat, model_validator

from ntp_usg.core.base.dates import date_of
from ntp_usg.core.base.errors import DeviceError, WireError
from ntp_usg.core.base.instants import NS_PER_SECOND, HostNs, MonoNs, WallNs, nanoseconds, seconds
from ntp_usg.core.base.samples import PulseCorrection, TimeMessage
from ntp_usg.core.engine.settings import ReceiverSettings
from ntp_usg.core.receivers.recording import Chunk, parse_recording
from ntp_usg.refclocks.driver import Context, ReferenceId, Reporter, keep_open
from ntp_usg.refclocks.pretence import WATCHED_ONLY, PretenceOptions
from ntp_usg.refclocks.receiver import (
    Assembler,
    Event,
    ReceiverOptions,
    deliver,
    listening_options,
    receiver_drivers,
)
from ntp_usg.sysapi.state_files import open_regular


class ReplayOptions(PretenceOptions):
    """The configuration table [replay]; `device` is the path of the recording."""

    protocol: str
    """What the receiver spoke: the name of the table that it would have, such as `gps` or `ubx`."""
    reference_id: ReferenceId = "PLAY"
    timeout_secs: Annotated[FiniteFloat, Field(gt=0)] = 5.0
    as_of: Literal["now", "recorded"] = "now"
    """`now`: its seconds are moved to the present; `recorded`: they stay as recorded."""
    loop: bool = False
    """Begin again at the end."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.loop and self.as_of == "recorded":
            raise ValueError('`loop` would turn the recorded time back again and again: it needs as_of = "now"')
        if self.protocol not in receiver_drivers():
            raise ValueError(f"`protocol` must be one of {', '.join(sorted(receiver_drivers()))}")
        return self

    def live(self) -> ReceiverOptions:
        """The options with which the receiver itself would be heard: none but the defaults."""
        return listening_options(self.protocol, self.device)  # a recording takes no orders

    def assemble(self) -> Assembler:
        return receiver_drivers()[self.protocol](self.live()).assemble()

    def source(self) -> ReceiverSettings:
        live = self.live().source()
        assert isinstance(live, ReceiverSettings)
        latency = self.offset_secs or live.latency
        return replace(live, name=self.numbered("REPLAY"), driver="replay", latency=latency, **self.shared())


class ReplayDriver:
    """Plays at the speed of then: faster, it would be a clock that runs fast, which no engine can follow."""

    Options: ClassVar[type[BaseModel]] = ReplayOptions

    def __init__(self, options: ReplayOptions) -> None:
        self._options = options

    async def run(self, context: Context) -> None:
        await keep_open(context, partial(self._play, context))

    async def _play(self, context: Context, report: Reporter) -> None:
        path = self._options.device
        try:
            with open_regular(path) as file:
                chunks = parse_recording(file.readline)
                first = next(chunks)
                report(connected=True, detail=f"REPLAY of {path}, recorded {_date(first.at)}; {self._role()}")
                await self._perform(first, chunks, context)
        except OSError as error:
            raise DeviceError(f"{path} cannot be read: {error.strerror}") from error
        except WireError as error:
            raise DeviceError(f"{path}:{error}") from error
        if not self._options.loop:
            report(connected=False, detail=f"REPLAY: {path} has come to its end")
            await asyncio.Event().wait()

    async def _perform(self, first: Chunk, others: Iterator[Chunk], context: Context) -> None:
        """Let the chunks come when they are due: a whole number of seconds after they came first.

        The first are due already, less than a second ago, and are stamped so.
        """
        begun, now = asyncio.get_running_loop().time(), context.now()
        moved_ns = (now - first.at) // NS_PER_SECOND * NS_PER_SECOND
        renamed_ns = moved_ns if self._options.as_of == "now" else 0
        assembler = self._options.assemble()
        for chunk in chain([first], others):
            due = begun + seconds(chunk.at + moved_ns - now)
            await self._be_silent(assembler, due, renamed_ns, context)
            await _until(due)
            # By the clock of the host as it is now: it may have been set or steered meanwhile.
            late_ns = nanoseconds(asyncio.get_running_loop().time() - due)
            events = assembler.feed(chunk.data, HostNs(context.now() - late_ns), MonoNs(nanoseconds(due)))
            _tell(events, renamed_ns, context)
        await self._be_silent(assembler, math.inf, renamed_ns, context)

    async def _be_silent(self, assembler: Assembler, until: float, renamed_ns: int, context: Context) -> None:
        while (deadline := assembler.deadline()) is not None and seconds(deadline) < until:
            await _until(seconds(deadline))
            _tell(assembler.flush(), renamed_ns, context)

    def _role(self) -> str:
        return "PRETENDS to be a receiver: let no client use it" if self._options.pretend else WATCHED_ONLY


def _tell(events: Iterable[Event], renamed_ns: int, context: Context) -> None:
    for event in events:
        deliver(_renamed(event, renamed_ns), context)


def _renamed(event: Event, renamed_ns: int) -> Event:
    """An event of then as one of now; a leap second that was announced then is none of now."""
    match event:
        case TimeMessage() if renamed_ns:
            return replace(event, second=WallNs(event.second + renamed_ns), leap=None)
        case PulseCorrection():
            return replace(event, second=WallNs(event.second + renamed_ns))
    return event


async def _until(due: float) -> None:
    """The event loop's clock is the host's monotonic one."""
    await asyncio.sleep(due - asyncio.get_running_loop().time())


def _date(at: HostNs) -> str:
    return str(date_of(at))
