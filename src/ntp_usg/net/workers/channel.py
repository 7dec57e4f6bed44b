"""What control and worker tell each other over their socket pair, which keeps message boundaries (SOCK_SEQPACKET).

The worker reads hostile packets, so control believes its messages no more than a packet: what is odd is a WireError.
"""

import json
import socket
import struct
from dataclasses import asdict
from enum import IntEnum
from typing import Any

from ntp_usg.core.base.errors import WireError
from ntp_usg.core.server.policy import ServerPolicy
from ntp_usg.net.addresses import SocketAddress
from ntp_usg.net.service import Route
from ntp_usg.sysapi.timestamping import LocalAddress

MAX_MESSAGE = 32 * 1024
"""Bytes; only policies come near it, and are cut up where they exceed it."""

# Lengths of the two addresses first, which also tell IPv4 from IPv6; then socket, interface, port, flow label, scope.
_ROUTE = struct.Struct("!BBHIHII16s16s")


class Kind(IntEnum):
    """The first byte of a message."""

    READY = 1
    """Worker: it has its first policy, and waits for the word to serve."""
    REQUEST = 2
    """Worker: a packet that is not for it; a route and the packet."""
    ANSWER = 3
    """Control: send this; a route and the packet."""
    POLICY_PART = 4
    """Control: a policy as JSON, in as many messages as it takes ..."""
    POLICY_END = 5
    """... with this kind for the last."""
    SERVE = 6
    """Control: serve the sockets from now on."""
    STOP = 7
    """Control: end. Where the channel closes without this, control has died, and its last state may still be served."""
    BEAT = 8
    """Control: show that you live."""


def parse_message(message: bytes) -> tuple[Kind, bytes]:
    """Split a message into its kind and its body. Raises WireError at an unknown kind."""
    try:
        return Kind(message[0]), message[1:]
    except (IndexError, ValueError) as error:
        raise WireError("a message of unknown kind on the worker's channel") from error


def build_packet(kind: Kind, route: Route, packet: bytes) -> bytes:
    """A REQUEST or an ANSWER."""
    local, (host, port, *rest) = route.local or LocalAddress(b"", 0), route.client
    flow, scope = rest or (0, 0)
    client = socket.inet_pton(socket.AF_INET6 if rest else socket.AF_INET, host)
    lengths = len(client), len(local.packed)
    return (
        bytes([kind])
        + _ROUTE.pack(*lengths, route.endpoint, local.interface, port, flow, scope, client, local.packed)
        + packet
    )


def parse_packet(body: bytes) -> tuple[Route, bytes]:
    """Undo build_packet. Raises WireError where addresses are not of one family, or the body is too short."""
    if len(body) < _ROUTE.size:
        raise WireError("a packet without its route on the worker's channel")
    client_length, local_length, endpoint, interface, port, flow, scope, client, local = _ROUTE.unpack_from(body)
    if client_length not in {4, 16} or local_length not in {0, client_length}:
        raise WireError("a route of no known family on the worker's channel")
    host = socket.inet_ntop(socket.AF_INET if client_length == 4 else socket.AF_INET6, client[:client_length])
    address: SocketAddress = (host, port) if client_length == 4 else (host, port, flow, scope)
    asked = LocalAddress(local[:local_length], interface) if local_length else None
    return Route(endpoint, asked, address), body[_ROUTE.size :]


def build_policy(policy: ServerPolicy) -> list[bytes]:
    """The messages that carry a policy of any size."""
    text = json.dumps(asdict(policy)).encode()
    size = MAX_MESSAGE - 1
    parts = [text[at : at + size] for at in range(0, len(text), size)]
    return [bytes([Kind.POLICY_PART]) + part for part in parts[:-1]] + [bytes([Kind.POLICY_END]) + parts[-1]]


def parse_policy(text: bytes) -> ServerPolicy:
    """Undo build_policy, its parts put together again; control's word is trusted."""
    values: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in json.loads(text).items()
    }
    return ServerPolicy(**values)
