"""Programs that are bound to a card, on a virtual wire: its driver has the function that tells stamps, but no clock."""

import logging
import socket
import struct
import time
from contextlib import closing
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import pytest
from tests.system.xdp.test_network import answered, daemon, serving, wait_for
from tests.system.xdp.wire import SERVER, Wire

from ntp_usg.core.base.errors import DeviceError
from ntp_usg.core.base.instants import HostNs
from ntp_usg.core.receivers.phc import CrossStamp
from ntp_usg.core.server.policy import ServerPolicy
from ntp_usg.core.wire.header import parse_header
from ntp_usg.net.xdp import attachment, card_clock, rules
from ntp_usg.net.xdp.attachment import open_fast_path
from ntp_usg.net.xdp.fast_path import OBJECT
from ntp_usg.net.xdp.service import XdpService
from ntp_usg.sysapi.bpf import Link, Program, XdpFlag
from ntp_usg.sysapi.bpf_object import parse_object

STAMPED = "native, stamped by the card"


class Card:
    """Stands for the clock of a card: here is none. The program, its binding and the driver are real."""

    trouble = ""
    opened: list["Card"]

    def __init__(self, interface: str) -> None:
        self.interface, self.closed, self.compared = interface, False, 0
        self.opened.append(self)

    def compare(self, tai_minus_host_ns: int) -> bytes | None:
        self.compared += 1
        if self.trouble:
            raise DeviceError(self.trouble)
        return bytes(40)

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def cards(monkeypatch: pytest.MonkeyPatch) -> list[Card]:
    """Each interface has a clock; those that were opened."""
    opened: list[Card] = []
    monkeypatch.setattr(Card, "opened", opened, raising=False)
    monkeypatch.setattr(attachment, "CardClock", Card)
    return opened


def number_of(descriptor: int) -> str:
    """The number by which `ip link` knows a program."""
    lines = Path(f"/proc/self/fdinfo/{descriptor}").read_text().splitlines()
    return next(line.split()[1] for line in lines if line.startswith("prog_id"))


def runs_program_for_all(wire: Wire, service: XdpService) -> bool:
    number = number_of(service._path.rules.program.descriptor)
    return f"prog/xdp id {number} " in wire.server.ip("-d link show wire")


def test_a_bound_program_answers_and_follows_policies(wire, cards, caplog):
    caplog.set_level(logging.INFO)
    with serving(wire, "native", stamping=["wire"]) as do:
        assert "XDP on wire: native, stamped by the card" in caplog.text
        for policy in (ServerPolicy(), ServerPolicy(deny=("10.9.0.0/24",)), ServerPolicy(rate_limit=False)):
            do(partial(XdpService.adopt, policy=policy))
            assert not do(lambda service: runs_program_for_all(wire, service))
            if policy.deny:
                with pytest.raises(TimeoutError):
                    wire.ask(SERVER[0], patience=0.2)
            for server in SERVER[bool(policy.deny) :]:
                wire.ask(server)
        assert answered(do) == 5
        assert do(lambda service: service.fast_path()).interfaces == {"wire": STAMPED}
        assert do(lambda service: service.fast_path()).stamped == 0, "nothing stamps on a virtual wire"
        do(lambda service: service._read_cards())
        wire.ask(SERVER[0])
        assert (cards[0].interface, cards[0].closed, cards[0].compared > 0) == ("wire", False, True)
    assert [card.closed for card in cards] == [True]
    assert wire.programs() == ""


def test_without_being_asked_no_program_is_bound(wire, cards):
    with serving(wire, "native") as do:
        assert do(lambda service: runs_program_for_all(wire, service))
    assert cards == []


@pytest.mark.parametrize("mode", ["native", "auto"])
def test_a_card_without_a_clock_leaves_the_programs_own_stamps_and_is_told_of_once(wire, mode, caplog):
    with serving(wire, mode, stamping=["wire"]) as do:
        for _ in range(3):
            do(lambda service: service._look())
            wire.ask(SERVER[0])
        assert do(lambda service: runs_program_for_all(wire, service))
        assert do(lambda service: service.fast_path()).interfaces == {"wire": "native"}
        assert answered(do) == 3
    said = "wire: receive stamps are the program's own: wire has no clock of its own"
    assert caplog.text.count(said) == 1


def test_in_generic_mode_nothing_is_bound(wire, cards, caplog):
    with serving(wire, "generic", stamping=["wire"]) as do:
        wire.ask(SERVER[0])
        assert do(lambda service: service.fast_path()).interfaces == {"wire": "generic"}
        assert answered(do) == 1
    assert "wire: receive stamps are the program's own: generic XDP gets no stamps from the card" in caplog.text
    assert [card.closed for card in cards] == [True]


def test_a_kernel_without_the_function_leaves_the_programs_own_stamps(wire, cards, caplog, monkeypatch):
    monkeypatch.setattr(rules, "find_kernel_function", lambda _name: None)
    with serving(wire, "native", stamping=["wire"]) as do:
        wire.ask(SERVER[0])
        assert do(lambda service: runs_program_for_all(wire, service))
    assert "gives programs no stamps by the card: 6.3" in caplog.text
    assert [card.closed for card in cards] == [True]


def test_a_card_that_fails_later_is_told_of_and_given_back(wire, cards, caplog, monkeypatch):
    with serving(wire, "native", stamping=["wire"]) as do:
        monkeypatch.setattr(Card, "trouble", "/dev/ptp0 has gone or failed")
        for _ in range(3):
            do(lambda service: service._read_cards())
            do(lambda service: service._look())
        wire.ask(SERVER[0])
        assert do(lambda service: service.fast_path()).interfaces == {"wire": "native"}
        assert answered(do) == 1
    assert caplog.text.count("stamps are the program's own from now on: /dev/ptp0 has gone or failed") == 1
    assert [card.closed for card in cards] == [True]


def test_an_interface_that_comes_back_is_bound_anew(wire, cards):
    with serving(wire, "auto", names=["wire", "plug"], stamping=["plug"]) as do:
        for present in (True, False, True):
            wire.server.ip("link add plug type veth peer name socket" if present else "link del plug")
            do(lambda service: service._look())
            says = {"wire": "native", "plug": STAMPED if present else "no interface plug here"}
            assert do(lambda service: service.fast_path()).interfaces == says
        assert [card.closed for card in cards] == [True, False]
        wire.server.ip("link del plug")
        do(lambda service: service.adopt(ServerPolicy()))
        do(lambda service: service._read_cards())
        wire.ask(SERVER[0])
        assert answered(do) == 1
    assert [card.closed for card in cards] == [True, True]


@pytest.mark.parametrize(("name", "mode"), [("peer", XdpFlag.NATIVE), ("plug", XdpFlag.GENERIC)])
def test_a_bound_program_is_for_its_own_card_and_driver_only(wire, name, mode):
    def try_it() -> None:
        path = open_fast_path(ServerPolicy())
        try:
            with closing(path.rules.bound_program(socket.if_nametoindex("plug"))) as bound:
                with pytest.raises(OSError, match="Invalid argument"):
                    Link(bound, socket.if_nametoindex(name), mode)
                Link(bound, socket.if_nametoindex("plug"), XdpFlag.NATIVE).close()
        finally:
            path.close()

    wire.server.ip("link add plug type veth peer name peer")
    try:
        wire.server.do(try_it)
    finally:
        wire.server.ip("link del plug")


AHEAD = 100_000
"""Nanoseconds: so long before the program asks, the card that is played here took each frame in."""
[(CALL_AT, _)] = parse_object(OBJECT.read_bytes(), "xdp").calls
LENGTH = len(parse_object(OBJECT.read_bytes(), "xdp").instructions)
CALL = struct.pack("<BBhi", 0x85, 0x10, 0, (LENGTH - CALL_AT) // 8 - 1)
"""A call of what is put behind the program."""
TELL_STAMP = b"".join(
    struct.pack("<BBhi", *instruction)
    for instruction in (
        (0xBF, 0x26, 0, 0),  # r6 = r2
        (0x85, 0x00, 0, 125),  # r0 = bpf_ktime_get_boot_ns()
        (0x17, 0x00, 0, AHEAD),  # r0 -= AHEAD
        (0x7B, 0x06, 0, 0),  # *(u64 *)(r6 + 0) = r0
        (0xB7, 0x00, 0, 0),  # r0 = 0
        (0x95, 0x00, 0, 0),  # return
    )
)


class BootClock:
    """A card's clock that everybody can read: the time since the machine was started."""

    def __init__(self, _path: str) -> None:
        pass

    def compare(self, samples: int) -> list[CrossStamp]:
        return [
            CrossStamp(HostNs(time.time_ns()), time.clock_gettime_ns(time.CLOCK_BOOTTIME), HostNs(time.time_ns()))
            for _ in range(samples)
        ]

    def close(self) -> None:
        pass


@pytest.fixture
def playing_card(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bound programs ask the boot clock instead of their driver; all else is as with a card."""

    def load(name: str, instructions: bytes, *others: Any) -> Program:
        return Program(name, instructions + TELL_STAMP * (CALL in instructions), *others)

    monkeypatch.setattr(rules, "kernel_call", lambda _function: CALL)
    monkeypatch.setattr(rules, "Program", load)
    monkeypatch.setattr(card_clock, "find_clock", lambda name: name)
    monkeypatch.setattr(card_clock, "PhcDevice", BootClock)
    monkeypatch.setattr(card_clock, "ReceiveStamps", BootClock)


@pytest.mark.usefixtures("playing_card")
def test_answers_tell_when_a_card_received_the_request(wire):
    with serving(wire, "native", stamping=["wire"]) as do:

        def waited() -> float:
            answer = parse_header(wire.ask(SERVER[0]))
            return (answer.transmit_timestamp - answer.receive_timestamp) / 2**32 * 1e9

        assert 0 < waited() < 1000, "nothing is known of the card's clock yet"
        assert do(lambda service: service.fast_path()).stamped == 0
        for _ in range(20):  # a machine that is busy may need some
            do(lambda service: service._read_cards())
            time.sleep(0.25)
            if waited() > 1000:
                break
        assert median(waited() for _ in range(15)) == pytest.approx(AHEAD, abs=20_000)
        assert do(lambda service: service.fast_path()).stamped >= 10


def test_the_daemon_says_why_it_stamps_itself(wire, tmp_path):
    with daemon(wire, tmp_path, more="enable_hardware_timestamps = true"):
        wait_for(lambda: "XDP on wire: native" in (tmp_path / "log").read_text(), tmp_path)
        log = (tmp_path / "log").read_text()
        assert "wire: receive stamps are the program's own: wire has no clock of its own" in log
        assert "no effect" not in log
