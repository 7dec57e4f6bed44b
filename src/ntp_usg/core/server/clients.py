"""What the server remembers of its clients: a bounded table that forgets whoever has been silent longest."""

from collections import OrderedDict

from ntp_usg.core.base.instants import MonoNs


class Client:
    """What is known of one address."""

    __slots__ = ("due", "epoch", "hits", "last_seen", "next_kiss", "receive_timestamp", "transmit_timestamp")

    def __init__(self) -> None:
        self.hits = 0
        self.last_seen = MonoNs(0)
        self.due = 0
        """When its token bucket is full again, on the monotonic clock; see `ratelimit`."""
        self.next_kiss = 0
        """Before this it gets no further kiss-o'-death."""
        self.receive_timestamp = 0
        """When its last request came and our answer left, as 64-bit NTP timestamps: for interleaved mode."""
        self.transmit_timestamp = 0
        """0 = nothing to interleave with."""
        self.epoch = 0
        """The clock's epoch that both belong to."""


class ClientTable:
    """The clients by packed address, the least recent first; every operation on one client takes constant time."""

    def __init__(self, max_clients: int) -> None:
        self._clients: OrderedDict[bytes, Client] = OrderedDict()
        self.resize(max_clients)

    def __len__(self) -> int:
        return len(self._clients)

    def visit(self, address: bytes, now: MonoNs) -> Client:
        """The record of a client that has just sent something."""
        client = self._clients.get(address)
        if client is None:
            if len(self._clients) >= self._max_clients:
                self._clients.popitem(last=False)
            client = self._clients[address] = Client()
        else:
            self._clients.move_to_end(address)
        client.hits += 1
        client.last_seen = now
        return client

    def resize(self, max_clients: int) -> None:
        """Change the bound, and forget the least recent clients where it is now exceeded."""
        if max_clients < 1:
            raise ValueError(f"max_clients is {max_clients}, but must be 1 or more")
        self._max_clients = max_clients
        while len(self._clients) > max_clients:
            self._clients.popitem(last=False)

    def refill(self) -> None:
        """Fill every token bucket, as a new rate asks for: `due` was counted in intervals of the old one."""
        for client in self._clients.values():
            client.due = 0
