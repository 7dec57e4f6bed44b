"""Files that the daemon trusts or keeps: read only if nobody else can have written them, written whole or not at all.

The daemon may be root, and a path of its configuration may lie where others can write (/tmp): there a link, a pipe or a
file of somebody else must neither be believed, nor lead our own writing to another place.
"""

import contextlib
import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO

_OTHERS_WRITE = stat.S_IWOTH
_MOST_LINKS = 8
_NOT_REGULAR = "it is not a regular file"


def open_regular(path: str | os.PathLike[str]) -> BinaryIO:
    """Open a file for reading, without ever waiting for a pipe or a device; raises OSError, with words for people."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, _NOT_REGULAR)
    return os.fdopen(descriptor, "rb")


def read_trusted(path: Path, limit: int) -> bytes:
    """The whole of a small file that only root, we, or the owner of its directory can have written.

    Raises OSError, whose `strerror` says what to do; FileNotFoundError where there is none.
    """
    with open_regular(path) as file:
        status = os.fstat(file.fileno())
        if status.st_uid not in _trusted_owners(path.resolve().parent):
            raise OSError(
                errno.EPERM,
                f"it belongs to user {status.st_uid}, who is not trusted: `chown` it to the user of the server",
            )
        if status.st_mode & _OTHERS_WRITE:
            raise OSError(errno.EPERM, "every user may write to it: run `chmod o-w` on it, and check what it says")
        data = file.read(limit + 1)
    if len(data) > limit:
        raise OSError(errno.EFBIG, f"it is longer than {limit} bytes")
    return data


def write_whole(path: Path, data: bytes, mode: int = 0o644) -> None:
    """Replace a file, whole or not at all, whatever happens to the power meanwhile; its mode stays as it was.

    A link stays a link, and its target is replaced. Raises OSError, whose `strerror` says what to do; then the old file
    is untouched, and nothing is left beside it.
    """
    target = _follow(path)
    fresh = target.with_name(target.name + ".new")
    # Left behind by a kill, or put there by somebody: whatever it is, it is not written to.
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fchmod(file.fileno(), _mode_of(target, mode))
            os.fsync(file.fileno())
        fresh.replace(target)
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise
    _sync_directory(target.parent)


def _follow(path: Path) -> Path:
    """Where the links at a path lead to; a link that others made in a place for everybody is refused."""
    for _ in range(_MOST_LINKS):
        try:
            status = path.lstat()
        except FileNotFoundError:
            return path
        if not stat.S_ISLNK(status.st_mode):
            if not stat.S_ISREG(status.st_mode):
                raise OSError(errno.EINVAL, _NOT_REGULAR)
            return path
        if status.st_uid not in _trusted_owners(path.parent):
            raise OSError(errno.EPERM, f"it is a link that user {status.st_uid} made, who is not trusted: remove it")
        path = path.parent / path.readlink()
    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))


def _trusted_owners(directory: Path) -> set[int]:
    """Root, we, and the owner of the directory, who could replace anything in it."""
    return {0, os.geteuid(), directory.stat().st_uid}


def _mode_of(target: Path, usual: int) -> int:
    try:
        return stat.S_IMODE(target.lstat().st_mode) & ~_OTHERS_WRITE & 0o777
    except FileNotFoundError:
        return usual


def _sync_directory(directory: Path) -> None:
    """Make the new name last over a loss of power, where the file system can."""
    with contextlib.suppress(OSError):
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
