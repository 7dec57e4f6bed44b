import logging
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from ntp_usg.core.base.errors import NtpUsgError
from ntp_usg.net import udp
from ntp_usg.net.udp import open_sockets


@pytest.fixture
def opened():
    """Opens as open_sockets does, and closes at the end of the test."""
    sockets = []

    def open_and_remember(*addresses, **options):
        new = open_sockets(addresses, **options)
        sockets.extend(new)
        return new

    yield open_and_remember
    for sock in sockets:
        sock.close()


def port_of(sock):
    return sock.getsockname()[1]


def test_both_families_have_the_same_port_each_with_its_own_socket(opened):
    [first] = opened("0.0.0.0:0")
    [second] = opened(f"[::]:{port_of(first)}")
    assert (first.family, second.family) == (socket.AF_INET, socket.AF_INET6)


def test_a_port_in_use_is_refused_and_its_holder_named(opened):
    [first] = opened("127.0.0.1:0")
    comm = Path("/proc/self/comm").read_text().strip()
    with pytest.raises(NtpUsgError) as refused:
        opened(f"127.0.0.1:{port_of(first)}")
    where = f"127.0.0.1:{port_of(first)}"
    assert str(refused.value) == (
        f"cannot listen on {where}: port {port_of(first)} is in use by {comm} (process {os.getpid()})"
    )


@pytest.mark.parametrize("option", [socket.SO_REUSEADDR, socket.SO_REUSEPORT])
def test_no_other_program_can_share_the_port(opened, option):
    [ours] = opened("127.0.0.1:0")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as thief:
        thief.setsockopt(socket.SOL_SOCKET, option, 1)
        with pytest.raises(OSError, match="in use"):
            thief.bind(("0.0.0.0", port_of(ours)))


def test_one_address_that_cannot_be_had_leaves_no_socket_open():
    before = set(Path("/proc/self/fd").iterdir())
    with pytest.raises(NtpUsgError, match=r"192.0.2.77:123: no interface of this machine has that address"):
        open_sockets(["127.0.0.1:0", "[::1]:0", "192.0.2.77"])
    with pytest.raises(ValueError, match=r"time\.example\.org"):
        open_sockets(["127.0.0.1:0", "time.example.org"])
    assert set(Path("/proc/self/fd").iterdir()) == before


def test_an_address_that_another_entry_includes_needs_no_socket(opened, caplog):
    caplog.set_level(logging.INFO)
    [probe] = opened("127.0.0.1:0")
    port = port_of(probe)
    probe.close()
    sockets = opened(f"127.0.0.1:{port}", f"0.0.0.0:{port}", f"lo:{port}", f"[::]:{port}")
    assert [sock.getsockname()[0] for sock in sockets] == ["0.0.0.0", "::"]
    assert f"127.0.0.1:{port} needs no socket of its own" in caplog.text


def test_two_entries_that_exclude_each_other_are_both_named():
    with pytest.raises(NtpUsgError, match=r"both lo:4123 and 127.0.0.1:4123: leave out one of them"):
        open_sockets(["lo:4123", "127.0.0.1:4123"])


def test_the_holder_named_is_the_one_that_is_in_the_way(opened):
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout
        assert other.stdin
        port = int(other.stdout.readline())
        [ours] = opened(f"127.0.0.2:{port}")  # on the same port, and in nobody's way
        with pytest.raises(NtpUsgError, match=rf"in use by .* \(process {other.pid}\)"):
            open_sockets([f"127.0.0.1:{port}"])
        ours.close()
        other.stdin.close()


HOLDER = """
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("127.0.0.1", 0))
print(s.getsockname()[1], flush=True)
sys.stdin.read()
"""


def test_the_dscp_is_in_the_upper_six_bits_of_both_families(opened):
    four, six = opened("127.0.0.1:0", "[::1]:0", dscp=46)
    assert four.getsockopt(socket.IPPROTO_IP, socket.IP_TOS) == 46 << 2
    assert six.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS) == 46 << 2


def test_no_answer_is_ever_sent_in_fragments_whatever_icmp_says_of_the_path(opened):
    four, six = opened("127.0.0.1:0", "[::1]:0")
    ip_mtu_discover, ipv6_mtu_discover, probe = 10, 23, 3  # ip(7), ipv6(7): "don't fragment", path MTU not looked at
    assert four.getsockopt(socket.IPPROTO_IP, ip_mtu_discover) == probe
    assert six.getsockopt(socket.IPPROTO_IPV6, ipv6_mtu_discover) == probe


def test_sockets_do_not_block_and_queue_more_than_usual(opened):
    [sock] = opened("127.0.0.1:0")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as plain:
        usual = plain.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
    assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) > usual
    with pytest.raises(BlockingIOError):
        sock.recvmsg(1)


def test_an_interface_is_bound_by_name_in_both_families(opened):
    sockets = opened("lo:0")
    assert [sock.family for sock in sockets] == [socket.AF_INET, socket.AF_INET6]
    for sock in sockets:
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, 16).rstrip(b"\0") == b"lo"


def test_a_low_port_without_the_right_to_it_says_which_right_is_missing():
    lowest_free = int(Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text())
    assert lowest_free > 1, "this machine has no privileged ports to test with"
    script = f"""
from ntp_usg.core.base.errors import NtpUsgError
from ntp_usg.net.udp import open_sockets
from ntp_usg.sysapi.privileges import drop_privileges
drop_privileges()
try:
    open_sockets(["127.0.0.1:{lowest_free - 1}"])
except NtpUsgError as error:
    print(error)
"""
    said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert "CAP_NET_BIND_SERVICE" in said


def test_a_kernel_without_ipv6_still_serves_the_rest_of_a_default_configuration(opened, monkeypatch):
    monkeypatch.setattr(udp, "_kernel_has_ipv6", lambda: False)
    assert [sock.family for sock in opened("0.0.0.0:0", "[::]:0")] == [socket.AF_INET]
    with pytest.raises(NtpUsgError, match="no IPv6"):
        opened("[::]:0")
