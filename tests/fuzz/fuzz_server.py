"""Throws random and mutated datagrams at a running server: python -m tests.fuzz.fuzz_server 127.0.0.1:123

Sends from many loopback addresses. No answer may be longer than its request, and a plain one afterwards is answered.
"""

import argparse
import selectors
import socket
import sys

from tests.fuzz.fuzz_packets import PacketFuzzer

CLIENTS = 50
WINDOW = 32
PLAIN = bytes([0x23]) + bytes(39) + b"\x5a" * 8


class Bombardment:
    """Sockets on many addresses, and what is known of the requests that they sent."""

    def __init__(self, target: tuple[str, int], seed: int) -> None:
        self.fuzzer = PacketFuzzer(seed)
        self.target = target
        self.selector = selectors.DefaultSelector()
        self.sockets = [self._open(f"127.0.1.{number + 1}") for number in range(CLIENTS)]
        self.lengths: dict[bytes, int] = {}
        self.answered = self.longer = self.strange = 0

    def _open(self, address: str) -> socket.socket:
        endpoint = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        endpoint.bind((address, 0))
        self.selector.register(endpoint, selectors.EVENT_READ)
        return endpoint

    def send(self, data: bytes) -> None:
        # An answer repeats one of these two as its origin: by it the request is found again.
        for origin in (data[40:48], data[32:40]):
            self.lengths[origin] = max(len(data), self.lengths.get(origin, 0))
        self.fuzzer.random.choice(self.sockets).sendto(data, self.target)

    def collect(self, patience: float) -> None:
        """Take in all answers that have come, and wait a little for the first."""
        while ready := self.selector.select(patience):
            for key, _ in ready:
                assert isinstance(key.fileobj, socket.socket)
                self._check(key.fileobj.recv(4096))
            patience = 0.0

    def _check(self, answer: bytes) -> None:
        self.answered += 1
        self.fuzzer.answer = answer.ljust(48, b"\0")[:48]
        asked = self.lengths.get(answer[24:32])
        self.strange += asked is None
        self.longer += asked is not None and len(answer) > asked


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("server", metavar="ADDRESS:PORT")
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    address, _, port = options.server.rpartition(":")
    bombardment = Bombardment((address, int(port)), options.seed)
    for number in range(options.count):
        bombardment.send(bombardment.fuzzer.piece())
        if number % WINDOW == 0:
            bombardment.collect(0.001)
    bombardment.collect(0.5)
    before = bombardment.answered
    bombardment.send(PLAIN)
    bombardment.collect(2.0)
    alive = bombardment.answered > before
    print(
        f"{options.count} datagrams, {bombardment.answered} answers, longer than their request: {bombardment.longer}, "
        f"to nobody's question: {bombardment.strange}, a plain request afterwards: {'answered' if alive else 'LOST'}"
    )
    return 0 if alive and not bombardment.longer and not bombardment.strange else 1


if __name__ == "__main__":
    sys.exit(main())
