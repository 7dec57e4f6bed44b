"""Throws random and mutated datagrams at the responder: script/fuzz packets

Nothing may be raised, and no answer may be longer than its request. The same seed gives the same packets again.
"""

import json
from dataclasses import replace
from pathlib import Path

from tests.fuzz.harness import START, Fuzzer

from ntp_usg.core.base.errors import WireError
from ntp_usg.core.base.instants import MonoNs, WallNs
from ntp_usg.core.base.snapshots import Leap, ServingState
from ntp_usg.core.base.verdicts import Outcome
from ntp_usg.core.server.policy import ServerPolicy
from ntp_usg.core.server.responder import Reply, Responder
from ntp_usg.core.wire.extensions import walk_extensions
from ntp_usg.core.wire.header import Mode, parse_header
from ntp_usg.core.wire.trailer import mac_start

VECTORS = Path(__file__).parents[1] / "vectors" / "packets.json"
FRAME = 1600  # a bit more than any request may have
ERAS_NS = (1 << 32) * 1_000_000_000
MAX_CLIENTS = 48


class PacketFuzzer(Fuzzer):
    """Makes datagrams, some of them from what earlier answers said, and checks what becomes of them."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        document = json.loads(VECTORS.read_text())
        self.seeds = [bytes.fromhex(step["request"]) for v in document["vectors"] for step in v["steps"]]
        self.responders = [
            Responder(replace(ServerPolicy(**policy), max_clients=MAX_CLIENTS))
            for policy in document["policies"].values()
        ]
        self.answer = bytes(48)
        self.responder, self.client = self.responders[0], bytes(4)
        self.now = MonoNs(START)

    def piece(self) -> bytes:
        """One datagram: noise, a known request, or a known request spoilt in some places."""
        rng = self.random
        self.now = MonoNs(self.now + rng.randrange(20_000_000))
        if rng.random() < 0.1:
            return rng.randbytes(rng.choice((rng.randrange(64), 48, rng.randrange(FRAME))))
        data = bytearray(rng.choice(self.seeds))
        for _ in range(rng.choice((0, 1, 1, 2, 5))):
            rng.choice((self._flip, self._cut, self._grow, self._splice, self._quote, self._quote, self._extreme))(data)
        return bytes(data)

    def _flip(self, data: bytearray) -> None:
        if data:
            data[self.random.randrange(min(len(data), 96))] ^= 1 << self.random.randrange(8)

    def _cut(self, data: bytearray) -> None:
        del data[self.random.randrange(len(data) + 1) :]

    def _grow(self, data: bytearray) -> None:
        data += self.random.randbytes(4 * self.random.randrange(1, 20))

    def _splice(self, data: bytearray) -> None:
        at = self.random.randrange(len(data) + 1)
        data[at:] = self.random.choice(self.seeds)[at:]

    def _quote(self, data: bytearray) -> None:
        """Repeat a timestamp of the last answer as the origin: the receive timestamp asks for interleaved mode."""
        if len(data) >= 48:
            at = self.random.choice((24, 32, 32, 32, 40))
            data[24:32] = self.answer[at : at + 8]
            data[32:40] = self.random.randbytes(8)

    def _extreme(self, data: bytearray) -> None:
        """Fill an aligned word with an extreme value: lengths and timestamps break there."""
        if len(data) >= 4:
            at = 4 * self.random.randrange(len(data) // 4)
            data[at : at + 4] = self.random.choice((b"\0\0\0\0", b"\xff\xff\xff\xff", b"\0\0\0\x1c", b"\x01\x04\0\x1c"))

    def meet(self) -> None:
        """Turn to a responder in the name of a client; half the time to the same one in the same name."""
        rng = self.random
        if rng.random() < 0.5:
            return
        self.responder = rng.choice(self.responders)
        few = rng.randrange(20)
        self.client = rng.choice(
            (
                bytes((192, 0, 2, few)),
                bytes(10) + bytes((255, 255, 192, 0, 2, few)),
                bytes.fromhex("20010db8") + bytes((few,)) * 12,
                rng.randbytes(4),
                rng.randbytes(16),
            )
        )

    def state(self, now: MonoNs) -> ServingState:
        rng = self.random
        return ServingState(
            leap=rng.choice((*Leap, Leap.NONE, Leap.NONE)),
            stratum=rng.choice((1, 1, 1, 2, 15, 16)),
            precision=rng.randrange(-30, 0),
            root_delay=rng.choice((0.0, rng.random(), 1e9)),
            root_dispersion=rng.choice((0.0, rng.random(), 1e9, float("inf"))),
            reference_id=rng.randbytes(4),
            reference_time=WallNs(rng.choice((0, rng.randrange(2 * ERAS_NS)))),
            as_of=MonoNs(now - rng.randrange(10**10)),
            expires_at=MonoNs(now + rng.choice((-1, 0, 10**10, 10**10))),
            epoch=rng.choice((0, 0, 0, 1)),
        )

    def step(self, data: bytes) -> None:
        self.codecs(data)
        self.meet()
        rng, now = self.random, self.now
        receive_time = WallNs(rng.choice((now, now - now % 10**9, rng.randrange(-ERAS_NS, ERAS_NS))))
        view = rng.choice((data, memoryview(data)))
        reply = self.responder.respond(view, self.client, receive_time, self.state(now), now)
        self.events[f"{reply.verdict.outcome}/{reply.verdict.reason}"] += 1
        assert len(self.responder.clients) <= MAX_CLIENTS, "the client table is full, but grows"
        if reply.packet is not None:
            self.check(data, reply, WallNs(receive_time + rng.choice((0, 25_000))))
        else:
            assert reply.verdict.outcome is not Outcome.ANSWERED, "answered without an answer"

    def check(self, data: bytes, reply: Reply, transmit_time: WallNs) -> None:
        self.answer = bytes(reply.depart(transmit_time))
        assert reply.verdict.outcome is Outcome.ANSWERED, "an answer to what was not answered"
        assert len(self.answer) <= len(data), "the answer is longer than the request"
        header = parse_header(self.answer)
        kind = Mode.SYMMETRIC_PASSIVE if data[0] & 7 == Mode.SYMMETRIC_ACTIVE else Mode.SERVER
        assert (header.mode, header.version) == (kind, data[0] >> 3 & 7), "the answer is of another kind"
        assert header.origin_timestamp.to_bytes(8, "big") in (data[40:48], data[32:40]), "the answer is nobody's"
        assert header.receive_timestamp != header.transmit_timestamp, "RFC 9769 wants the two to differ"
        assert header.leap is Leap.UNSYNCHRONISED or header.stratum, "unsynchronised, but does not say so"

    @staticmethod
    def codecs(data: bytes) -> None:
        """No parser raises anything but WireError."""
        try:
            parse_header(data)
            list(walk_extensions(data))
            assert 48 <= mac_start(data) <= len(data)
        except WireError:
            pass
