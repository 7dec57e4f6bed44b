"""A small file in which a driver keeps what it has learned, over restarts."""

from pathlib import Path

from ntp_usg.core.base.errors import DeviceError
from ntp_usg.sysapi.state_files import read_trusted, write_whole

_LONGEST = 65_536


def read_state(path: Path) -> bytes | None:
    """What was kept; None where there is nothing yet. Raises DeviceError for a file that cannot be trusted or read."""
    try:
        return read_trusted(path, _LONGEST)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise DeviceError(f"{path} cannot be used: {error.strerror}") from error


def write_state(path: Path, data: bytes) -> None:
    """Keep it, whole or not at all. Raises DeviceError where it cannot be."""
    try:
        write_whole(path, data)
    except OSError as error:
        raise DeviceError(f"{path} cannot be written: {error.strerror}") from error
