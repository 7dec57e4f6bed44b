"""The near end of a serial line that is not there: programs open its path as they would open a tty."""

import contextlib
import os
import select
import tty
from pathlib import Path

_CHUNK = 4096


class PseudoTerminal:
    """A pseudo-terminal behind the stable path `link`; unplugged until `plug_in`."""

    def __init__(self, link: Path) -> None:
        self._link = link
        self._line: int | None = None

    def plug_in(self) -> None:
        """Be there, under the same path as before."""
        if self._line is not None:
            return
        self._line, far_end = os.openpty()
        os.set_blocking(self._line, False)
        tty.setraw(far_end)
        fresh = self._link.with_name(self._link.name + ".new")
        fresh.unlink(missing_ok=True)
        fresh.symlink_to(os.ttyname(far_end))
        fresh.replace(self._link)
        os.close(far_end)

    def unplug(self) -> None:
        """The line hangs up and its device is gone."""
        if self._line is not None:
            self._link.unlink(missing_ok=True)
            os.close(self._line)
            self._line = None

    @property
    def has_reader(self) -> bool:
        """Whether a program has the far end open."""
        if self._line is None:
            return False
        poll = select.poll()
        poll.register(self._line, select.POLLOUT)
        return not any(event & select.POLLHUP for _, event in poll.poll(0))

    def read(self) -> bytes:
        """What the program at the far end has written since; nothing where there is none."""
        if self._line is None:
            return b""
        try:
            return os.read(self._line, _CHUNK)
        except OSError:  # nothing at present, or nobody
            return b""

    def write(self, data: bytes) -> None:
        """Say something; it is lost where nobody listens."""
        # A wire forgets what nobody hears; a pty would keep it and give a late reader news of long ago.
        if self._line is not None and self.has_reader:
            with contextlib.suppress(BlockingIOError):  # the reader sleeps: a wire keeps nothing for it
                os.write(self._line, data)
