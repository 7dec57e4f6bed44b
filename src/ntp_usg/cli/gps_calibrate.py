"""`ntp_usg gps calibrate`: how late a receiver's messages come, by its own pulses, for the days without pulses."""

import asyncio
import contextlib
import json
import logging
import secrets
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from ntp_usg.cli.gps_recording import EX_UNAVAILABLE, Duration
from ntp_usg.clocks.virtual import VirtualClock
from ntp_usg.config.loader import DEFAULT_PATH, load_settings
from ntp_usg.config.models import kind
from ntp_usg.core.base.errors import ConfigError, DeviceError
from ntp_usg.core.base.samples import DeviceStatus, MessageLatency
from ntp_usg.core.base.snapshots import LatencyOrigin, SourceSnapshot, SystemSnapshot
from ntp_usg.core.engine.engine import Engine
from ntp_usg.core.engine.receiver import LATE
from ntp_usg.core.engine.settings import EngineSettings
from ntp_usg.daemon.runner import EngineRunner, SourceContext
from ntp_usg.daemon.runner import log as engine_log
from ntp_usg.observe.units import format_interval
from ntp_usg.refclocks.driver import Driver, load_drivers
from ntp_usg.refclocks.pps import PpsDriver, PpsOptions
from ntp_usg.refclocks.receiver import ReceiverOptions, receiver_drivers

ENOUGH = 60
"""Messages at the least, and `is_good` says what else."""
LONGEST = 900.0
"""Seconds after which it ends without having become good."""
REFRESH_INTERVAL = 0.5
MOST_NOTES = 5
_WHOLE = 0.5
"""Seconds that this machine's clock may be off before it says something of the number of a second."""


@dataclass(frozen=True)
class Setup:
    """What is calibrated, and by which pulses."""

    table: str
    receiver: ReceiverOptions
    pulses: PpsOptions

    def drivers(self) -> tuple[Driver, Driver]:
        return load_drivers()[self.table](self.receiver), PpsDriver(self.pulses)


class _ReceiverContext(SourceContext):
    """A receiver that cannot be heard at all ends the calibration; one that was heard may come back."""

    _was_heard = False

    def status(self, status: DeviceStatus) -> None:
        if not status.connected and not self._was_heard:
            raise DeviceError(status.detail)
        self._was_heard = True
        super().status(status)


class Calibration:
    """The daemon's own engine, which serves nobody and leaves the host's clock alone, and what it learns."""

    def __init__(self, setup: Setup) -> None:
        self.setup = setup
        self.notes: deque[str] = deque(maxlen=MOST_NOTES)
        self._clock = VirtualClock()
        sources = setup.receiver.source(), setup.pulses.source()
        self._names = [source.name for source in sources]
        settings = EngineSettings(receivers=(sources[0],), pulse_lines=(sources[1],))  # type: ignore[arg-type]
        self._engine = Engine(settings, self._clock, secrets.randbits)

    async def run(self) -> None:
        """Listen until cancelled; raises DeviceError where the receiver cannot be heard."""
        runner = EngineRunner(self._engine, self._clock, lambda: None, lambda _action: None)
        receiver, pulses = self.setup.drivers()
        await asyncio.gather(
            runner.run(),
            receiver.run(_ReceiverContext(runner, self._clock, self._names[0])),
            pulses.run(SourceContext(runner, self._clock, self._names[1])),
        )

    def snapshot(self) -> SystemSnapshot:
        return self._engine.snapshot()


def is_good(source: SourceSnapshot) -> bool:
    """Whether the latency of the part that is timed is known so well that more messages would add little."""
    latency = source.latencies.get(source.timed_part)
    if latency is None or source.latency_origin is not LatencyOrigin.PULSES:
        return False
    return latency.count >= ENOUGH and latency.uncertainty <= max(1e-3, latency.spread / 4)


def warnings(system: SystemSnapshot) -> Iterator[str]:
    """What should make people distrust the figures, or wait before they do not."""
    receiver, line = system.sources
    if not receiver.healthy:
        yield f"{receiver.name}: {receiver.reason}"
    if not line.pulse_rate_hz:
        yield f"no pulses come: {line.reason} Has the receiver a fix, and is its pulse wired to {line.device}?"
    elif abs(line.pulse_rate_hz - 1) > 0.01:
        yield f"{line.pulse_rate_hz:.2f} pulses a second: some are missing, or there is noise on the line"
    if disputed := line.verdicts.get("rejected/numbering_disputed"):
        yield f"{disputed} messages named another second than the pulses: the line is too slow, or messages are lost"
    yield from _late(receiver.latencies.get(receiver.timed_part))
    if system.serving.synchronised and system.host_offset is not None and abs(system.host_offset) >= _WHOLE:
        yield (
            f"the receiver's time is {system.host_offset:+.1f} s from this machine's clock: one of them is wrong. A "
            "receiver that seems a second behind sends its messages more than a second late: say about how late with "
            "offset_secs in the configuration, and begin again without DEVICE"
        )


def _late(latency: MessageLatency | None) -> Iterator[str]:
    if latency is None or latency.median < LATE:
        return
    remedy = "raise the baud rate, or switch off sentences that are not needed"
    if latency.median >= 1:
        yield f"messages come {latency.median:.2f} s late, after the next pulse: say so with offset_secs"
    else:
        yield f"messages come {latency.median:.2f} s late; beyond a second they would number the next pulse: {remedy}"


def picture(calibration: Calibration) -> RenderableType:
    """The table as it stands, and what is to be said of it; 80 columns are enough."""
    system = calibration.snapshot()
    receiver = system.sources[0]
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("part", "messages", "median", "spread", "uncertainty"):
        table.add_column(heading, justify="left" if heading == "part" else "right")
    for part, latency in receiver.latencies.items():
        timed = " *" if part == receiver.timed_part else ""
        figures = (format_interval(each) for each in (latency.median, latency.spread, latency.uncertainty))
        table.add_row(Text(f"{part or 'message'}{timed}"), str(latency.count), *figures)
    state = "good enough" if is_good(receiver) else "not enough yet: numbering the pulses, then a minute of messages"
    lines = [f"{receiver.name} on {receiver.device} by {system.sources[1].name}: {state}"]
    troubles = [*warnings(system), *calibration.notes]
    return Group(Text(lines[0]), "", table, *(Text(f"! {each}", style="yellow") for each in troubles))


def advice(calibration: Calibration) -> Iterator[str]:
    """What to do with the result."""
    setup, receiver = calibration.setup, calibration.snapshot().sources[0]
    latency = receiver.latencies.get(receiver.timed_part)
    if latency is None:
        yield "Nothing was measured: a latency needs messages with a fix, and pulses."
        return
    place = f"[{setup.table}] of server.toml, or {setup.table}.conf beside it"
    yield f"The daemon learns this by itself while it has pulses. To have it without them, put into {place}:\n"
    yield f"offset_secs = {latency.median:.4f}      # {_subject(receiver, latency)}"
    yield f"accuracy_secs = {_bound(latency):.4f}    # 3 times the spread and the uncertainty, at least 1 ms\n"
    yield f"ntpd: time2 {latency.median:.4f} (driver 20; time1 of the others). chrony, for the same device: offset."
    yield f"To check it, let the daemon follow a good server and no [pps]: {receiver.name}'s offset is what is left."
    pulse = setup.pulses.latency()
    yield f"The pulses themselves ({setup.pulses.wiring.kind}): taken to be stamped {pulse}."


def _subject(receiver: SourceSnapshot, latency: MessageLatency) -> str:
    return f"{receiver.timed_part or 'message'}, +- {latency.uncertainty:.4f} (one standard deviation)"


def _bound(latency: MessageLatency) -> float:
    return max(1e-3, latency.bound)


def document(calibration: Calibration) -> dict[str, Any]:
    """The result for programs; intervals in seconds."""
    setup, system = calibration.setup, calibration.snapshot()
    receiver = system.sources[0]
    latency, pulse = receiver.latencies.get(receiver.timed_part), setup.pulses.latency()
    return {
        "good": is_good(receiver),
        "table": setup.table,
        "device": receiver.device,
        "part": receiver.timed_part,
        "offset_secs": latency and latency.median,
        "uncertainty": latency and latency.uncertainty,
        "accuracy_secs": latency and _bound(latency),
        "parts": {part: asdict(each) for part, each in receiver.latencies.items()},
        "pulses": {
            "device": setup.pulses.device,
            "input": setup.pulses.wiring.kind,
            "latency": pulse.mean,
            "uncertainty": pulse.uncertainty,
        },
        "warnings": [*warnings(system), *calibration.notes],
    }


def calibrate(
    device: Annotated[
        str | None, typer.Argument(metavar="[DEVICE]", help="The receiver's serial line; without it, as configured.")
    ] = None,
    *,
    pps: Annotated[str | None, typer.Option(metavar="PATH", help="Its pulses, such as /dev/pps0.")] = None,
    protocol: Annotated[
        str, typer.Option(metavar="TABLE", help="What DEVICE speaks: gps (NMEA), ubx, tsip ...")
    ] = "gps",
    baud_rate: Annotated[str, typer.Option("--baud", metavar="RATE", help="Of DEVICE: a number, or auto.")] = "auto",
    config: Annotated[
        Path, typer.Option(metavar="FILE", help="The daemon's configuration, where DEVICE is not given.")
    ] = DEFAULT_PATH,
    duration: Duration = None,
    as_json: Annotated[bool, typer.Option("--json", help="No table, but one JSON document at the end.")] = False,
) -> None:
    """Measure how late each part of a receiver's messages comes after its pulse, and say what to configure.

    Stop the daemon first: the line is opened exclusively. It ends when the result is good, or after 15 minutes.

    The spread is that of single messages, the uncertainty that of their median, both as one standard deviation. A star
    marks the part of the burst that is timed.

    Exit code: 0 good, 1 not enough was measured, 2 wrong use, 69 the receiver cannot be heard.
    """
    setup = _configured(config) if device is None else _given(device, pps, protocol, baud_rate)
    calibration = Calibration(setup)
    console = Console(highlight=False)
    with contextlib.suppress(KeyboardInterrupt), _notes_kept(calibration):
        try:
            asyncio.run(_measure(calibration, None if as_json else console, duration))
        except DeviceError as error:
            typer.echo(f"ntp_usg gps calibrate: {error}", err=True)
            raise typer.Exit(EX_UNAVAILABLE) from None
    if as_json:
        typer.echo(json.dumps(document(calibration), indent=2))
    else:
        if not console.is_terminal:
            console.print(picture(calibration), soft_wrap=True)
        console.print("", *advice(calibration), sep="\n", soft_wrap=True, markup=False)
    raise typer.Exit(0 if is_good(calibration.snapshot().sources[0]) else 1)


async def _measure(calibration: Calibration, console: Console | None, duration: float | None) -> None:
    """Until the result is good, or as long as was asked for."""
    deadline = time.monotonic() + (duration or LONGEST)
    live = Live(console=console, auto_refresh=False) if console and console.is_terminal else None
    listening = asyncio.create_task(calibration.run())
    with live or contextlib.nullcontext():
        while time.monotonic() < deadline and (duration or not is_good(calibration.snapshot().sources[0])):
            done, _ = await asyncio.wait([listening], timeout=REFRESH_INTERVAL)
            if done:
                await listening
            if live:
                live.update(picture(calibration), refresh=True)
    listening.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await listening


@contextlib.contextmanager
def _notes_kept(calibration: Calibration) -> Iterator[None]:
    """What the engine has to say goes under the table, not across it."""

    class Keeper(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            calibration.notes.append(record.getMessage())

    keeper = Keeper(logging.WARNING)
    engine_log.addHandler(keeper)
    engine_log.propagate = False
    try:
        yield
    finally:
        engine_log.propagate = True
        engine_log.removeHandler(keeper)


def _given(device: str, pps: str | None, protocol: str, baud_rate: str) -> Setup:
    drivers = receiver_drivers()
    if protocol not in drivers:
        raise typer.BadParameter(f"must be one of {', '.join(sorted(drivers))}", param_hint="--protocol")
    if pps is None:
        raise typer.BadParameter("is needed: messages are measured against pulses", param_hint="--pps")
    wanted = {"device": device, "baud_rate": int(baud_rate) if baud_rate.isdigit() else baud_rate}
    try:
        receiver = drivers[protocol].Options.model_validate(wanted)
        pulses = PpsOptions(device=pps)
    except ValidationError as error:
        raise typer.BadParameter(error.errors()[0]["msg"]) from None
    assert isinstance(receiver, ReceiverOptions)
    return Setup(protocol, receiver, pulses)


def _configured(path: Path) -> Setup:
    """The daemon's first receiver, and its first pulse line."""
    sections = {name: driver.Options for name, driver in load_drivers().items()}
    try:
        drivers = load_settings(path, sections=sections, required=path != DEFAULT_PATH).drivers
    except ConfigError as error:
        raise typer.BadParameter(str(error), param_hint="--config") from None
    receivers = [(kind(name), each) for name, each in drivers.items() if isinstance(each, ReceiverOptions)]
    pulses = [each for each in drivers.values() if isinstance(each, PpsOptions)]
    if not receivers or not pulses:
        raise typer.BadParameter(f"{path} has no receiver with [pps]: give DEVICE and --pps", param_hint="--config")
    return Setup(*receivers[0], pulses[0])
