"""`ntp_usg gps monitor`: what a receiver says, as people want to see it who have just wired one."""

import asyncio
import contextlib
import json
import time
from typing import Annotated

import typer
from rich.console import Console
from rich.live import Live

from ntp_usg.cli.gps_portrait import Portrait, describe_fix, latency, spell
from ntp_usg.cli.gps_recording import EX_UNAVAILABLE, BaudRate, Device, Duration
from ntp_usg.core.base.errors import DeviceError
from ntp_usg.core.base.instants import HostNs, MonoNs
from ntp_usg.core.base.samples import Pulse, TimeMessage
from ntp_usg.core.receivers.pulses import CaptureMode, EdgePicker
from ntp_usg.refclocks.pulse_sources import PulseWiring
from ntp_usg.refclocks.receiver import listening_options, receiver_drivers
from ntp_usg.refclocks.serial_line import SerialLine

REFRESH_INTERVAL = 0.25
DOCUMENT_INTERVAL = 1.0


class Presentation:
    """How the portrait reaches people or programs: a live picture, lines, or documents."""

    def __init__(self, portrait: Portrait, *, as_json: bool) -> None:
        self.portrait = portrait
        self.console = Console(highlight=False)
        self._as_json = as_json
        self._is_live = self.console.is_terminal and not as_json
        self.live = Live(console=self.console, auto_refresh=False) if self._is_live else None
        self._due = time.monotonic()

    def show(self, times: list[TimeMessage]) -> None:
        """Bring it up to date, after the times that have just come."""
        if not self._is_live and not self._as_json:
            for each in times:
                self.console.print(f"{spell(each)} {latency(each):+.3f} s {describe_fix(each.fix)}", soft_wrap=True)
        elif time.monotonic() >= self._due:
            self._due += DOCUMENT_INTERVAL if self._as_json else REFRESH_INTERVAL
            if self.live:
                self.live.update(self.portrait.picture(_now()), refresh=True)
            else:
                typer.echo(json.dumps(self.portrait.document(_now())))

    def end(self) -> None:
        """The whole picture, where it was not there all the time."""
        if not self._is_live and not self._as_json:
            self.console.print(self.portrait.picture(_now(), unicode=self.console.encoding.startswith("utf")))


def monitor(
    device: Device,
    *,
    baud_rate: BaudRate = 9600,
    protocol: Annotated[
        str, typer.Option(metavar="TABLE", help="What it speaks: gps (NMEA), ubx, tsip, oncore or meinberg.")
    ] = "gps",
    pps: Annotated[
        str | None, typer.Option(metavar="PATH", help="Its pulses, such as /dev/pps0, to be shown too.")
    ] = None,
    duration: Duration = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document a second, each on a line.")] = False,
) -> None:
    """Show a receiver's time, fix, satellites, troubles and sentences, until Ctrl-C. Nothing is said to the receiver.

    Where the output is no terminal it is a line for each time, and the whole picture at the end.

    The latency is negative, or beyond a second, where this machine's clock is wrong.

    Exit code: 0 when a time with a fix came, 1 when none did, 69 when the line cannot be used or has gone.
    """
    drivers = receiver_drivers()
    if protocol not in drivers:
        raise typer.BadParameter(f"must be one of {', '.join(sorted(drivers))}", param_hint="--protocol")
    driver = drivers[protocol]
    portrait = Portrait(device, baud_rate, driver.protocol, driver(listening_options(protocol, device)).assemble())
    presentation = Presentation(portrait, as_json=as_json)
    try:
        with (
            SerialLine(device, baud_rate, lambda: HostNs(time.time_ns())) as line,
            contextlib.suppress(KeyboardInterrupt, TimeoutError),
        ):
            asyncio.run(_watch(line, presentation, pps, duration))
    except DeviceError as error:
        typer.echo(f"ntp_usg gps monitor: {error}", err=True)
        raise typer.Exit(EX_UNAVAILABLE) from None
    presentation.end()
    raise typer.Exit(0 if portrait.synchronisable else 1)


async def _watch(line: SerialLine, presentation: Presentation, pps: str | None, duration: float | None) -> None:
    portrait = presentation.portrait
    with presentation.live or contextlib.nullcontext():
        async with asyncio.timeout(duration):
            pulses = asyncio.create_task(_watch_pulses(pps, portrait)) if pps else None
            while True:
                try:
                    async with asyncio.timeout(REFRESH_INTERVAL):
                        data, received_at = await line.read()
                    times = portrait.feed(data, received_at, _now())
                except TimeoutError:
                    times = portrait.pause(_now())
                presentation.show(times)
                if pulses and pulses.done():
                    await pulses  # what went wrong with them ends it


async def _watch_pulses(device: str, portrait: Portrait) -> None:
    with contextlib.closing(await PulseWiring(device).open(None)) as source:
        picker = EdgePicker(CaptureMode.BOTH, *await source.latest())
        while True:
            if isinstance(pulse := picker.receive(*await source.fetch()), Pulse):
                portrait.pulse(pulse.edge_at)


def _now() -> MonoNs:
    return MonoNs(time.monotonic_ns())
