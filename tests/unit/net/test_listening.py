"""Interfaces come and go, and requests that come in by them are answered all the same."""

import logging

import pytest

from ntp_usg.core.base.errors import NtpUsgError
from ntp_usg.net import listening
from ntp_usg.net.listening import Listening, interface_index


class Interfaces:
    """The numbers of the machine's interfaces, as a test wants them."""

    def __init__(self):
        self.numbers = {"lo": 1}

    def index(self, name):
        return self.numbers.get(name, 0)


@pytest.fixture
def interfaces():
    return Interfaces()


@pytest.fixture
def listen(interfaces):
    opened = []

    def start(*addresses, number=1):
        opened.append(Listening(addresses, number, index=interfaces.index))
        return opened[-1]

    yield start
    for each in opened:
        for sock in (sock for some in each.sets for sock in some):
            sock.close()


def descriptors(made):
    return [[sock.fileno() for sock in each] for each in made.sets]


def test_as_long_as_interfaces_stay_nothing_is_opened_again(listen):
    made = listen("lo:0", "127.0.0.1:0")
    before = descriptors(made)
    assert not made.look()
    assert descriptors(made) == before


@pytest.mark.fault(
    group="Servers",
    kind="A network interface in listen_addr is removed and made again, such as a USB card or a VLAN.",
    noticed="The log says that it is gone, and that it is back.",
    served="Clients there are answered again within a second or two; others notice nothing.",
)
def test_an_interface_that_has_been_made_again_gets_new_sockets_and_no_other(listen, interfaces, caplog):
    caplog.set_level(logging.INFO)
    made = listen("lo:0", "127.0.0.1:0")
    [former] = made.sets
    interfaces.numbers["lo"] = 7
    assert made.look()
    [sockets] = made.sets
    assert [sock is other for sock, other in zip(sockets, former, strict=True)] == [False, False, True]
    assert [sock.family for sock in sockets] == [sock.family for sock in former]
    assert "lo is back" in caplog.text
    assert not made.look()
    for sock in former[:2]:
        sock.close()


def test_an_interface_that_is_gone_is_told_once_and_opened_when_it_returns(listen, interfaces, caplog):
    made = listen("lo:0")
    former = made.sets[0]
    del interfaces.numbers["lo"]
    assert [made.look(), made.look()] == [False, False]
    assert caplog.text.count("lo is gone") == 1
    interfaces.numbers["lo"] = 8
    assert made.look()
    for sock in former:
        sock.close()


def test_what_cannot_be_opened_yet_is_tried_again(listen, interfaces, monkeypatch, caplog):
    made = listen("lo:0")
    former = made.sets[0]
    interfaces.numbers["lo"] = 9

    def refuse(*_, **__):
        raise NtpUsgError("cannot listen on lo:0: not yet")

    with monkeypatch.context() as patched:
        patched.setattr(listening, "open_places", refuse)
        assert not made.look()
    assert "not yet" in caplog.text
    assert made.sets[0] == former
    assert made.look()
    for sock in former:
        sock.close()


def test_a_link_local_address_belongs_to_its_interface():
    assert interface_index("lo") > 0
    assert interface_index("nosuchif") == 0
