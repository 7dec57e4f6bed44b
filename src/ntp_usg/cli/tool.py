"""The program `ntp_usg`: loads the command, which takes a second; Ctrl-C meanwhile ends it without a traceback."""

import signal


def app() -> None:
    """Run the command line of `main`."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    from ntp_usg.cli import main  # noqa: PLC0415 - see above

    signal.signal(signal.SIGINT, signal.default_int_handler)
    main.app()
