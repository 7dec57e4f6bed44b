"""`ntp_usg doctor`: what this machine offers a time server, and what to do where something is missing."""

import contextlib
import glob
import json
import os
import socket
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from ntp_usg.cli.application import print_report
from ntp_usg.core.base.errors import DeviceError, NtpUsgError
from ntp_usg.core.server.policy import ServerPolicy
from ntp_usg.net.xdp.attachment import open_fast_path
from ntp_usg.sysapi.datagram_batch import DatagramBatch
from ntp_usg.sysapi.phc import find_clock
from ntp_usg.sysapi.privileges import has_capability
from ntp_usg.sysapi.processes import rivals
from ntp_usg.sysapi.timestamping import enable_receive_timestamps, sole_address

NTP_PORT = 123
_UNPRIVILEGED_PORTS = Path("/proc/sys/net/ipv4/ip_unprivileged_port_start")


class Level(StrEnum):
    """How bad it is: WARN = it works, but less well or not everything; FAIL = the server will not do its work."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at."""

    name: str
    level: Level
    found: str
    advice: str = ""
    """What to do, where something can be done."""


def doctor(*, as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False) -> None:
    """Look at what this machine offers a time server: rights, time stamps, pulses, answering within the kernel.

    It changes nothing. Run it as the user and with the rights that the server will have.

    Exit code: 0 nothing stands in the way, 1 something does.
    """
    checks = list(examine())
    if as_json:
        typer.echo(json.dumps([asdict(check) for check in checks], indent=2))
    else:
        print_report(*_lines(checks))
    raise typer.Exit(int(any(check.level is Level.FAIL for check in checks)))


def examine() -> Iterator[Check]:
    """All checks, the most important first."""
    looks: tuple[Callable[[], Check], ...] = (_port, _clock, _rivals, _stamps, _batches, _pulses, _xdp)
    return (look() for look in looks)


def _port() -> Check:
    first_free = int(_UNPRIVILEGED_PORTS.read_text()) if _UNPRIVILEGED_PORTS.exists() else 1024
    if has_capability("CAP_NET_BIND_SERVICE") or first_free <= NTP_PORT:
        return Check("port 123", Level.OK, "may be opened")
    advice = "run as root or with CAP_NET_BIND_SERVICE, or listen on a port from 1024 on"
    return Check("port 123", Level.FAIL, "needs a right that this user lacks", advice)


def _clock() -> Check:
    if has_capability("CAP_SYS_TIME"):
        return Check("system clock", Level.OK, "may be steered")
    advice = "add CAP_SYS_TIME if the server must set the host's clock, too"
    return Check("system clock", Level.WARN, "may not be steered: the virtual clock is served", advice)


def _rivals() -> Check:
    found = rivals()
    if not found:
        return Check("other programs", Level.OK, "none is known to set the clock")
    return Check("other programs", Level.WARN, f"{', '.join(found)} may set the clock", "stop and disable it")


def _stamps() -> Check:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        stamped = enable_receive_timestamps(sock)
    if not stamped:
        return Check("receive stamps", Level.WARN, "the kernel stamps no packets: 50 us worse", "use another kernel")
    return Check("receive stamps", Level.OK, "by the kernel")


def _batches() -> Check:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as sock:
        sock.bind(("127.0.0.1", 0))
        try:
            DatagramBatch(sock, 8, 1472, sole_address(sock)).receive()
        except (OSError, AttributeError) as error:
            return Check("batches", Level.FAIL, f"recvmmsg is not available: {error}", "use Linux with glibc or musl")
    return Check("batches", Level.OK, "many requests are taken and answered at once")


def _pulses() -> Check:
    devices = sorted(glob.glob("/dev/pps*"))  # noqa: PTH207 - as people write them
    usable = [device for device in devices if os.access(device, os.R_OK)]
    if usable:
        return Check("pulses", Level.OK, ", ".join(usable))
    if devices:
        return Check(
            "pulses", Level.WARN, f"{', '.join(devices)} may not be read", "join its group (`ls -l /dev/pps*`)"
        )
    advice = "needed only for a receiver's pulse: see docs/reference/refclocks/pps.md"
    return Check("pulses", Level.WARN, "no /dev/pps*", advice)


def _xdp() -> Check:
    try:
        open_fast_path(ServerPolicy(max_clients=1)).close()
    except NtpUsgError as error:
        return Check("XDP", Level.WARN, str(error), "needed only for hundreds of thousands of requests a second")
    cards = ", ".join(_cards_with_clocks()) or "no card here"
    found = "the kernel accepts the program; a card's driver is tested when it is used"
    return Check("XDP", Level.OK, f"{found}; {cards} has a clock to stamp requests with")


def _cards_with_clocks() -> Iterator[str]:
    for _, name in socket.if_nameindex():
        with contextlib.suppress(DeviceError):
            yield f"{name} ({find_clock(name)})"


def _lines(checks: list[Check]) -> Iterator[Text]:
    """A line for each check, and below it what to do: a table of such texts would be wider than any terminal."""
    colours = {Level.OK: "green", Level.WARN: "yellow", Level.FAIL: "bold red"}
    for check in checks:
        yield Text.assemble((f"{check.level:<4}", colours[check.level]), f"  {check.name:<14}  {check.found}")
        if check.advice:
            yield Text(f"{'':22}-> {check.advice}")
