"""Where pulses come from: the kernel's pulse lines, modem lines of serial ports, or a simulated receiver's socket."""

import asyncio
import contextlib
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal, Protocol

from ntp_usg.core.base.errors import DeviceError, WireError
from ntp_usg.core.base.instants import NS_PER_SECOND, HostNs, MonoNs, seconds
from ntp_usg.core.base.samples import Pulse, PulseEnd
from ntp_usg.core.receivers.edge_hunt import EdgeHunt
from ntp_usg.core.receivers.pulse_latency import PulseInput, is_usb, pulse_input
from ntp_usg.core.receivers.pulses import CaptureMode, EdgeCounter, Edges
from ntp_usg.refclocks.datagram_socket import DatagramSocket
from ntp_usg.sysapi.environment import only_select
from ntp_usg.sysapi.line_discipline import PpsAttachment, driver_of, port_of
from ntp_usg.sysapi.modem_lines import LineName, ModemLine, listen_to_wake, wake
from ntp_usg.sysapi.pps import PpsCapabilities, PpsDevice, PpsInfo
from ntp_usg.sysapi.timex import read_clocks

Capture = Literal["kernel", "wait", "poll"]

_WAIT_SECONDS = 1.5
"""Longer than a second, so that no wait ends between two pulses; short, because the program's end waits for it."""

_POLL_SECONDS = 0.02
_MIDDLE_SECONDS = 0.55, 0.45
"""Before the next edge: when to look which level the line has for the longer part of the time."""
_DATAGRAM = 64
_EARLY_SECONDS = 0.01
"""The event loop wakes to a millisecond or two; a thread sleeps for the rest."""

_UDEV_TRIES, _UDEV_SECONDS = 20, 0.05
"""A new pulse line is root's until udev has given it to whom its rules say."""


class PulseSource(Protocol):
    """A line of pulses; all of it raises DeviceError when the line is gone."""

    async def latest(self) -> Edges:
        """The edges to count from, of any age."""

    async def fetch(self) -> Edges:
        """The edges after the next one has come."""

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class PulseWiring:
    """Where a pulse comes into the machine, and who stamps it."""

    device: str
    line: LineName | None = None
    """The modem line, where `device` is a serial port."""
    capture: Capture = "kernel"

    def __str__(self) -> str:
        if self.line is None:
            return self.device
        return f"{self.device}, {self.line.upper()} by {self.capture}"

    @property
    def kind(self) -> PulseInput:
        """What it is, as far as the system can tell before it is open."""
        if self.device.endswith(".sock") or only_select():
            return PulseInput.SIMULATED
        if self.line is None:
            return pulse_input(driver_of(self.device), port_of(self.device))
        usb = is_usb(str(Path(self.device).resolve()))
        match self.capture:
            case "kernel":
                return PulseInput.USB if usb else PulseInput.SERIAL
            case "wait":
                return PulseInput.USB_WAIT if usb else PulseInput.SERIAL_WAIT
            case "poll":
                return PulseInput.USB_POLL if usb else PulseInput.SERIAL_POLL

    async def open(self, mode: CaptureMode | None) -> PulseSource:
        """Get ready to see edges: those that are captured already, where `mode` is None.

        Raises DeviceError, with a text that says what to do.
        """
        path = Path(self.device)
        if path.suffix == ".sock":
            return SocketPulses(path)
        if self.line is None:
            return KernelPulses(self.device, mode)
        if self.capture == "kernel":
            return await _attach(self.device, mode)
        line = ModemLine(self.device, self.line)
        return WaitedPulses(line) if self.capture == "wait" else PolledPulses(line, mode or CaptureMode.BOTH)


class KernelPulses:
    """/dev/ppsN. Waiting for an edge blocks, so it is done on a thread of its own, if it can be done at all."""

    def __init__(self, path: str, mode: CaptureMode | None, attachment: PpsAttachment | None = None) -> None:
        self._device = PpsDevice(path)
        self._attachment = attachment
        self._mode = mode
        self._feeds_kernel = False
        try:
            can = self._device.capabilities()
            if mode:  # the other edge too, where that can be captured: it shows which of them begins the pulse
                self._capture(mode, can)
            self._last = self._device.fetch(0)
        except DeviceError:
            self._device.close()
            raise
        self._thread: ThreadPoolExecutor | None = None
        if can.can_wait and not only_select():
            self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="pps")

    def _capture(self, mode: CaptureMode, can: PpsCapabilities) -> None:
        """The wanted edge must be captured, the other one where it can be: that takes CAP_SYS_TIME."""
        try:
            self._device.set_mode(
                assert_edge=can.assert_edge or mode is CaptureMode.ASSERT,
                clear_edge=can.clear_edge or mode is CaptureMode.CLEAR,
            )
        except DeviceError:
            if mode is CaptureMode.BOTH:
                raise
            self._device.set_mode(assert_edge=mode is CaptureMode.ASSERT, clear_edge=mode is CaptureMode.CLEAR)

    def feed_kernel(self) -> None:
        """Let the kernel's own discipline have the edges, until this is closed; raises DeviceError with the reason."""
        self._device.bind_kernel("clear" if self._mode is CaptureMode.CLEAR else "assert")
        self._feeds_kernel = True

    async def latest(self) -> Edges:
        return _edges(self._last)

    async def fetch(self) -> Edges:
        while True:
            with contextlib.suppress(TimeoutError):
                info = await self._wait()
                if info != self._last:
                    self._last = info
                    return _edges(info)

    def close(self) -> None:
        if self._thread is None:
            self._close()
        else:
            # Queued behind the wait that may still be going on: a descriptor must not be closed under it.
            self._thread.submit(self._close)
            self._thread.shutdown(wait=False)

    def _close(self) -> None:
        if self._feeds_kernel:
            with contextlib.suppress(DeviceError):  # the line has gone, and the kernel knows
                self._device.bind_kernel(None)
        self._device.close()
        if self._attachment:
            self._attachment.close()

    async def _wait(self) -> PpsInfo:
        if self._thread is None:
            await asyncio.sleep(_POLL_SECONDS)
            return self._device.fetch(0)
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._fetch_news)

    def _fetch_news(self) -> PpsInfo:
        """The kernel waits for edges that are still to come: one that has come meanwhile must be asked for."""
        info = self._device.fetch(0)
        return info if info != self._last else self._device.fetch(_WAIT_SECONDS)


class WaitedPulses:
    """A modem line whose changes a thread waits for, and stamps when it wakes."""

    def __init__(self, line: ModemLine) -> None:
        if only_select():
            line.close()
            raise DeviceError('capture = "wait" needs a thread, which this event loop does without: set it to "poll"')
        self._line = line
        self._counter = EdgeCounter(active=line.active())
        self._news = asyncio.Event()
        self._failure: DeviceError | None = None
        self._closing = False
        self._loop = asyncio.get_running_loop()
        listen_to_wake()
        self._thread = threading.Thread(target=self._watch, name="pps", daemon=True)
        self._thread.start()

    async def latest(self) -> Edges:
        return self._counter.edges

    async def fetch(self) -> Edges:
        await self._news.wait()
        self._news.clear()
        if self._failure:
            raise self._failure
        return self._counter.edges

    def close(self) -> None:
        self._closing = True
        if wake(self._thread):
            self._line.close()  # else it waits on, as a daemon thread may, and the port stays open under it

    def _watch(self) -> None:
        while not self._closing:
            try:
                if self._line.wait():
                    self._counter.changed(HostNs(time.time_ns()), active=self._line.active())
            except DeviceError as error:
                self._failure, self._closing = error, True
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody wants to know any more
                self._loop.call_soon_threadsafe(self._news.set)


class PolledPulses:
    """A modem line that is looked at, closely and for a moment, when a pulse is due: nothing has to wake up for it."""

    def __init__(self, line: ModemLine, mode: CaptureMode) -> None:
        self._line = line
        self._mode = mode
        self._rising = mode is not CaptureMode.CLEAR
        self._end = PulseEnd.UNKNOWN
        self._edges = Edges()
        self.hunt = EdgeHunt()
        self._thread = None if only_select() else ThreadPoolExecutor(max_workers=1, thread_name_prefix="pps")

    async def latest(self) -> Edges:
        return self._edges

    async def fetch(self) -> Edges:
        await self._see_end()
        while not await self._look():
            pass
        return self._edges

    def close(self) -> None:
        if self._thread is None:
            self._line.close()
        else:
            self._thread.submit(self._line.close)
            self._thread.shutdown(wait=False)

    async def _see_end(self) -> None:
        """Look at the line before and after the middle between two edges, to see which level lasts longer."""
        due = self.hunt.due
        if due is None:
            return
        kept = []
        for ahead in _MIDDLE_SECONDS:
            left = seconds(due - time.monotonic_ns()) - ahead
            if left < 0:
                return  # held up: the middle has passed
            await asyncio.sleep(left)
            active = await asyncio.get_running_loop().run_in_executor(self._thread, self._line.active)
            kept.append(active is self._rising)
        self._end = PulseEnd.END if all(kept) else PulseEnd.EVEN if any(kept) else PulseEnd.BEGIN
        if self._mode is CaptureMode.BOTH and self._end is PulseEnd.END:
            self._rising, self._end, self.hunt = not self._rising, PulseEnd.UNKNOWN, EdgeHunt()

    async def _look(self) -> bool:
        watch = self.hunt.watch(MonoNs(time.monotonic_ns()))
        await asyncio.sleep(max(0.0, (watch.begin - time.monotonic_ns()) / NS_PER_SECOND - _EARLY_SECONDS))
        find = partial(self._line.find_edge, watch, rising=self._rising)
        bracket = await asyncio.get_running_loop().run_in_executor(self._thread, find)
        if bracket is None or not self.hunt.found(bracket):
            return False
        host, mono = read_clocks()  # the two are slewed alike
        at = HostNs(host - (mono - bracket.centre))
        edge = Pulse(at, 0, bracket.half_width, self._end)
        self._edges = self._edges.then(edge, asserts=self._rising, clears=not self._rising)
        return True


class SocketPulses:
    """A unix datagram socket, to which a simulated receiver sends the records that a kernel would give."""

    def __init__(self, path: Path) -> None:
        self._socket = DatagramSocket(path, "pulses")

    async def latest(self) -> Edges:
        return await self.fetch()

    async def fetch(self) -> Edges:
        while True:
            with contextlib.suppress(WireError):
                return _edges(PpsInfo.unpack(await self._socket.receive(_DATAGRAM)))

    def close(self) -> None:
        self._socket.close()


async def _attach(port: str, mode: CaptureMode | None) -> KernelPulses:
    """The pulse line that the kernel makes of a serial port."""
    attachment = PpsAttachment(port)
    try:
        for _ in range(_UDEV_TRIES):
            with contextlib.suppress(DeviceError):
                return KernelPulses(attachment.device, mode, attachment)
            await asyncio.sleep(_UDEV_SECONDS)
        return KernelPulses(attachment.device, mode, attachment)
    except BaseException:
        attachment.close()
        raise


def _edges(info: PpsInfo) -> Edges:
    return Edges(Pulse(info.assert_ns, info.assert_sequence), Pulse(info.clear_ns, info.clear_sequence))
