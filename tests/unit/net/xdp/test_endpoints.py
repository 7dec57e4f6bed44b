import socket

from ntp_usg.net.xdp.endpoints import KEY, Listener, build_endpoints, listeners
from ntp_usg.sysapi.interfaces import Interface

MAC, OTHER_MAC = b"\2\0\0\0\0\1", b"\2\0\0\0\0\2"
V4, V6 = b"\xc6\x33\x64\1", b"\x20\1" + bytes(13) + b"\1"
ANY = [Listener(bytes(4), 123), Listener(bytes(16), 123)]
INTERFACES = {
    1: Interface(1, "lo", bytes(6), (b"\x7f\0\0\1",)),
    2: Interface(2, "eth0", MAC, (V4, V6)),
    3: Interface(3, "eth0.100", OTHER_MAC, (V4,), parent=2, vlan=100, vlan_protocol=0x8100),
    4: Interface(4, "inner", MAC, (V4,), parent=3, vlan=7, vlan_protocol=0x8100),
    5: Interface(5, "third", MAC, (V4,), parent=4, vlan=8, vlan_protocol=0x8100),
    6: Interface(6, "service", MAC, (V4,), parent=2, vlan=9, vlan_protocol=0x88A8),
    7: Interface(7, "orphan", MAC, (V4,), parent=99, vlan=9, vlan_protocol=0x8100),
    8: Interface(8, "tun0", b"", (V4,)),
}


def places(names: list[str], listening: list[Listener]) -> dict[tuple[int, int, bytes, int], bytes]:
    found = build_endpoints(INTERFACES, names, listening)
    keys = {key: KEY.unpack(key) for key in found}
    return {
        (interface, tags, address.removeprefix(bytes(10) + b"\xff\xff"), socket.ntohs(port)): found[key][:6]
        for key, (interface, tags, address, port) in keys.items()
    }


def test_each_address_belongs_to_the_vlan_it_is_configured_on():
    assert places(["eth0"], ANY) == {
        (2, 0, V4, 123): MAC,
        (2, 0, V6, 123): MAC,
        (2, 0x8064, V4, 123): OTHER_MAC,
        (2, 0x80648007, V4, 123): MAC,
        (2, 0x9009, V4, 123): MAC,
    }


def test_an_interface_without_ethernet_addresses_is_left_out():
    assert places(["tun0"], ANY) == {}


def test_only_what_the_sockets_listen_on_is_answered():
    assert places(["eth0"], [Listener(V6, 1123)]) == {(2, 0, V6, 1123): MAC}
    assert places(["eth0"], [Listener(b"\x0a\0\0\1", 123)]) == {}
    assert places(["eth0"], [Listener(bytes(4), 123, "eth0.100")]) == {(2, 0x8064, V4, 123): OTHER_MAC}


def test_sockets_say_what_they_listen_on():
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one,
        socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as two,
    ):
        one.bind(("127.0.0.1", 0))
        two.bind(("::", 0))
        ports = [sock.getsockname()[1] for sock in (one, two)]
        assert listeners([one, two]) == [Listener(b"\x7f\0\0\1", ports[0]), Listener(bytes(16), ports[1])]
