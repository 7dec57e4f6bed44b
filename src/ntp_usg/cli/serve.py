"""The command `ntp_usg_server`: the daemon's command line, with the flags of the deployment guide."""

from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from ntp_usg import __version__
from ntp_usg.cli.application import Application
from ntp_usg.config.explain import explain_settings
from ntp_usg.config.loader import DEFAULT_PATH, load_settings
from ntp_usg.config.models import Settings
from ntp_usg.core.base.errors import ConfigError, NtpUsgError
from ntp_usg.daemon import event_loop
from ntp_usg.daemon.app import Daemon
from ntp_usg.daemon.logs import configure_logging
from ntp_usg.daemon.signals import Signals
from ntp_usg.refclocks.driver import Driver, load_drivers
from ntp_usg.sysapi.privileges import set_process_name

EX_CONFIG = 78
"""sysexits.h: something in the configuration is wrong; restarting will not help."""
EX_UNAVAILABLE = 69

app = Application(
    add_completion=False, rich_markup_mode="rich", context_settings={"help_option_names": ["-h", "--help"]}
)
stderr = Console(stderr=True, highlight=False, soft_wrap=True)

EPILOG = """
Examples:\n
  ntp_usg_server --gps-device /dev/ttyAMA0 --pps-device /dev/pps0\n
  ntp_usg_server --config /etc/ntp_usg/server.toml --check\n
Flags win over server.toml, which wins over gps.conf and pps.conf beside it.\n
SIGHUP reloads access lists, limits and the leap second list.
Exit codes: 0 stopped, 2 wrong flag, 69 a part is unavailable, 78 wrong configuration.
"""


@app.command(epilog=EPILOG)
def main(
    context: typer.Context,
    *,
    listen: Annotated[
        list[str] | None, typer.Option(metavar="ADDRESS:PORT", help="Where to answer; may be given several times.")
    ] = None,
    gps_device: Annotated[str | None, typer.Option(metavar="PATH", help="Serial line of the receiver.")] = None,
    gps_baud: Annotated[int | None, typer.Option(metavar="RATE", help="Its baud rate.")] = None,
    pps_device: Annotated[str | None, typer.Option(metavar="PATH", help="Its pulse, such as /dev/pps0.")] = None,
    stratum: Annotated[
        int | None, typer.Option(metavar="1-15", help="Stratum to claim while a source is healthy, never a better one.")
    ] = None,
    enable_interleaved: Annotated[
        bool | None, typer.Option("--enable-interleaved", help="Answer RFC 9769 interleaved requests.")
    ] = None,
    max_clients: Annotated[int | None, typer.Option(metavar="N", help="Number of clients to remember at most.")] = None,
    xdp: Annotated[
        list[str] | None,
        typer.Option(metavar="INTERFACE", help="Answer in the kernel (XDP) on it; may be given several times."),
    ] = None,
    config: Annotated[
        Path | None, typer.Option(metavar="FILE", help=f"Instead of {DEFAULT_PATH}, which may be missing.")
    ] = None,
    check: Annotated[bool, typer.Option("--check", help="Check the configuration, print it and stop.")] = False,
    version: Annotated[bool, typer.Option("--version", help="Print the version and stop.")] = False,
) -> None:
    """Serve Stratum 1 time from a GPS receiver, its PPS pulse, or both."""
    if version:
        typer.echo(f"ntp_usg_server {__version__}")
        return
    flags = {
        "server.listen_addr": listen,
        "gps.device": gps_device,
        "gps.baud_rate": gps_baud,
        "pps.device": pps_device,
        "server.stratum": stratum,
        "server.enable_interleaved": enable_interleaved,
        "server.max_clients": max_clients,
        "server.xdp": xdp,
    }
    overrides = {key: value for key, value in flags.items() if value is not None}
    try:
        drivers = load_drivers()
        sections = {name: driver.Options for name, driver in drivers.items()}
        load = partial(
            load_settings, config or DEFAULT_PATH, sections=sections, overrides=overrides, required=config is not None
        )
        settings = load()
        if check:
            _print_settings(settings)
            return
        _serve(settings, drivers, load, context.obj)
    except ConfigError as error:
        for problem in error.problems:
            stderr.print(str(problem), markup=False)
        raise typer.Exit(EX_CONFIG) from None
    except NtpUsgError as error:
        stderr.print(f"ntp_usg_server: {error}", markup=False)
        raise typer.Exit(EX_UNAVAILABLE) from None


def _serve(settings: Settings, drivers: dict[str, type[Driver]], load: partial[Settings], signals: Signals) -> None:
    configure_logging(settings.log.level)
    set_process_name("ntp_usg_server")
    event_loop.run(_run(settings, drivers, load, signals))


async def _run(settings: Settings, drivers: dict[str, type[Driver]], load: partial[Settings], signals: Signals) -> None:
    await Daemon(settings, drivers, load, signals).run()


def _print_settings(settings: Settings) -> None:
    for line in explain_settings(settings):
        typer.echo(str(line))
    for warning in settings.warnings:
        stderr.print(f"warning: {warning}", markup=False)
