import errno
import os
from types import SimpleNamespace

import pytest

from ntp_usg.core.base.errors import DeviceError, NtpUsgError, WireError
from ntp_usg.net.xdp import attachment
from ntp_usg.net.xdp.attachment import use_card
from ntp_usg.sysapi.bpf import VerifierError, XdpFlag


class Card:
    """Stands for the clock of an interface's card."""

    def __init__(self, interface: str) -> None:
        if interface != "eth0":
            raise DeviceError(f"{interface} has no clock of its own")
        self.closed = False
        made.append(self)

    def close(self) -> None:
        self.closed = True


made: list[Card] = []


@pytest.fixture(autouse=True)
def card(monkeypatch: pytest.MonkeyPatch) -> None:
    made.clear()
    monkeypatch.setattr(attachment, "CardClock", Card)


class Path:
    """A fast path that is attached, and where another program cannot take over for `error`."""

    def __init__(self, error: Exception | None = None, mode: XdpFlag = XdpFlag.NATIVE) -> None:
        self.error = error
        self.links = {"eth0": SimpleNamespace(mode=mode)}

    def bind(self, name: str) -> None:
        assert name == "eth0"
        if self.error:
            raise self.error


def kernel_error(number: int) -> OSError:
    return OSError(number, os.strerror(number))


def test_a_card_whose_stamps_are_used_stays_open():
    used: object = use_card(Path(), "eth0")  # type: ignore[arg-type] # like one in all that counts
    assert used is made[0]
    assert not made[0].closed


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (kernel_error(errno.EINVAL), "gives programs no stamps by the card: 6.3"),
        (kernel_error(errno.ENOSYS), "gives programs no stamps by the card: 6.3"),
        (kernel_error(errno.EOPNOTSUPP), "eth0's driver gives programs no stamps by the card"),
        (kernel_error(errno.ENOMEM), "Cannot allocate memory"),
        (
            VerifierError(errno.EACCES, "R1 is wrong\nprocessed 12 insns"),
            "does not accept the program for it: R1 is wrong",
        ),
        (WireError("a table of types that is cut short"), "cut short"),
    ],
)
def test_a_card_whose_stamps_cannot_be_used_is_given_back_with_the_reason(error, words):
    with pytest.raises(NtpUsgError, match=words):
        use_card(Path(error), "eth0")  # type: ignore[arg-type]
    assert made[0].closed


def test_behind_the_driver_no_stamps_are_told():
    with pytest.raises(NtpUsgError, match="generic XDP gets no stamps from the card"):
        use_card(Path(kernel_error(errno.EOPNOTSUPP), XdpFlag.GENERIC), "eth0")  # type: ignore[arg-type]
    assert made[0].closed


def test_a_card_without_a_clock_is_the_reason_itself():
    with pytest.raises(NtpUsgError, match="eth1 has no clock of its own"):
        use_card(Path(), "eth1")  # type: ignore[arg-type]
