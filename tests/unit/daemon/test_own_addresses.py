"""Which addresses are our own."""

from ipaddress import ip_address

import pytest

from ntp_usg.core.wire.reference_id import address_reference
from ntp_usg.daemon.own_addresses import OwnAddresses
from ntp_usg.sysapi.interfaces import Interface

ADDRESSES = {"lo": ("127.0.0.1", "::1"), "eth0": ("192.0.2.7", "2001:db8::7"), "eth1": ("10.1.1.1", "8.8.4.4")}


def interfaces() -> dict[int, Interface]:
    return {
        number: Interface(number, name, b"", tuple(ip_address(each).packed for each in texts))
        for number, (name, texts) in enumerate(ADDRESSES.items(), start=1)
    }


def own(*listen: str) -> OwnAddresses:
    return OwnAddresses(listen, interfaces)


@pytest.mark.parametrize(
    ("listen", "address"),
    [
        ("0.0.0.0:123", "192.0.2.7"),
        ("0.0.0.0:123", "127.0.0.1"),
        ("0.0.0.0:123", "127.9.9.9"),
        ("0.0.0.0:123", "::ffff:192.0.2.7"),
        ("[::]:123", "2001:db8::7"),
        ("[::]:123", "::1"),
        ("192.0.2.7:123", "192.0.2.7"),
        ("eth0:123", "192.0.2.7"),
        ("eth0:123", "2001:db8::7"),
    ],
)
def test_an_address_of_this_machine_on_which_we_answer_is_our_own(listen, address):
    assert own(listen).answer_at(address, 123)


@pytest.mark.parametrize(
    ("listen", "address", "port"),
    [
        ("0.0.0.0:123", "192.0.2.7", 1123),  # another daemon on this machine
        ("0.0.0.0:123", "192.0.2.8", 123),
        ("0.0.0.0:123", "2001:db8::7", 123),
        ("127.0.0.1:123", "127.0.0.2", 123),
        ("192.0.2.7:123", "10.1.1.1", 123),
        ("eth0:123", "10.1.1.1", 123),
        ("[::]:123", "fe80::1%eth0", 123),
    ],
)
def test_any_other_is_not(listen, address, port):
    assert not own(listen).answer_at(address, port)


def test_a_server_may_call_us_by_each_address_that_it_can_know():
    def named(*texts: str) -> set[bytes]:
        return {address_reference(ip_address(each).packed) for each in texts}

    assert own("eth0").reference_ids("1.1.1.1") == named("8.8.4.4")  # others have private addresses like ours
    assert own("eth0").reference_ids("10.9.9.9") == named("192.0.2.7", "2001:db8::7", "10.1.1.1", "8.8.4.4")


def test_where_the_kernel_does_not_tell_only_what_is_written_counts():
    def fail() -> dict[int, Interface]:
        raise OSError

    silent = OwnAddresses(["192.0.2.7:123", "0.0.0.0:1123"], fail)
    assert silent.answer_at("192.0.2.7", 123)
    assert silent.answer_at("127.0.0.1", 1123)
    assert not silent.answer_at("192.0.2.7", 1123)
