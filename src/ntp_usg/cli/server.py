"""The program `ntp_usg_server`: catches signals first, then loads the command, which takes a second or more."""

from ntp_usg.daemon.signals import Signals


def app() -> None:
    """Run the command line of `serve`; no signal kills the process before its handlers are there, or at its end."""
    signals = Signals()
    signals.catch()
    from ntp_usg.cli import serve  # noqa: PLC0415 - see above

    try:
        serve.app(obj=signals)
    finally:
        signals.ignore()
