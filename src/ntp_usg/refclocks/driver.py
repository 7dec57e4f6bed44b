"""The contract between a reference clock driver and the daemon, and what all drivers share."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from importlib.metadata import entry_points
from typing import Annotated, Any, ClassVar, NoReturn, Protocol

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, FiniteFloat, model_validator

from ntp_usg.core.base.aliases import Alias, absent, exponent, precision
from ntp_usg.core.base.durations import read_intervals
from ntp_usg.core.base.errors import DeviceError
from ntp_usg.core.base.instants import HostNs
from ntp_usg.core.base.samples import DeviceStatus, Fix, Measurement, Pulse, PulseCorrection, Reception, TimeMessage
from ntp_usg.core.base.verdicts import Verdict
from ntp_usg.core.engine.settings import SourceSettings

ENTRY_POINTS = "ntp_usg.refclocks"
"""The entry point group through which drivers are found: ours and those of others."""

REOPEN_SECONDS = 1.0


class Context(Protocol):
    """Where a driver reports what it observes. It neither pairs, filters, numbers seconds nor steers."""

    def message(self, message: TimeMessage) -> None: ...
    def pulse(self, pulse: Pulse) -> None: ...
    def fix(self, fix: Fix) -> None: ...
    def status(self, status: DeviceStatus) -> None: ...
    def correction(self, correction: PulseCorrection) -> None: ...
    def reception(self, reception: Reception) -> None: ...
    def sample(self, measurement: Measurement) -> None: ...
    def verdict(self, verdict: Verdict) -> None: ...
    def now(self) -> HostNs: ...


def _reference_id(text: str) -> str:
    text = text.rstrip("\0")
    if not (1 <= len(text) <= 4 and text.isascii() and text.isprintable()):
        raise ValueError("a reference id has 1 to 4 printable ASCII characters")
    return text


ReferenceId = Annotated[str, AfterValidator(_reference_id)]
"""RFC 5905 figure 12. Written with trailing NULs, as the wire pads it, it means the same."""


class DriverOptions(BaseModel):
    """What every driver of a device can be told; the keys of its table in the configuration."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    ALIASES: ClassVar[Mapping[str, Alias]] = {
        "offset": Alias("offset_secs"),
        "time1": Alias("offset_secs"),
        "time2": absent("this driver knows one offset only: write `offset_secs`"),
        "refid": Alias("reference_id"),
        "accuracy": Alias("accuracy_secs"),
        "precision": precision("accuracy_secs"),
        "delay": absent("write half of it as `accuracy_secs`: how far its time may be off"),
        "lock": absent("not needed: whatever tells seconds numbers the pulses of every line"),
        "filter": Alias("filter_length"),
        "poll": exponent("poll_interval_secs"),
        "minpoll": exponent("poll_interval_secs"),
        "maxpoll": absent("a reference clock has one poll interval: write `poll_interval_secs`"),
        **{f"flag{number}": absent("means nothing to this driver") for number in range(1, 5)},
    }
    """The names that ntpd (`server` and `fudge` of its driver for such devices) and chrony (`refclock`) have for keys.

    All of them count an offset as we do: positive where the news come late.
    """

    device: str
    """Where the device is: the path of a serial line, a pulse line or a socket."""
    reference_id: ReferenceId
    """What clients see as the reference at stratum 1: 1 to 4 characters, as in `ntpq -p`."""
    timeout_secs: Annotated[FiniteFloat, Field(gt=0)]
    """After this time without news the device counts as lost, and is opened again."""
    offset_secs: FiniteFloat = 0.0
    """How late the device's news arrive, steadily: the engine takes it off. Positive = late."""
    unit: Annotated[int, Field(ge=0, le=255)] = 0
    """Its number among the clocks of its kind, as `ntpq -p` shows it; of several tables the second has 1, and so on."""
    stratum: Annotated[int, Field(ge=0, le=14)] = 0
    """What the clock itself counts as: we are one more. Above 0 for a clock that is none of the best."""
    poll_interval_secs: Annotated[int, Field(ge=1, le=1024)] = 1
    """Seconds that each bit of `reach` stands for; measurements are taken as they come."""
    filter_length: Annotated[int, Field(ge=1, le=64)] = 1
    """Number of measurements that make one: the mean of those in the middle. 1 = no filter."""
    prefer: bool = False
    """Of sources that agree, follow this one."""
    trust: bool = False
    """Never count this source as a falseticker because others outvote it."""
    require: bool = False
    """Set the clock only while this source, or another one that is required, agrees."""
    noselect: bool = False
    """Watch this source, but never follow it."""

    @model_validator(mode="before")
    @classmethod
    def _with_units(cls, values: Any) -> Any:  # noqa: ANN401 - input of any type, as pydantic hands it over
        return read_intervals(values)

    def source(self) -> SourceSettings:
        """What the engine must know of the device."""
        raise NotImplementedError

    @property
    def occupies(self) -> str:
        """What no other table of the configuration may use too."""
        return self.device

    def numbered(self, name: str) -> str:
        """A name as ntpq prints it."""
        return f"{name}({self.unit})"

    def shared(self) -> dict[str, Any]:
        """The part of `source` that is the same for all devices."""
        return {
            "device": self.device,
            "reference_id": self.reference_id.encode("ascii"),
            "unit": self.unit,
            "stratum": self.stratum,
            "poll_interval": self.poll_interval_secs,
            "filter_length": self.filter_length,
            "timeout": self.timeout_secs,
            "prefer": self.prefer,
            "trust": self.trust,
            "require": self.require,
            "noselect": self.noselect,
        }


class Driver(Protocol):
    """One reference clock; `Options` is the model of its configuration, one of which it is built with."""

    Options: ClassVar[type[BaseModel]]

    def __init__(self, options: Any) -> None: ...  # noqa: ANN401 - each driver takes its own Options

    async def run(self, context: Context) -> None:
        """Observe until cancelled; a device that is missing or lost is a status, not an exception."""


class Reporter:
    """Tells a context of a device's state when it changes, and only then.

    A state that flaps is news a few times, and then once in a while: its latest change is told in the end.
    """

    BURST = 6
    """So many changes are news at once."""
    INTERVAL = 60.0
    """Then one in so many seconds."""

    def __init__(self, context: Context, clock: Callable[[], float] = time.monotonic) -> None:
        self._context = context
        self._clock = clock
        self._last: DeviceStatus | None = None
        self._credit, self._at = float(self.BURST), clock()
        self._withheld = 0

    def __call__(self, *, connected: bool, detail: str, identity: str = "") -> None:
        status = DeviceStatus(connected, detail, identity)
        has_changed = status != self._last
        if not has_changed and not self._withheld:
            return
        is_news = self._may_tell()
        if has_changed or is_news:
            self._last = status
            # The last of those held back is the one that is told.
            changes = self._withheld + has_changed
            remark = f" (changed {changes} times meanwhile)" if is_news and self._withheld else ""
            self._withheld = 0 if is_news else changes
            self._context.status(replace(status, detail=status.detail + remark, is_news=is_news))

    def _may_tell(self) -> bool:
        now = self._clock()
        self._credit = min(self._credit + (now - self._at) / self.INTERVAL, self.BURST)
        self._at = now
        if self._credit < 1:
            return False
        self._credit -= 1
        return True


async def keep_open(context: Context, session: Callable[[Reporter], Awaitable[None]]) -> NoReturn:
    """Run a device's session, and again whenever it ends in a DeviceError; the session reports when it is connected."""
    report = Reporter(context)
    while True:
        try:
            await session(report)
        except DeviceError as error:
            report(connected=False, detail=str(error))
        await asyncio.sleep(REOPEN_SECONDS)


def load_drivers() -> dict[str, type[Driver]]:
    """Every installed driver by the name of its configuration table; raises DeviceError for one that is broken."""
    drivers = {}
    for entry in entry_points(group=ENTRY_POINTS):
        try:
            drivers[entry.name] = entry.load()
        except Exception as error:  # a third party's module may fail in any way
            raise DeviceError(f"reference clock {entry.name}: its driver {entry.value} fails: {error!r}") from error
    return drivers
