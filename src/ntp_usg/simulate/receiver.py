"""A receiver that is not there: its bytes come out of a pseudo-terminal, its pulses out of a unix socket."""

import asyncio
import contextlib
import socket
from collections.abc import Callable
from pathlib import Path
from random import Random

from ntp_usg.core.base.instants import NS_PER_SECOND, HostNs, WallNs, nanoseconds, seconds
from ntp_usg.core.base.samples import FixQuality
from ntp_usg.simulate.pseudo_terminal import PseudoTerminal
from ntp_usg.simulate.sawtooth import Sawtooth
from ntp_usg.simulate.sentences import Sky, build_burst
from ntp_usg.simulate.truth import Truth
from ntp_usg.sysapi.pps import PpsInfo

_FIRST_BYTE_SECONDS = 0.080
_FIRST_BYTE_JITTER_SECONDS = 0.004
_PULSE_WIDTH_NS = 100_000_000
_FIFO_BYTES = 16
_BITS_PER_BYTE = 10  # 8N1: with start and stop bit
_LISTEN_SECONDS = 0.01
"""A pseudo-terminal that nobody has open is always readable, with nothing to read: so it is asked now and then."""


class SimulatedReceiver:
    """Runs until cancelled; its state may be changed at any time. `link` is the path of its serial line.

    Pulses go to the socket that a PPS driver has made at `pulses`; while there is none they are lost. `say` makes the
    bytes of each second: NMEA, or another protocol; `hear` gives the answer to bytes that the host has written.
    """

    def __init__(
        self,
        truth: Truth,
        link: Path,
        pulses: Path | None = None,
        *,
        baud_rate: int = 9600,
        pulse_jitter_ns: float = 200.0,
        seed: int = 1,
        sawtooth: Sawtooth | None = None,
        say: Callable[[WallNs, Sky], bytes] = build_burst,
        hear: Callable[[bytes], bytes] | None = None,
    ) -> None:
        self.sky = Sky()
        self._truth = truth
        self._say = say
        self._hear = hear
        self._speaking = asyncio.Lock()
        self._line = PseudoTerminal(link)
        self._pulses = pulses
        self._byte_ns = _BITS_PER_BYTE * NS_PER_SECOND / baud_rate
        self._pulse_jitter_ns = pulse_jitter_ns
        self._sawtooth = sawtooth or Sawtooth(0)
        self._random = Random(seed)  # noqa: S311 - noise, not secrets
        self._quality_with_fix = self.sky.quality
        self._pulsing = True

    async def run(self) -> None:
        """Be plugged in, talk and pulse."""
        self.plug_in()
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._talk())
                if self._hear:
                    tasks.create_task(self._listen(self._hear))
                if self._pulses:
                    tasks.create_task(self._pulse(str(self._pulses)))
        finally:
            self.unplug()

    def lose_fix(self) -> None:
        """The antenna sees nothing; time goes on from the receiver's own clock."""
        if self.sky.quality.rank:
            self._quality_with_fix = self.sky.quality
        self.sky.quality = FixQuality.NO_FIX

    def regain_fix(self) -> None:
        self.sky.quality = self._quality_with_fix

    def unplug(self) -> None:
        """The line hangs up and its device is gone."""
        self._line.unplug()

    def plug_in(self) -> None:
        """Be there, under the same path as before."""
        self._line.plug_in()

    def stop_pulses(self) -> None:
        self._pulsing = False

    def start_pulses(self) -> None:
        self._pulsing = True

    def garbage(self) -> None:
        """Noise on the line."""
        self._line.write(self._random.randbytes(200))

    async def _talk(self) -> None:
        second = self._next_second()
        while True:
            burst = self._say(second, self.sky)
            start = second + nanoseconds(self._random.gauss(_FIRST_BYTE_SECONDS, _FIRST_BYTE_JITTER_SECONDS))
            await self._until(WallNs(start))
            await self._speak(burst)
            # A line too slow for a burst a second leaves out some.
            second = max(WallNs(second + NS_PER_SECOND), self._next_second())

    async def _listen(self, hear: Callable[[bytes], bytes]) -> None:
        while True:
            await asyncio.sleep(_LISTEN_SECONDS)
            if (heard := self._line.read()) and (answer := hear(heard)):
                await self._speak(answer)

    async def _speak(self, data: bytes) -> None:
        """At the speed of the line, and nothing else meanwhile."""
        async with self._speaking:
            start = self._truth.now()
            for position in range(0, len(data), _FIFO_BYTES):
                await self._until(WallNs(start + round(position * self._byte_ns)))
                self._line.write(data[position : position + _FIFO_BYTES])

    async def _pulse(self, path: str) -> None:
        sequence = 0
        clear_at = HostNs(0)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as line:
            while True:
                second = self._next_second()
                await self._until(second)
                if not self._pulsing:
                    continue
                error_ns = round(self._sawtooth.error_ps(second) / 1_000)
                assert_at = HostNs(self._jittered(second) + error_ns)
                _send(line, path, PpsInfo(sequence + 1, sequence, assert_at, clear_at))
                sequence += 1
                await self._until(WallNs(second + _PULSE_WIDTH_NS))
                clear_at = self._jittered(WallNs(second + _PULSE_WIDTH_NS))
                _send(line, path, PpsInfo(sequence, sequence, assert_at, clear_at))

    def _next_second(self) -> WallNs:
        return WallNs((self._truth.now() // NS_PER_SECOND + 1) * NS_PER_SECOND)

    async def _until(self, true: WallNs) -> None:
        await asyncio.sleep(seconds(true - self._truth.now()))

    def _jittered(self, true: WallNs) -> HostNs:
        return HostNs(self._truth.stamp(true) + round(self._random.gauss(0, self._pulse_jitter_ns)))


def _send(line: socket.socket, path: str, info: PpsInfo) -> None:
    with contextlib.suppress(FileNotFoundError, ConnectionRefusedError, BlockingIOError):
        line.sendto(info.pack(), path)
