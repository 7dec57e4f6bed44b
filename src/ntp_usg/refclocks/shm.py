"""NTP's shared memory segments, into which gpsd and many others write (ntpd's driver 28)."""

import asyncio
import contextlib
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Annotated, ClassVar, Literal

from pydantic import BaseModel, Field, FiniteFloat

from ntp_usg.core.base.aliases import Alias, absent
from ntp_usg.core.base.errors import DeviceError, WireError
from ntp_usg.core.base.instants import NS_PER_SECOND, HostNs, WallNs
from ntp_usg.core.base.samples import Measurement
from ntp_usg.core.base.verdicts import Verdict
from ntp_usg.core.engine.settings import ClockSettings
from ntp_usg.core.receivers.readings import IMPLAUSIBLE, judge_reading
from ntp_usg.refclocks.driver import Context, DriverOptions, ReferenceId, Reporter, keep_open
from ntp_usg.sysapi.shared_memory import SharedMemory
from ntp_usg.sysapi.users import find_users

KEY = 0x4E545030
"""Of unit 0; the other units follow."""

# struct shmTime: mode, count, the clock's seconds and microseconds, the host's, leap, precision, nsamples, valid, the
# clock's and the host's nanoseconds, reserve. Of programs with a 64-bit time_t, and with a 32-bit one.
_LAYOUTS = {layout.size: layout for layout in (struct.Struct("=2iqi4xq5i2I36x"), struct.Struct("=10i2I32x"))}
_POLL_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Record:
    """What a segment holds. `precision` is an exponent of two, in seconds."""

    count: int
    clock_ns: WallNs
    received_at: HostNs
    leap: int
    precision: int
    valid: bool


def parse_record(data: bytes) -> Record:
    """Read a `struct shmTime` of either layout; raises WireError for a mode or a time that cannot be."""
    mode, count, clock, clock_us, host, host_us, leap, precision, _, valid, clock_ns, host_ns = _LAYOUTS[
        len(data)
    ].unpack(data)
    if mode not in (0, 1):
        raise WireError(f"shared memory of mode {mode}: modes 0 and 1 are known")
    return Record(
        count=count,
        clock_ns=WallNs(clock * NS_PER_SECOND + _fraction_ns(clock_us, clock_ns)),
        received_at=HostNs(host * NS_PER_SECOND + _fraction_ns(host_us, host_ns)),
        leap=leap,
        precision=precision,
        valid=valid != 0,
    )


def _fraction_ns(microseconds: int, ns: int) -> int:
    """Old writers know no nanoseconds and leave anything there: they count where the microseconds agree."""
    if not 0 <= microseconds < 1_000_000:
        raise WireError(f"shared memory with {microseconds} microseconds")
    return ns if ns // 1000 == microseconds else microseconds * 1000


class ShmOptions(DriverOptions):
    """The configuration table [shm]."""

    ALIASES: ClassVar[Mapping[str, Alias]] = {
        **DriverOptions.ALIASES,
        "time2": absent("there is no limit to what a segment may tell; [clock] `panic` bounds what the clock may do"),
        "flag1": absent("there is no limit that could be lifted: leave it out"),
        "flag4": absent("no statistics are written to files: /metrics and `ntp_usg status` have them"),
    }
    """Of ntpd's driver 28 and chrony's SHM."""

    device: Literal["shared memory"] = "shared memory"
    unit: Annotated[int, Field(ge=0, le=255)] = 0
    """gpsd writes a receiver's messages to an even unit, and its pulses to the next."""
    reference_id: ReferenceId = "SHM"
    timeout_secs: Annotated[FiniteFloat, Field(gt=0)] = 10.0
    owner: Annotated[str, Field(min_length=1)] | None = None
    """The user whose program writes the segment, besides root and the server's own user: whoever writes it sets the
    clock."""
    accuracy_secs: Annotated[FiniteFloat, Field(gt=0)] = 0.5
    """How far its time may be off, once `offset_secs` is taken off: 0.5 suits gpsd's messages; for pulses 0.00001."""

    @property
    def occupies(self) -> str:
        return f"segment {self.unit}"

    def source(self) -> ClockSettings:
        return ClockSettings(
            name=self.numbered("SHM"),
            driver="shm",
            accuracy=self.accuracy_secs,
            offset=self.offset_secs,
            **self.shared(),
        )


class ShmDriver:
    """Looks once a second whether there is a new reading; never writes, so that others may read it too."""

    Options: ClassVar[type[BaseModel]] = ShmOptions

    def __init__(self, options: ShmOptions) -> None:
        self._options = options
        self._seen: tuple[int, HostNs] | None = None

    async def run(self, context: Context) -> None:
        await keep_open(context, partial(self._watch, context))

    async def _watch(self, context: Context, report: Reporter) -> None:
        unit, timeout = self._options.unit, self._options.timeout_secs
        clock = asyncio.get_running_loop().time
        owners = find_users(self._options.owner)
        with contextlib.closing(SharedMemory(KEY + unit, tuple(_LAYOUTS), owners)) as segment:
            caution = ", which every user of this machine may write to" if segment.open_to_all else ""
            lost_at = clock() + timeout
            while clock() < lost_at:
                match self._look(segment, context.now()):
                    case Measurement() as reading:
                        report(connected=True, detail=f"shared memory {KEY + unit:#x}{caution}")
                        context.sample(reading)
                        lost_at = clock() + timeout
                    case Verdict() as verdict:
                        context.verdict(verdict)
                await asyncio.sleep(_POLL_SECONDS)
        # Attached again, because a writer that was started again may have made another segment.
        raise DeviceError(
            f"nothing new for {timeout:g} s: does a program write to {KEY + unit:#x}, and has its receiver a fix?"
        )

    def _look(self, segment: SharedMemory, now: HostNs) -> Measurement | Verdict | None:
        """The reading if it is whole and new: nobody locks a segment, but two copies agree on what was complete."""
        data = segment.read()
        if data != segment.read():
            return None
        try:
            record = parse_record(data)
        except WireError:
            return IMPLAUSIBLE
        identity = (record.count, record.received_at)
        if not record.valid or identity == self._seen:
            return None
        self._seen = identity
        dispersion = 2.0 ** min(max(record.precision, -30), 0)
        offset_ns = record.clock_ns - record.received_at
        return judge_reading(Measurement(record.received_at, offset_ns, dispersion, record.leap), now)
