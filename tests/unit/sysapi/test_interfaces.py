import socket

from ntp_usg.sysapi.interfaces import read_interfaces


def test_the_kernel_lists_its_interfaces_with_their_addresses():
    interfaces = read_interfaces()
    assert {index: each.name for index, each in interfaces.items()} == dict(socket.if_nameindex())
    [loopback] = [each for each in interfaces.values() if each.name == "lo"]
    assert loopback.mac == bytes(6)
    assert b"\x7f\0\0\1" in loopback.addresses
    assert loopback.vlan is None
