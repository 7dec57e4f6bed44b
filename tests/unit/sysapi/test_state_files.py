"""What the daemon keeps is whole and its own, and what others could have written is not believed."""

import errno
import os
import stat
from pathlib import Path

import pytest

from ntp_usg.sysapi.state_files import open_regular, read_trusted, write_whole

STRANGER = 65_534
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state"


def names(folder: Path) -> set[str]:
    return {each.name for each in folder.iterdir()}


# Writing


def test_a_new_file_is_written_and_readable_by_others(path):
    write_whole(path, b"new")
    assert path.read_bytes() == b"new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o644


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o644])
def test_an_old_file_is_replaced_and_keeps_its_mode(path, mode):
    path.write_bytes(b"old, and longer")
    path.chmod(mode)
    write_whole(path, b"new")
    assert (path.read_bytes(), stat.S_IMODE(path.stat().st_mode)) == (b"new", mode)
    assert names(path.parent) == {"state"}


@pytest.mark.fault(
    group="Files and settings",
    kind="The drift file is a link to a place that can be written.",
    noticed="The link is followed before the file is replaced.",
    served="Time as usual; the link stays a link.",
)
@pytest.mark.parametrize("exists", [True, False])
def test_a_link_stays_a_link_and_its_target_is_written(path, tmp_path, exists):
    folder = tmp_path / "data"
    folder.mkdir()
    (tmp_path / "halfway").symlink_to("data/target")
    path.symlink_to(tmp_path / "halfway")
    if exists:
        (folder / "target").write_bytes(b"old")
    write_whole(path, b"new")
    assert path.is_symlink()
    assert (folder / "target").read_bytes() == b"new"
    assert (names(tmp_path), names(folder)) == ({"data", "halfway", "state"}, {"target"})


def test_links_that_lead_in_a_circle_are_refused(path):
    path.symlink_to("other")
    path.with_name("other").symlink_to("state")
    with pytest.raises(OSError, match="Too many levels"):
        write_whole(path, b"new")


def test_what_lies_in_the_way_of_the_new_file_is_not_written_to(path, tmp_path):
    victim = tmp_path / "victim"
    victim.write_text("precious")
    path.with_name("state.new").symlink_to(victim)
    write_whole(path, b"new")
    assert victim.read_text() == "precious"
    assert names(tmp_path) == {"state", "victim"}


@pytest.mark.fault(
    group="Files and settings",
    kind="The disk of a state file is full.",
    noticed="The log says once that the file cannot be written, and why.",
    served="Time as usual; what was saved before stays, and nothing is left beside it.",
)
@pytest.mark.parametrize("call", ["fsync", "fchmod"])
def test_where_writing_fails_the_old_file_stays_and_nothing_is_left_beside_it(path, monkeypatch, call):
    write_whole(path, b"old")

    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, call, fail)
    with pytest.raises(OSError, match="No space left"):
        write_whole(path, b"new")
    assert path.read_bytes() == b"old"
    assert names(path.parent) == {"state"}


def test_a_pipe_or_a_directory_is_not_replaced(path):
    os.mkfifo(path)
    with pytest.raises(OSError, match="is not a regular file"):
        write_whole(path, b"new")
    assert stat.S_ISFIFO(path.stat().st_mode)


@as_root
def test_a_link_that_a_stranger_made_in_a_place_for_everybody_is_not_followed(path, tmp_path):
    victim = tmp_path / "victim"
    victim.write_text("precious")
    path.symlink_to(victim)
    os.chown(path, STRANGER, STRANGER, follow_symlinks=False)
    with pytest.raises(OSError, match="a link that user 65534 made"):
        write_whole(path, b"new")
    assert victim.read_text() == "precious"


# Reading


def test_a_file_of_our_own_is_read(path):
    path.write_bytes(b"12345")
    assert read_trusted(path, 5) == b"12345"


def test_a_longer_one_is_not_read(path):
    path.write_bytes(b"123456")
    with pytest.raises(OSError, match="longer than 5 bytes"):
        read_trusted(path, 5)


def test_a_missing_one_is_told_apart(path):
    with pytest.raises(FileNotFoundError):
        read_trusted(path, 5)


def test_a_pipe_or_a_device_is_not_waited_for(path):
    os.mkfifo(path)
    for special in (path, Path("/dev/zero"), path.parent):
        with pytest.raises(OSError, match="is not a regular file"):
            read_trusted(special, 5)
        with pytest.raises(OSError, match="is not a regular file"):
            open_regular(special)


def test_a_file_that_every_user_may_write_to_is_not_believed(path):
    path.write_bytes(b"1")
    path.chmod(0o666)
    with pytest.raises(OSError, match="every user may write to it: run `chmod o-w`"):
        read_trusted(path, 5)


@as_root
def test_a_strangers_file_is_not_believed_unless_the_directory_is_his_too(path):
    path.write_bytes(b"1")
    os.chown(path, STRANGER, STRANGER)
    with pytest.raises(OSError, match="belongs to user 65534, who is not trusted"):
        read_trusted(path, 5)
    os.chown(path.parent, STRANGER, STRANGER)
    assert read_trusted(path, 5) == b"1"
