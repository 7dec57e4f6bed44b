"""Pulses, one a second: from the kernel's /dev/ppsN, or from a simulated receiver's socket."""

import asyncio
import contextlib
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Annotated, ClassVar, Protocol

from pydantic import BaseModel, BeforeValidator, Field, FiniteFloat

from ntp_usg.core.base.errors import DeviceError, WireError
from ntp_usg.core.base.samples import Pulse
from ntp_usg.core.base.verdicts import Verdict
from ntp_usg.core.engine.settings import PulseSettings
from ntp_usg.core.receivers.pulses import CaptureMode, EdgePicker
from ntp_usg.refclocks.datagram_socket import DatagramSocket
from ntp_usg.refclocks.driver import Context, DriverOptions, ReferenceId, Reporter, keep_open
from ntp_usg.sysapi.environment import only_select
from ntp_usg.sysapi.pps import PpsDevice, PpsInfo

_WAIT_SECONDS = 1.5
"""Longer than a second, so that no wait ends between two pulses; short, because the program's end waits for it."""

_POLL_SECONDS = 0.02
_DATAGRAM = 64


def _capture_mode(value: object) -> CaptureMode:
    for mode in CaptureMode:
        if isinstance(value, str) and value.lower() == mode.lower():
            return mode
    raise ValueError(f"must be one of {', '.join(CaptureMode)}")


class PpsOptions(DriverOptions):
    """The configuration table [pps]; a `device` that ends in .sock is where a simulated receiver sends its pulses."""

    device: str = "/dev/pps0"
    reference_id: ReferenceId = "PPS"
    timeout_secs: Annotated[FiniteFloat, Field(gt=0)] = 2.0
    capture_mode: Annotated[CaptureMode, BeforeValidator(_capture_mode)] = CaptureMode.ASSERT
    dispersion: Annotated[FiniteFloat, Field(gt=0)] = 1e-6
    """How far one pulse may be off, in seconds."""

    def source(self) -> PulseSettings:
        return PulseSettings(
            name=self.numbered("PPS"), driver="pps", accuracy=self.dispersion, offset=self.offset_secs, **self.shared()
        )


class PulseSource(Protocol):
    """A line of pulses; all of it raises DeviceError when the line is gone."""

    async def latest(self) -> PpsInfo:
        """The record to count from: its edges may be of any age."""

    async def fetch(self) -> PpsInfo:
        """The record after the next edge."""

    def close(self) -> None: ...


class KernelPulses:
    """/dev/ppsN. Waiting for an edge blocks, so it is done on a thread of its own, if it can be done at all."""

    def __init__(self, path: str, mode: CaptureMode | None) -> None:
        self._device = PpsDevice(path)
        try:
            can = self._device.capabilities()
            if mode:
                both = mode is CaptureMode.BOTH
                self._device.set_mode(
                    assert_edge=can.assert_edge if both else mode is CaptureMode.ASSERT,
                    clear_edge=can.clear_edge if both else mode is CaptureMode.CLEAR,
                )
            self._last = self._device.fetch(0)
        except DeviceError:
            self._device.close()
            raise
        self._thread: ThreadPoolExecutor | None = None
        if can.can_wait and not only_select():
            self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="pps")

    async def latest(self) -> PpsInfo:
        return self._last

    async def fetch(self) -> PpsInfo:
        while True:
            with contextlib.suppress(TimeoutError):
                info = await self._wait()
                if info != self._last:
                    self._last = info
                    return info

    def close(self) -> None:
        if self._thread is None:
            self._device.close()
        else:
            # Queued behind the wait that may still be going on: a descriptor must not be closed under it.
            self._thread.submit(self._device.close)
            self._thread.shutdown(wait=False)

    async def _wait(self) -> PpsInfo:
        if self._thread is None:
            await asyncio.sleep(_POLL_SECONDS)
            return self._device.fetch(0)
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._device.fetch, _WAIT_SECONDS)


class SocketPulses:
    """A unix datagram socket, to which a simulated receiver sends the records that a kernel would give."""

    def __init__(self, path: Path) -> None:
        self._socket = DatagramSocket(path, "pulses")

    async def latest(self) -> PpsInfo:
        return await self.fetch()

    async def fetch(self) -> PpsInfo:
        while True:
            with contextlib.suppress(WireError):
                return PpsInfo.unpack(await self._socket.receive(_DATAGRAM))

    def close(self) -> None:
        self._socket.close()


def open_pulses(device: str, mode: CaptureMode | None) -> PulseSource:
    """The source behind a device's path, with the edges that it captures already where `mode` is None.

    Raises DeviceError, with a text that says what to do.
    """
    path = Path(device)
    return SocketPulses(path) if path.suffix == ".sock" else KernelPulses(device, mode)


class PpsDriver:
    """Reports one pulse a second, from a line that may fall silent or go at any time."""

    Options: ClassVar[type[BaseModel]] = PpsOptions

    def __init__(self, options: PpsOptions) -> None:
        self._options = options

    async def run(self, context: Context) -> None:
        await keep_open(context, partial(self._listen, context))

    async def _listen(self, context: Context, report: Reporter) -> None:
        device, mode, timeout = self._options.device, self._options.capture_mode, self._options.timeout_secs
        with contextlib.closing(open_pulses(device, mode)) as source:
            try:
                async with asyncio.timeout(timeout):
                    picker = EdgePicker(mode, *edges(await source.latest()))
                while True:
                    async with asyncio.timeout(timeout):
                        pulse = await self._next_pulse(source, picker, context)
                    report(connected=True, detail=f"{device}, edge: {mode}")
                    context.pulse(pulse)
            except TimeoutError:
                raise DeviceError(f"{device}: no pulse for {timeout:g} s; has the receiver a fix?") from None

    async def _next_pulse(self, source: PulseSource, picker: EdgePicker, context: Context) -> Pulse:
        while True:
            match picker.receive(*edges(await source.fetch())):
                case Pulse() as pulse:
                    return pulse
                case Verdict() as verdict:
                    context.verdict(verdict)


def edges(info: PpsInfo) -> tuple[Pulse, Pulse]:
    """The latest assert edge and the latest clear edge of a record."""
    return Pulse(info.assert_ns, info.assert_sequence), Pulse(info.clear_ns, info.clear_sequence)
