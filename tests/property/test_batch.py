"""The batch responder is held to the responder: the same verdicts, the same octets, and the same memory of clients."""

from ipaddress import ip_address
from random import Random

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ntp_usg.core.base.instants import MonoNs, RawNs, WallNs
from ntp_usg.core.base.mapping import ClockMapping
from ntp_usg.core.base.snapshots import Leap, ServingState
from ntp_usg.core.base.verdicts import Outcome, Verdict
from ntp_usg.core.server.access_map import UNDECIDED
from ntp_usg.core.server.batch import ENDS, BatchResponder, Requests, to_ntp_many, wall_many
from ntp_usg.core.server.policy import ServerPolicy
from ntp_usg.core.server.responder import Responder
from ntp_usg.core.wire.timestamps import to_ntp

NOON = 1_771_243_200_000_000_000
DEPARTURE = WallNs(NOON + 25_000)
IPV4 = ["192.0.2.1", "192.0.2.2", "192.0.2.5", "203.0.113.1", "0.1.2.3", "255.255.255.255"]
IPV6 = ["2001:db8::1", "2001:db8::7", "2001:db8:0:1::1", "::1", "fe80::1", "ff02::1"]
FIRST_OCTETS = [0x23] * 6 + [0xE3, 0x1B, 0x13, 0x0B, 0x08, 0x03, 0x24, 0x16, 0x2B, 0x00]
LENGTHS = [48] * 12 + [0, 11, 12, 47, 49, 52, 68, 72, 1473]

Row = tuple[bytes, bytes, int]
End = tuple[Verdict, bytes | None]


def random_policy(random: Random) -> ServerPolicy:
    return ServerPolicy(
        allow=random.choice([None, None, (), ("192.0.2.0/24", "2001:db8::/32"), ("0.0.0.0/0", "::/0")]),
        deny=random.choice([(), ("192.0.2.4/30", "2001:db8:0:1::/64"), ("2001:db8::7",)]),
        rate_limit=random.random() < 0.5,
        packets_per_second=random.choice([0.5, 1.0, 1000.0]),
        burst_size=random.randrange(1, 6),
        interleaved=random.random() < 0.5,
        max_clients=800,
    )


def random_state(random: Random) -> ServingState:
    return ServingState(
        leap=random.choice([Leap.NONE, *Leap]),
        stratum=random.choice([1, 1, 2, 15, 16]),
        precision=random.randrange(-30, 0),
        root_delay=random.random(),
        root_dispersion=random.random(),
        reference_id=random.randbytes(4),
        reference_time=random.choice([WallNs(0), WallNs(NOON - 5)]),
        expires_at=MonoNs(random.choice([2**62, 2**62, 0])),
        epoch=random.choice([0, 0, 1]),
    )


def random_row(random: Random, clients: list[str], answers: list[bytes]) -> Row:
    """A datagram, its source, and when it came; some ask for interleaved answers by what an earlier answer said."""
    head = bytearray(random.choice([bytes(48), random.randbytes(48)]))
    head[0] = random.choice(FIRST_OCTETS)
    if answers and random.random() < 0.5:
        head[24:32] = random.choice(answers)[32:40]
    data = bytes(head).ljust(1473, b"\0")[: random.choice(LENGTHS)]
    return data, ip_address(random.choice(clients)).packed, NOON + random.randrange(3)


class Together:
    """The batch responder, and the responder behind it for what it leaves."""

    def __init__(self, policy: ServerPolicy) -> None:
        self.responder = Responder(policy)
        self.batches = BatchResponder(self.responder)

    def respond(self, rows: list[Row], state: ServingState, now: MonoNs) -> tuple[list[int], list[End]]:
        """The order in which the rows were decided, and the ends they came to."""
        heads = np.zeros((len(rows), 48), np.uint8)
        for row, (data, _, _) in enumerate(rows):
            heads[row, : len(data)] = memoryview(data[:48])
        sources = [int.from_bytes(source, "big") for _, source, _ in rows]
        ipv6 = len(rows[0][1]) == 16
        requests = Requests(
            heads,
            lengths=np.array([len(data) for data, _, _ in rows], np.uint32),
            address_high=np.array([source >> 64 for source in sources], np.uint64) if ipv6 else None,
            address_low=np.array([source & 2**64 - 1 for source in sources], np.uint64),
            receive_times=np.array([at for _, _, at in rows]),
        )
        answers = self.batches.respond(requests, state, now)
        self.batches.depart(answers, to_ntp(DEPARTURE), 0)
        order = sorted(range(len(rows)), key=lambda row: bool(answers.codes[row] == UNDECIDED))
        ends: list[End] = []
        for row in order:
            if answers.codes[row] == UNDECIDED:
                ends.append(alone(self.responder, rows[row], state, now))
            else:
                end = ENDS[answers.codes[row]]
                ends.append((end, heads[row].tobytes() if end.outcome is Outcome.ANSWERED else None))
        return order, ends


def remembered(responder: Responder) -> dict[bytes, tuple[int, int]]:
    return {record.address: (record.last_seen, record.hits) for record in responder.clients.records()}


def alone(responder: Responder, row: Row, state: ServingState, now: MonoNs) -> End:
    data, source, at = row
    reply = responder.respond(data, source, WallNs(at), state, now)
    return reply.verdict, None if reply.packet is None else bytes(reply.depart(DEPARTURE))


@given(seed=st.integers(0, 2**64))
def test_a_batch_comes_to_the_same_ends_as_its_requests_one_by_one(seed: int) -> None:
    random = Random(seed)
    policy, clients = random_policy(random), random.choice([IPV4, IPV6])
    together, oracle = Together(policy), Responder(policy)
    now, answers = 10**11, list[bytes]()
    for _ in range(random.randrange(1, 6)):
        now += random.choice([0, 1, 10**8, 3 * 10**9])
        state = random_state(random)
        rows = [random_row(random, clients, answers) for _ in range(random.randrange(1, 13))]
        order, ends = together.respond(rows, state, MonoNs(now))
        assert ends == [alone(oracle, rows[row], state, MonoNs(now)) for row in order]
        answers += [packet for _, packet in ends if packet]
    assert remembered(oracle) == remembered(together.responder)


@given(
    base=st.integers(0, 2**62),
    offset=st.integers(-(2**60), 2**60),
    rate=st.floats(-1e-3, 1e-3),
    slew_rate=st.sampled_from([0.0, 5e-4, -5e-4]),
    slew_ns=st.integers(0, 10**10),
    elapsed=st.lists(st.integers(-(10**10), 10**12), min_size=1),
)
def test_many_readings_are_mapped_like_each_of_them(
    base: int, offset: int, rate: float, slew_rate: float, slew_ns: int, elapsed: list[int]
) -> None:
    mapping = ClockMapping(base, offset, rate, slew_rate, slew_ns)
    readings = [base + each for each in elapsed]
    assert wall_many(mapping, np.array(readings)).tolist() == [mapping.wall(RawNs(each)) for each in readings]


@given(st.integers(-(2**60), 2**62), st.lists(st.integers(-1_250_000_000, 1_250_000_000)))
def test_many_instants_become_the_timestamps_of_each(first: int, later: list[int]) -> None:
    instants = [first, *(first + each for each in later)]
    assert to_ntp_many(np.array(instants)).tolist() == [to_ntp(WallNs(each)) for each in instants]
