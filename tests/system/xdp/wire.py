"""A virtual cable between two network namespaces of the tests' own."""

import ctypes
import fcntl
import os
import socket
import struct
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import get_native_id
from typing import TypeVar

from ntp_usg.sysapi.bpf import Link, Program, XdpFlag
from ntp_usg.sysapi.libc import LIBC, check

Result = TypeVar("Result")

SERVER, CLIENT = ("10.9.0.1", "fd09::1"), ("10.9.0.2", "fd09::2")
REQUEST = b"\x23\0\6\x20" + bytes(36)
PASS_EVERYTHING = struct.pack("<BBhi", 0xB7, 0, 0, 2) + struct.pack("<BBhi", 0x95, 0, 0, 0)

NEW_NETWORK = 0x40000000  # CLONE_NEWNET
_SIOCETHTOOL, _SET_SENDING_CHECKSUMS = 0x8946, 0x17


class Namespace:
    """A network of its own for whatever is done in it: it belongs to a thread."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1)
        self.do(lambda: check(LIBC.unshare(NEW_NETWORK), "unshare"))
        self.holder = self.do(get_native_id)
        self.ip("link set lo up")

    def do(self, work: Callable[[], Result]) -> Result:
        return self._thread.submit(work).result(60)

    def ip(self, words: str) -> str:
        command = ["ip", *words.split()]
        return self.do(lambda: subprocess.run(command, check=True, capture_output=True, text=True).stdout)

    def close(self) -> None:
        self._thread.shutdown()


class Wire:
    """Server and client, each with an end of a virtual cable."""

    def __init__(self) -> None:
        self.server, self.client = Namespace(), Namespace()
        self.server.ip(f"link add wire type veth peer name wire netns {self.client.holder}")
        for side, addresses in ((self.server, SERVER), (self.client, CLIENT)):
            side.ip(f"addr add {addresses[0]}/24 dev wire")
            side.ip(f"addr add {addresses[1]}/64 dev wire nodad")
            side.do(lambda: send_whole_checksums("wire"))
            side.ip("link set wire up")
        # A virtual card takes answers from the driver of the other one only if it has a program, too.
        self.reception = self.client.do(lambda: Link(passing(), socket.if_nametoindex("wire"), XdpFlag.NATIVE))

    def close(self) -> None:
        self.reception.close()
        self.server.ip("link del wire")
        self.server.close()
        self.client.close()

    def ask(self, server: str, packet: bytes | None = None, patience: float = 2.0, port: int = 123) -> bytes:
        packet = REQUEST + os.urandom(8) if packet is None else packet

        def exchange() -> bytes:
            with socket.socket(socket.AF_INET6 if ":" in server else socket.AF_INET, socket.SOCK_DGRAM) as sock:
                sock.settimeout(patience)
                sock.connect((server, port))
                sock.send(packet)
                return sock.recv(2000)

        return self.client.do(exchange)

    def programs(self) -> str:
        """What `ip` tells of programs on the server's interface."""
        return " ".join(word for word in self.server.ip("-d link show wire").split() if "xdp" in word)


def passing() -> Program:
    return Program("pass", PASS_EVERYTHING, "Apache-2.0")


def send_whole_checksums(interface: str) -> None:
    """As on a real wire: between virtual cards they are usually left out."""
    value = ctypes.create_string_buffer(struct.pack("II", _SET_SENDING_CHECKSUMS, 0))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        fcntl.ioctl(sock, _SIOCETHTOOL, struct.pack("16sP16x", interface.encode(), ctypes.addressof(value)))
