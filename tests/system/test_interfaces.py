"""Sockets on interfaces of a network namespace of the tests' own, which come, go and get addresses."""

import socket
import time
from contextlib import closing

import pytest
from tests.system.xdp.wire import Namespace

from ntp_usg.net.listening import Listening
from ntp_usg.net.udp import open_sockets
from ntp_usg.sysapi.interfaces import is_tentative, read_interfaces


@pytest.fixture
def network():
    try:
        made = Namespace()
    except OSError as error:
        pytest.skip(f"no network namespaces: {error}")
    yield made
    made.close()


def make(network, name="here", peer="there"):
    network.ip(f"link add {name} type veth peer name {peer}")
    network.ip(f"link set {name} up")
    network.ip(f"link set {peer} up")


def hears(endpoint, target):
    """Whether a datagram that is sent to `target` within the namespace comes to a socket."""
    with socket.socket(endpoint.family, socket.SOCK_DGRAM) as sender:
        sender.sendto(b"hello", target)
    endpoint.settimeout(1.0)
    try:
        return endpoint.recv(100) == b"hello"
    except TimeoutError:
        return False


def test_the_sockets_of_an_interface_that_was_made_again_are_bound_to_the_new_one(network):
    make(network)
    listening = network.do(lambda: Listening(["here:4123"], 1))
    former = listening.sets[0]
    network.ip("link del here")
    assert not network.do(listening.look)
    make(network)
    assert network.do(listening.look)
    index = network.do(lambda: socket.if_nametoindex("here"))
    bound_to = 62  # SO_BINDTOIFINDEX
    assert [sock.getsockopt(socket.SOL_SOCKET, bound_to) for sock in listening.sets[0]] == [index, index]
    assert [sock.getsockopt(socket.SOL_SOCKET, bound_to) for sock in former] != [index, index]
    for sock in (*former, *listening.sets[0]):
        sock.close()


@pytest.mark.fault(
    group="Servers",
    kind="An IPv6 address in listen_addr is still checked for duplicates when the daemon starts.",
    noticed="No action is needed: the kernel finishes within a second or two.",
    served="Answers at that address from then on; at the others at once.",
)
def test_a_tentative_address_is_listened_on_and_answers_when_it_is_ours(network):
    make(network)
    network.ip("addr add 2001:db8::7/64 dev here")
    assert network.do(lambda: is_tentative("2001:db8::7"))
    with closing(network.do(lambda: open_sockets(["[2001:db8::7]:4123"]))[0]) as endpoint:
        deadline = time.monotonic() + 20
        while network.do(lambda: is_tentative("2001:db8::7")):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert network.do(lambda: hears(endpoint, ("2001:db8::7", 4123)))


def test_the_broadcast_addresses_of_an_interface_are_known(network):
    make(network)
    network.ip("addr add 10.77.8.1/24 dev here")
    network.ip("addr add 10.77.9.1/24 brd 10.77.9.254 dev here")
    network.ip("addr add 10.77.10.0/31 dev here")
    found = next(each for each in network.do(read_interfaces).values() if each.name == "here")
    assert {socket.inet_ntoa(each) for each in found.broadcasts} == {"10.77.8.255", "10.77.9.255", "10.77.9.254"}
