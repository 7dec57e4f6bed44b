"""Throws random and mutated answers at the client: script/fuzz client

Nothing may be raised, no request may come too early, and only the answer to the latest one may become a measurement.
The same seed gives the same packets again.
"""

from tests.fuzz.harness import Fuzzer

from ntp_usg.core.associations.client import ClientAssociation
from ntp_usg.core.associations.settings import AssociationSettings
from ntp_usg.core.base.instants import MonoNs, RawNs, WallNs
from ntp_usg.core.base.samples import Exchange
from ntp_usg.core.base.snapshots import Leap
from ntp_usg.core.wire.header import Header, Mode, build_header, parse_header
from ntp_usg.core.wire.timestamps import to_ntp

START_NS = 1_771_243_200_000_000_000
KISSES = (b"RATE", b"DENY", b"RSTR", b"INIT", b"XXXX", b"GPS\0")


class ClientFuzzer(Fuzzer):
    """Plays the server, the network and an attacker who sees nothing, or everything."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.begin()

    def begin(self) -> None:
        """A new association, as for another address after a DENY."""
        rng = self.random
        polls = sorted(rng.randrange(-7, 18) for _ in range(2))
        self.settings = AssociationSettings(
            name="x",
            version=rng.choice((3, 4)),
            min_poll=polls[0],
            max_poll=polls[1],
            iburst=rng.random() < 0.5,
            burst=rng.random() < 0.3,
        )
        self.now = MonoNs(rng.randrange(10**15))
        self.association = ClientAssociation(self.settings, rng.getrandbits, self.now)
        self.association.own_reference_id = b"\x7f\0\0\1"
        self.origins = [0]
        self.open = False
        self.ahead_ns = rng.choice((0, rng.randrange(-(10**18), 10**18)))

    def ask(self) -> None:
        association = self.association
        assert association.timer(MonoNs(association.deadline() - 1)) is None, "asked too early"
        self.now = MonoNs(max(self.now, association.deadline()))
        request = association.timer(self.now)
        assert request is not None, "not asked in time"
        header = parse_header(request)
        nonce = header.transmit_timestamp
        assert nonce, "a request without a random number"
        expected = Header(version=self.settings.version, poll=header.poll, transmit_timestamp=nonce)
        assert header == expected, "a request that tells more than it must"
        self.origins.append(nonce)
        association.sent(RawNs(START_NS + self.now))
        self.open = True

    def answer(self) -> bytes:
        rng = self.random
        if rng.random() < 0.05:
            return rng.randbytes(rng.randrange(200))
        time = to_ntp(WallNs(START_NS + self.now + self.ahead_ns))
        header = Header(
            leap=rng.choice((*Leap, Leap.NONE, Leap.NONE, Leap.NONE)),
            version=rng.randrange(1, 5),
            mode=rng.choice((*Mode, *[Mode.SERVER] * 8)),
            stratum=rng.choice((0, 1, 1, 1, 2, 2, 15, 16, 255)),
            poll=rng.randrange(-128, 128),
            precision=rng.choice((-20, -20, -20, rng.randrange(-128, 128))),
            root_delay=rng.choice((0.0, 0.0, rng.random(), 65535.0)),
            root_dispersion=rng.choice((0.0, 0.0, rng.random(), 65535.0)),
            reference_id=rng.choice((*KISSES, *[b"GPS\0"] * 3, b"\x7f\0\0\1")),
            reference_timestamp=rng.choice((0, 0, time, rng.getrandbits(64))),
            origin_timestamp=rng.choice((*self.origins[-1:] * 6, rng.choice(self.origins), rng.getrandbits(64))),
            receive_timestamp=rng.choice((*[time] * 6, 0, rng.getrandbits(64))),
            transmit_timestamp=rng.choice((*[time] * 6, 0, rng.getrandbits(64))),
        )
        data = bytearray(build_header(header))
        if rng.random() < 0.2:
            data += rng.randbytes(rng.randrange(80))
        if rng.random() < 0.1:
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        return bytes(data)

    def step(self, data: bytes) -> None:
        rng, association = self.random, self.association
        self.now = MonoNs(self.now + rng.choice((0, rng.randrange(10**6), rng.randrange(10**9), rng.randrange(10**10))))
        at = RawNs(START_NS + self.now + rng.choice((*[0] * 8, rng.randrange(-(10**19), 10**19))))
        result = association.receive(data, at, self.now)
        if isinstance(result, Exchange):
            assert self.open, "a measurement without a question"
            assert parse_header(data).origin_timestamp == self.origins[-1], "a measurement of another question"
            assert 0 < result.sample.delay + result.sample.dispersion < 4, "a measurement that tells nothing"
            assert association.reach & 1, "heard, but not reachable"
            self.open = False
            self.events["exchange"] += 1
        else:
            self.events[result] += 1
        assert self.settings.min_poll <= association.poll <= self.settings.max_poll, "a poll out of range"
        if rng.random() < 0.1:
            association.set_poll(rng.randrange(-128, 128))

    def piece(self) -> bytes:
        """What arrives next; before it, perhaps, the next question."""
        if self.association.refused is not None or self.random.random() < 0.001:
            self.begin()
        if self.random.random() < 0.5:
            self.ask()
        del self.origins[:-20]
        return self.answer()
