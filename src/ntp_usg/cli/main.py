"""`ntp_usg`: the tool for people. Each command is a function in a file of its own."""

from typing import Annotated

import typer

from ntp_usg import __version__
from ntp_usg.cli.application import Application
from ntp_usg.cli.clients import clients
from ntp_usg.cli.demo import demo
from ntp_usg.cli.doctor import doctor
from ntp_usg.cli.explain import explain
from ntp_usg.cli.gps_calibrate import calibrate
from ntp_usg.cli.gps_monitor import monitor
from ntp_usg.cli.gps_recording import record, replay
from ntp_usg.cli.pps import pps_test
from ntp_usg.cli.query import query
from ntp_usg.cli.simulate import simulate
from ntp_usg.cli.status import status

EPILOG = """
Examples:\n
  ntp_usg clients --by hits\n
  ntp_usg demo\n
  ntp_usg doctor\n
  ntp_usg explain 'PPS(0)'\n
  ntp_usg gps calibrate /dev/ttyAMA0 --pps /dev/pps0\n
  ntp_usg gps monitor /dev/ttyAMA0\n
  ntp_usg pps test /dev/pps0\n
  ntp_usg query 127.0.0.1:11123 [::1]:11123\n
  ntp_usg query --ntpdate time.example.net\n
  ntp_usg status --watch\n
  ntp_usg simulate docs/scenarios/network.toml --picture network.png\n
The daemon itself is ntp_usg_server; `ntp_usg COMMAND --help` has more on each command.
"""

app = Application(
    name="ntp_usg",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:  # noqa: FBT001 - typer calls it so
    if wanted:
        typer.echo(f"ntp_usg {__version__}")
        raise typer.Exit


@app.callback(epilog=EPILOG)
def main(
    *,
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and stop.")
    ] = False,
) -> None:
    """Ask NTP servers for the time, look into the one on this machine, and try its receivers."""


pps = typer.Typer(no_args_is_help=True)
pps.command("test")(pps_test)

gps = typer.Typer(no_args_is_help=True)
gps.command()(calibrate)
gps.command()(monitor)
gps.command()(record)
gps.command()(replay)

app.command()(clients)
app.command()(demo)
app.command()(doctor)
app.command()(explain)
app.add_typer(gps, name="gps", help="Look at a receiver's serial line; no other program may have it open.")
app.add_typer(pps, name="pps", help="Look at a pulse line.")
app.command()(query)
app.command()(simulate)
app.command()(status)
