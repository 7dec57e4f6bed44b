"""Which of several sockets on one port gets a datagram (socket(7), SO_ATTACH_REUSEPORT_CBPF)."""

import ctypes
import secrets
import socket
import struct

_SO_ATTACH_REUSEPORT_CBPF = 51
_INSTRUCTION = struct.Struct("=HBBI")
_NETWORK_HEADER = 0xFFF00000
"""SKF_NET_OFF: from here on offsets count from the beginning of the IP header."""

# Classic BPF (linux/bpf_common.h): load a word from the packet, move to and from X, compute, return A.
_LOAD, _TO_X, _ADD_X, _XOR_X, _MULTIPLY, _SHIFT, _MODULO, _RETURN = 0x20, 0x07, 0x0C, 0xAC, 0x24, 0x74, 0x94, 0x16
_SPREAD = 0x9E3779B1
"""An odd number near 2**32 over the golden ratio: its product's high bits depend on all bits of a sum."""


def steer_by_source(endpoint: socket.socket, number: int) -> None:
    """Have all datagrams of one source address go to the same of `number` sockets that share the endpoint's port.

    So one worker sees the whole of a client: its rate, and its last answer for interleaved mode. Each word of the
    address is multiplied by a secret of its own: nobody can choose addresses that all go to the same worker.
    """
    words = [8, 12, 16, 20] if endpoint.family == socket.AF_INET6 else [12]
    program: list[tuple[int, int]] = []
    for offset in words:
        program += [(_LOAD, _NETWORK_HEADER + offset), (_MULTIPLY, secrets.randbits(32) | 1), (_ADD_X, 0), (_TO_X, 0)]
    program += [(_SHIFT, 15), (_XOR_X, 0), (_MULTIPLY, _SPREAD)]
    program += [(_SHIFT, 16), (_MODULO, number), (_RETURN, 0)]
    code = b"".join(_INSTRUCTION.pack(operation, 0, 0, value) for operation, value in program)
    buffer = ctypes.create_string_buffer(code, len(code))
    # struct sock_fprog: how many instructions, and where they are.
    header = struct.pack("@HP", len(program), ctypes.addressof(buffer))
    endpoint.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_REUSEPORT_CBPF, header)
