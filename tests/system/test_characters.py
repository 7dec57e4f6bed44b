"""The devices that tests make in the guest: what other tests rely on."""

import pytest

pytestmark = pytest.mark.peer


@pytest.fixture(scope="module")
def result(guest):
    return guest.run("characters.py", modules=("fuse", "cuse"))


def test_ioctls_take_and_give_bytes_whatever_their_number_says(result):
    assert result["doubled"] == 42
    assert result["turned"]
    assert result["values"] == [7]


def test_ioctls_can_be_refused(result):
    assert result["errors"] == ["EBADMSG", "ENOTTY"]


def test_what_is_said_can_be_read_and_waited_for(result):
    assert (result["nothing"], result["silent"], result["woken"]) == ("", 0, 1)
    assert result["parts"] == ["tick ", "tock"]
    assert result["waited"] == "later"


def test_calls_that_wait_can_be_interrupted(result):
    assert result["interrupted_read"]
    assert result["interrupted_wait"]
    assert result["waited_for"] >= 0.3


def test_what_is_written_is_heard(result):
    assert result["heard"] == ["hello"]


def test_a_device_can_be_exclusive_one_of_several_and_unplugged(result):
    assert result["second_open"] == "EBUSY"
    assert result["two_at_once"]
    assert result["path_is_gone"]
    assert result["unplugged"] in {"ENODEV", "ENOTCONN", "ECONNABORTED"}
