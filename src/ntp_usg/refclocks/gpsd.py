"""A receiver that gpsd has: its time, over gpsd's own protocol."""

import asyncio
import contextlib
import ipaddress
import os
import socket
import time
from collections.abc import Mapping
from functools import partial
from typing import Annotated, ClassVar

from pydantic import AfterValidator, BaseModel, Field, FiniteFloat

from ntp_usg.core.base.addresses import numeric_address, parse_endpoint
from ntp_usg.core.base.aliases import Alias, absent
from ntp_usg.core.base.errors import DeviceError, WireError
from ntp_usg.core.base.instants import seconds
from ntp_usg.core.base.samples import Measurement
from ntp_usg.core.base.verdicts import Outcome, Reason, Verdict
from ntp_usg.core.engine.settings import ClockSettings
from ntp_usg.core.receivers.gpsd import (
    HAS_FIX,
    LONGEST_LINE,
    WATCH,
    DeviceReport,
    FixReport,
    TimeReport,
    Version,
    parse_report,
)
from ntp_usg.core.receivers.readings import IMPLAUSIBLE, judge_reading
from ntp_usg.refclocks.driver import Context, DriverOptions, ReferenceId, Reporter, keep_open
from ntp_usg.sysapi.threads import in_own_thread
from ntp_usg.sysapi.users import find_users, user_of_peer

GPSD_PORT = 2947
_NO_FIX = Verdict(Outcome.REJECTED, Reason.NO_FIX)
_WRONG_EDGE = Verdict(Outcome.REJECTED, Reason.WRONG_EDGE)
_SOONEST_SECONDS, _LATEST_SECONDS = -0.05, 0.5
"""A message comes within so many seconds of the pulse that it numbers; else gpsd has taken the end of the pulse."""
_MESSAGE_ACCURACY, _PULSE_ACCURACY = 0.5, 1e-4
"""Messages are late by less than half a second, but on very slow lines. A wider bound would agree with pulses whose end
gpsd takes for their beginning, which are off by most of a second."""


def _endpoint(text: str) -> str:
    parse_endpoint(text, GPSD_PORT)
    return text


class GpsdOptions(DriverOptions):
    """The configuration table [gpsd]; `device` is where gpsd listens."""

    ALIASES: ClassVar[Mapping[str, Alias]] = {
        **DriverOptions.ALIASES,
        "time1": absent("belongs to the pulses: write `offset_secs` in the [[gpsd]] that has `pulse = true`"),
        "time2": absent("belongs to the messages: write `offset_secs` in the [[gpsd]] without `pulse`"),
        "flag1": absent("messages and pulses are two tables: write another [[gpsd]] with `pulse = true`"),
        "flag2": absent("for messages alone leave out the [[gpsd]] that has `pulse = true`"),
        "flag4": absent("no statistics are written to files: /metrics and `ntp_usg status` have them"),
    }
    """Of ntpd's driver 46."""

    device: Annotated[str, AfterValidator(_endpoint)] = "127.0.0.1:2947"
    receiver: str | None = None
    """The path of gpsd's receiver to follow, like /dev/ttyACM0; where absent, the first one heard."""
    owner: Annotated[str, Field(min_length=1)] | None = None
    """The user that gpsd runs as, where it runs on this machine and neither as `gpsd`, nor as root, nor as the server's
    own user: any user may listen at gpsd's port while gpsd does not run."""
    pulse: bool = False
    """Follow the receiver's pulses, of which gpsd must have a line, instead of its messages."""
    reference_id: ReferenceId = "GPSD"
    timeout_secs: Annotated[FiniteFloat, Field(gt=0)] = 10.0
    accuracy_secs: Annotated[FiniteFloat | None, Field(gt=0)] = None
    """How far its time may be off once `offset_secs` is taken off; where absent 0.5, with `pulse` 0.0001."""

    @property
    def occupies(self) -> str:
        return f"{'pulses' if self.pulse else 'messages'} of {self.receiver or 'any receiver'} of gpsd at {self.device}"

    def source(self) -> ClockSettings:
        usual = _PULSE_ACCURACY if self.pulse else _MESSAGE_ACCURACY
        return ClockSettings(
            name=self.numbered("GPSD"),
            driver="gpsd",
            accuracy=self.accuracy_secs or usual,
            offset=self.offset_secs,
            **self.shared(),
        )


class GpsdDriver:
    """Reports the seconds of one receiver of a gpsd that may be gone at any time."""

    Options: ClassVar[type[BaseModel]] = GpsdOptions

    def __init__(self, options: GpsdOptions) -> None:
        self._options = options

    async def run(self, context: Context) -> None:
        await keep_open(context, partial(self._talk, context))

    async def _talk(self, context: Context, report: Reporter) -> None:
        device, timeout = self._options.device, self._options.timeout_secs
        session = Session(self._options, context, report)
        try:
            async with asyncio.timeout(timeout) as patience:
                reader, writer = await _connect(device)
                with contextlib.closing(writer):
                    writer.write(WATCH)
                    while line := await reader.readline():
                        if not session.release:
                            _refuse_strangers(writer, self._options)
                        if session.hear(line):
                            patience.reschedule(asyncio.get_running_loop().time() + timeout)
        except TimeoutError:
            raise DeviceError(f"{device}: {session.complaint} for {timeout:g} s") from None
        except OSError as error:
            number = error.errno or 0  # asyncio's own text repeats the address
            reason = os.strerror(number) if number > 0 else str(error)
            raise DeviceError(f"{device} cannot be reached: is gpsd running? ({reason})") from error
        except ValueError as error:
            raise DeviceError(f"{device} sends lines without an end: that is not gpsd") from error
        raise DeviceError(f"{device} hung up: was gpsd stopped?")


class Session:
    """One conversation with gpsd."""

    def __init__(self, options: GpsdOptions, context: Context, report: Reporter) -> None:
        self._options = options
        self._context = context
        self._report = report
        self._receiver = options.receiver
        self.release = ""
        """Of gpsd, once it has said who it is."""
        self._mode = 0
        self._mode_until = 0.0
        self._message: TimeReport | None = None
        self._contradicted = False

    @property
    def complaint(self) -> str:
        """What is missing."""
        if not self.release:
            return "the program that listens there does not say that it is gpsd"
        if self._mode < HAS_FIX:
            return f"gpsd {self.release} has had no fix from {self._receiver or 'any receiver'}"
        if self._contradicted:
            return (
                f"gpsd {self.release} takes the end of each pulse of {self._receiver}, by its messages: make it 0.1 s"
            )
        return f"gpsd {self.release} has told no {'pulse' if self._options.pulse else 'time'} of {self._receiver}"

    @property
    def _has_fix(self) -> bool:
        """Whether the receiver has a fix: gpsd says so with each position, and what it said once does not last."""
        return self._mode >= HAS_FIX and time.monotonic() < self._mode_until

    def hear(self, line: bytes) -> bool:
        """Take a line in; whether it was a time of use."""
        try:
            match parse_report(line):
                case Version(release):
                    self.release = release
                case FixReport(device, mode) if self._is_ours(device):
                    self._mode, self._mode_until = mode, time.monotonic() + self._options.timeout_secs
                case DeviceReport(device, active=False) if device == self._receiver:
                    self._mode = 0
                    self._report(connected=False, detail=f"gpsd has lost {device}: was the receiver unplugged?")
                case TimeReport() as told if self._is_ours(told.device):
                    if not told.pulse:
                        self._message = told
                    return told.pulse is self._options.pulse and self._measure(told)
        except WireError:
            self._context.verdict(IMPLAUSIBLE)
        return False

    def _measure(self, told: TimeReport) -> bool:
        reading = Measurement(told.host, told.real - told.host, 2.0**told.precision)
        news = judge_reading(reading, self._context.now()) if self._has_fix else _NO_FIX
        self._contradicted = isinstance(news, Measurement) and told.pulse and self._contradicts_messages(told)
        if self._contradicted:
            news = _WRONG_EDGE
        if isinstance(news, Verdict):
            self._context.verdict(news)
            return False
        self._report(connected=True, detail=f"gpsd {self.release} at {self._options.device}, {told.device}")
        self._context.sample(news)
        return True

    def _contradicts_messages(self, pulse: TimeReport) -> bool:
        """Whether the latest message makes no sense by a pulse, of which gpsd shows one edge only."""
        message = self._message
        if message is None or abs(seconds(pulse.host - message.host)) > self._options.timeout_secs:
            return False
        latency = seconds((pulse.real - pulse.host) - (message.real - message.host))
        return not _SOONEST_SECONDS < latency < _LATEST_SECONDS

    def _is_ours(self, device: str) -> bool:
        self._receiver = self._receiver or device
        return device == self._receiver


async def _connect(address: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Connect to the first address of gpsd's host that takes us."""
    host, port = parse_endpoint(address, GPSD_PORT)
    failure = OSError("no address")
    for each in await _addresses(host):
        try:
            return await asyncio.open_connection(each, port, limit=LONGEST_LINE)
        except OSError as error:
            failure = error
    raise failure


async def _addresses(host: str) -> list[str]:
    """Numeric addresses, for which asyncio does not need its threads: it waits for those when the daemon stops."""
    if numeric_address(host):
        return [host]
    work = partial(socket.getaddrinfo, host.encode(), None, type=socket.SOCK_STREAM)
    return [str(where[0]) for *_, where in await in_own_thread(work, f"look-up of {host}")]


def _refuse_strangers(writer: asyncio.StreamWriter, options: GpsdOptions) -> None:
    """Raise DeviceError where a user who is not trusted poses as gpsd on this machine."""
    if not ipaddress.ip_address(writer.get_extra_info("peername")[0].partition("%")[0]).is_loopback:
        return
    trusted = {0, os.geteuid(), *find_users(options.owner)}
    with contextlib.suppress(DeviceError):
        trusted |= find_users("gpsd")
    user = user_of_peer(writer.get_extra_info("socket"))
    if user is None:
        raise DeviceError(f"{options.device} hung up before it was known which user listens there: was gpsd stopped?")
    if user not in trusted:
        raise DeviceError(
            f"{options.device} belongs to user {user}, who is not trusted: set `owner` to that user's name if gpsd "
            "runs as this user"
        )
