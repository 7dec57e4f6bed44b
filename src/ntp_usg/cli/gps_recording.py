"""`ntp_usg gps record` and `ntp_usg gps replay`: what a receiver sends, kept in a file and played again."""

import asyncio
import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, BinaryIO

import typer

from ntp_usg.core.base.errors import DeviceError, WireError
from ntp_usg.core.base.instants import HostNs, seconds
from ntp_usg.core.receivers.recording import Chunk, build_chunk, parse_recording
from ntp_usg.refclocks.serial_line import SerialLine
from ntp_usg.simulate.pseudo_terminal import PseudoTerminal

PAUSE = 0.5
"""Seconds between opening and the first byte, as a program throws away what came before it was ready; and at the end,
for what was sent last to be read before the line hangs up."""
READER_INTERVAL = 0.05
EX_DATA_ERROR = 65
EX_UNAVAILABLE = 69

Device = Annotated[str, typer.Argument(metavar="DEVICE", help="The receiver's serial line, such as /dev/ttyAMA0.")]
BaudRate = Annotated[int, typer.Option("--baud", min=50, max=4_000_000, help="The receiver's baud rate.")]
Duration = Annotated[
    float | None, typer.Option("--for", metavar="SECONDS", min=0.1, help="End after this time, not at Ctrl-C.")
]


def record(
    device: Device,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A new file; one that exists is left alone.")],
    *,
    baud_rate: BaudRate = 9600,
    duration: Duration = None,
) -> None:
    """Write down what a receiver sends, and when, until Ctrl-C.

    The file has one JSON object a line: {"at_ns": NANOSECONDS, "hex": "BYTES"}.

    Exit code: 0, 1 when nothing came, 69 when the line cannot be used or has gone; what came before that is kept.
    """
    # One reading of the wall clock, counted on: a step of it is not the receiver's.
    epoch = time.time_ns() - time.monotonic_ns()
    try:
        with SerialLine(device, baud_rate, lambda: HostNs(epoch + time.monotonic_ns())) as line:
            output = file.open("xb", buffering=0)  # a line is one write, so that a kill tears none
            with output, contextlib.suppress(KeyboardInterrupt, TimeoutError):
                asyncio.run(_record(line, output, duration))
    except DeviceError as error:
        typer.echo(f"ntp_usg gps record: {error}", err=True)
        raise typer.Exit(EX_UNAVAILABLE) from None
    except OSError as error:
        raise typer.BadParameter(f"{file} cannot be written: {error.strerror}") from None
    if not file.stat().st_size:
        typer.echo(f"ntp_usg gps record: nothing came from {device}: is the receiver powered and wired?", err=True)
        raise typer.Exit(1)


async def _record(line: SerialLine, output: BinaryIO, duration: float | None) -> None:
    async with asyncio.timeout(duration):
        while True:
            data, received_at = await line.read()
            output.write(build_chunk(Chunk(received_at, data)))


def replay(
    file: Annotated[Path, typer.Argument(metavar="FILE", exists=True, dir_okay=False, help="A recording.")],
    *,
    link: Annotated[
        Path | None, typer.Option(metavar="PATH", help="Where the line appears; without it, FILE with suffix .tty.")
    ] = None,
) -> None:
    """Play a recording as a serial line of its own, with its original timing.

    It begins when a program opens the line, and hangs up after the last byte. The times in it are those of old.

    Exit code: 0, 65 when the file is no recording, 69 when the line cannot be made.
    """
    link = link or file.with_suffix(".tty")
    if link.exists() and not link.is_symlink():
        raise typer.BadParameter(f"{link} exists and is no link: name another place with --link")
    try:
        with file.open("rb") as source, contextlib.suppress(KeyboardInterrupt):
            asyncio.run(_replay(parse_recording(source.readline), link))
    except WireError as error:
        typer.echo(f"ntp_usg gps replay: {file}:{error}", err=True)
        raise typer.Exit(EX_DATA_ERROR) from None
    except OSError as error:
        typer.echo(f"ntp_usg gps replay: {error}", err=True)
        raise typer.Exit(EX_UNAVAILABLE) from None


async def _replay(chunks: Iterator[Chunk], link: Path) -> None:
    first = next(chunks)
    line = PseudoTerminal(link)
    line.plug_in()
    try:
        typer.echo(f"{link}: plays as soon as a program opens it")
        while not line.has_reader:  # noqa: ASYNC110 - the kernel tells nobody who opens a pty
            await asyncio.sleep(READER_INTERVAL)
        start = time.monotonic() + PAUSE
        await asyncio.sleep(PAUSE)
        line.write(first.data)
        for chunk in chunks:
            await asyncio.sleep(start + seconds(chunk.at - first.at) - time.monotonic())
            line.write(chunk.data)
        await asyncio.sleep(PAUSE)
    finally:
        line.unplug()
