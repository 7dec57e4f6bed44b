"""What every command shares: output in whole lines, and one line instead of a traceback where it cannot be written."""

import contextlib
import errno
import os
import sys
from typing import Any

import typer
from rich.console import Console, RenderableType

EX_IO_ERROR = 74
"""sysexits.h: the output cannot be written."""
_OUTPUT_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EPIPE, errno.EBADF}
_WHOLE_LINES = 10_000
"""Columns: more than any line has."""
_NARROW = 70
"""Columns: with fewer, cells of our tables would be cut off."""


class Application(typer.Typer):
    """A command line that survives closed standard streams, a full disk and a reader that has gone."""

    def __call__(self, *arguments: Any, **options: Any) -> Any:  # noqa: ANN401 - as typer has it
        """Run the command that was given; raises SystemExit with its exit code."""
        open_standard_streams()
        try:
            try:
                return super().__call__(*arguments, **options)
            finally:
                sys.stdout.flush()
        except OSError as error:
            if error.errno not in _OUTPUT_ERRORS:
                raise
            _discard_output()
            if error.errno != errno.EPIPE:  # who closes a pipe knows it
                name = self.info.name or "ntp_usg_server"
                with contextlib.suppress(OSError):
                    typer.echo(f"{name}: the output cannot be written: {error.strerror}", err=True)
            raise SystemExit(EX_IO_ERROR) from None


def open_standard_streams() -> None:
    """Open what we were started without: else the next file or socket would take its number, and our words."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(descriptor)
    sys.stdin = sys.stdin or open(0, encoding="utf-8")  # noqa: SIM115 - open as long as the program runs
    sys.stdout = sys.stdout or open(1, "w", encoding="utf-8")  # noqa: SIM115
    sys.stderr = sys.stderr or open(2, "w", encoding="utf-8")  # noqa: SIM115


def _discard_output() -> None:
    """What is still in the buffer would fail again when the interpreter ends."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.close(null)


def print_report(*parts: RenderableType) -> None:
    """Show tables and texts one below the other. Lines of text stay whole, so that they can be searched and copied.

    Tables fit the terminal; in pipes, and in terminals too narrow for them, they stay whole as well.
    """
    console = Console(highlight=False)
    if not console.is_terminal or console.width < _NARROW:
        console.width = _WHOLE_LINES
    console.print(*parts, sep="\n", soft_wrap=True, markup=False)
