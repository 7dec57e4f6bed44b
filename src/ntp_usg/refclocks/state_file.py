"""A small file in which a driver keeps what it has learned, over restarts."""

import os
from pathlib import Path

from ntp_usg.core.base.errors import DeviceError

_LONGEST = 65_536


def read_state(path: Path) -> bytes | None:
    """What was kept, its beginning if it is overlong; None where there is nothing yet.

    Raises DeviceError for a file that cannot be read.
    """
    try:
        with path.open("rb") as file:
            return file.read(_LONGEST)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise DeviceError(f"{path} cannot be read: {error.strerror}") from error


def write_state(path: Path, data: bytes) -> None:
    """Keep it, whole or not at all: a loss of power leaves the state before. Raises DeviceError where it cannot be."""
    fresh = path.with_name(path.name + ".new")
    try:
        with fresh.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    except OSError as error:
        raise DeviceError(f"{path} cannot be written: {error.strerror}") from error
