"""The list of leap seconds is read again when it changes, and only a right one is taken."""

import hashlib
import os

import pytest

from ntp_usg.core.algorithms.leap_list import UNIX_EPOCH
from ntp_usg.core.base.instants import NS_PER_SECOND, WallNs
from ntp_usg.daemon.leap_file import LeapFile

DAY = 86_400
EXPIRES = 1_814_140_800  # 2027-06-28
STEPS = ((1_483_228_800, 37),)
LEAP = (*STEPS, (1_798_761_600, 38))  # 2027-01-01


def write(path, steps=STEPS, expires=EXPIRES):
    stamps = [str(EXPIRES - 300 * DAY + UNIX_EPOCH), str(expires + UNIX_EPOCH)]
    lines = [f"{at + UNIX_EPOCH} {offset}" for at, offset in steps]
    digest = hashlib.sha1("".join([*stamps, *(line.replace(" ", "") for line in lines)]).encode()).hexdigest()
    words = " ".join(digest[at : at + 8] for at in range(0, 40, 8))
    fresh = path.with_name("fresh")
    fresh.write_text("\n".join([f"#$ {stamps[0]}", f"#@ {stamps[1]}", *lines, f"#h {words}", ""]))
    fresh.replace(path)  # as a package does


@pytest.fixture
def path(tmp_path):
    write(tmp_path / "leap-seconds.list")
    return tmp_path / "leap-seconds.list"


def offset_of_2027(file: LeapFile) -> int | None:
    return file.table.tai_offset(WallNs(1_800_000_000 * NS_PER_SECOND)) if file.table else None


def test_a_newer_list_is_taken_without_a_restart(path):
    file = LeapFile(str(path))
    assert offset_of_2027(file) == 37
    assert not file.look()
    write(path, LEAP)
    assert file.look()
    assert offset_of_2027(file) == 38
    assert not file.look()


@pytest.mark.fault(
    group="Files and settings",
    kind="The leap second list is replaced by a damaged file, or removed, while the daemon runs.",
    noticed="The file is looked at once a minute and at SIGHUP; the log says what is wrong with it, once.",
    served="The previous list stays in force.",
)
@pytest.mark.parametrize("spoil", ["damage", "remove", "empty", "directory", "writable"])
def test_a_bad_new_file_leaves_the_old_list_in_force_and_is_said_once(path, caplog, spoil):
    file = LeapFile(str(path))
    caplog.clear()
    if spoil == "damage":
        path.write_text(path.read_text().replace("37", "39"))
    elif spoil == "empty":
        path.write_bytes(b"")
    elif spoil == "writable":
        write(path, LEAP)
        path.chmod(0o666)
    else:
        path.unlink()
    if spoil == "directory":
        path.mkdir()
    for _ in range(3):
        assert not file.look()
    assert offset_of_2027(file) == 37
    [message] = caplog.messages
    assert message.endswith("; the list until 2027-06-28 stays in force")


def test_a_list_that_comes_later_is_taken(tmp_path, caplog):
    file = LeapFile(str(tmp_path / "leap"))
    assert file.table is None
    [message] = caplog.messages
    assert "Debian has it in the package tzdata" in message
    write(tmp_path / "leap")
    assert file.look()
    assert offset_of_2027(file) == 37


def test_the_same_list_written_again_is_no_news(path):
    file = LeapFile(str(path))
    os.utime(path, (1, 1))
    assert not file.look()


def test_without_a_path_there_is_none_and_no_complaint(caplog):
    assert LeapFile("").table is None
    assert not caplog.messages


def test_that_it_expires_is_said_once_a_month_before_and_once_when_it_has(path, caplog):
    file = LeapFile(str(path))
    for day in range(-60, 5):
        file.warn_of_expiry(WallNs((EXPIRES + day * DAY) * NS_PER_SECOND))
    soon, over = caplog.messages
    assert f"{path} expires on 2027-06-28: update it" in soon
    assert f"{path} expired on 2027-06-28: update it" in over
