"""The XDP program, in this machine's kernel but on no interface: frames are put to it one by one."""

import json
import random
import struct
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from ipaddress import ip_address
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ntp_usg.core.base.instants import MonoNs, WallNs
from ntp_usg.core.base.mapping import ClockMapping
from ntp_usg.core.base.snapshots import Leap, ServingState
from ntp_usg.core.base.verdicts import Outcome, Reason, Verdict
from ntp_usg.core.server.policy import ServerPolicy
from ntp_usg.core.server.ratelimit import KISS_INTERVAL_NS, RateLimit, leaks
from ntp_usg.core.server.responder import Responder
from ntp_usg.core.wire.header import parse_header
from ntp_usg.core.wire.timestamps import from_ntp
from ntp_usg.net.xdp import rules
from ntp_usg.net.xdp.endpoints import Listener, build_endpoints
from ntp_usg.net.xdp.fast_path import FastPath
from ntp_usg.net.xdp.state import STATE_BYTES
from ntp_usg.sysapi.bpf import XdpAction
from ntp_usg.sysapi.interfaces import Interface
from ntp_usg.sysapi.timex import read_clocks

FILE = json.loads((Path(__file__).parents[2] / "vectors/packets.json").read_text())
VECTORS: list[dict[str, Any]] = FILE["vectors"]

OUR_MAC, CLIENT_MAC, OTHER_MAC = b"\2\0\0\0\0\1", b"\2\0\0\0\0\2", b"\2\0\0\0\0\3"
OURS = ("198.51.100.1", "2001:db8:1::1")
PORT = 123
PLAIN = b"\x23\0\6\x20" + bytes(36) + b"\xed\x3d\x1f\0\x11\x22\x33\x44"

Tags = tuple[tuple[int, int], ...]
INTERFACES = {
    1: Interface(1, "eth0", OUR_MAC, tuple(ip_address(address).packed for address in OURS)),
    2: Interface(2, "eth0.100", OUR_MAC, (b"\xc6\x33\x64\1",), parent=1, vlan=100, vlan_protocol=0x8100),
    3: Interface(3, "eth0.100.7", OTHER_MAC, (b"\xc6\x33\x64\1",), parent=2, vlan=7, vlan_protocol=0x8100),
    4: Interface(4, "eth0.s9", OUR_MAC, (b"\xc6\x33\x64\1",), parent=1, vlan=9, vlan_protocol=0x88A8),
}
TAGGED: tuple[Tags, ...] = ((), ((0x8100, 100),), ((0x8100, 100), (0x8100, 7)), ((0x88A8, 9),))


def internet_sum(data: bytes) -> int:
    """RFC 1071; 0xFFFF over data that contain their own correct checksum."""
    padded = data + bytes(len(data) % 2)
    total: int = sum(struct.unpack(f"!{len(padded) // 2}H", padded))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return total


@dataclass(frozen=True)
class Datagram:
    """One UDP datagram in one Ethernet frame; VLAN tags are protocol and control word, the outer one first."""

    payload: bytes = PLAIN
    source: str = "192.0.2.1"
    destination: str = OURS[0]
    source_port: int = 40000
    port: int = PORT
    tags: Tags = ()
    from_mac: bytes = CLIENT_MAC
    to_mac: bytes = OUR_MAC

    def answered(self, payload: bytes) -> "Datagram":
        """The frame that answers this one."""
        ends = self.destination, self.source, self.port, self.source_port
        return Datagram(payload, *ends, self.tags, self.to_mac, self.from_mac)

    def build(self, *, checksum: bool = True) -> bytes:
        source, destination = ip_address(self.source).packed, ip_address(self.destination).packed
        length = 8 + len(self.payload)
        udp = struct.pack("!HHHH", self.source_port, self.port, length, 0) + self.payload
        if checksum:
            pseudo = source + destination + struct.pack("!HH", length, 17)
            udp = udp[:6] + struct.pack("!H", ~internet_sum(pseudo + udp) & 0xFFFF or 0xFFFF) + udp[8:]
        if len(source) == 4:
            start = struct.pack("!BBHHHBB", 0x45, 0, 20 + length, 1, 0x4000, 60, 17)
            ip = start + struct.pack("!H", ~internet_sum(start + source + destination) & 0xFFFF) + source + destination
        else:
            ip = struct.pack("!IHBB", 6 << 28, length, 17, 60) + source + destination
        tags = b"".join(struct.pack("!HH", *tag) for tag in self.tags)
        return self.to_mac + self.from_mac + tags + (b"\x08\0" if len(source) == 4 else b"\x86\xdd") + ip + udp


def request(source: str = "192.0.2.1", **changes: Any) -> Datagram:
    return Datagram(source=source, **{"destination": OURS[":" in source], **changes})


def parse_frame(frame: bytes) -> Datagram:
    """What a strict receiver makes of a frame. Raises AssertionError, struct.error or ValueError where it is none."""
    tags = []
    at = 12
    while (kind := struct.unpack_from("!H", frame, at)[0]) in (0x8100, 0x88A8):
        tags.append((kind, struct.unpack_from("!H", frame, at + 2)[0]))
        at += 4
    ip = frame[at + 2 :]
    if kind == 0x0800:
        first, _, total, _, fragment, _, protocol = struct.unpack_from("!BBHHHBB", ip)
        assert (first, fragment & ~0x4000) == (0x45, 0), "options, or a fragment"
        assert internet_sum(ip[:20]) == 0xFFFF, "header sum"
        assert (total, protocol) == (len(ip), 17), "no datagram, or something behind it"
        source, destination, udp = ip[12:16], ip[16:20], ip[20:]
    else:
        assert kind == 0x86DD, "neither IPv4 nor IPv6"
        first, length, protocol = struct.unpack_from("!IHB", ip)
        assert (first >> 28, length, protocol) == (6, len(ip) - 40, 17), "no datagram, or something behind it"
        source, destination, udp = ip[8:24], ip[24:40], ip[40:]
    source_port, port, length, checksum = struct.unpack_from("!HHHH", udp)
    assert length == len(udp), "UDP length"
    assert checksum or kind == 0x0800, "no sum, on IPv6"
    pseudo = source + destination + struct.pack("!HH", length, 17)
    assert not checksum or internet_sum(pseudo + udp) == 0xFFFF, "UDP sum"
    ends = str(ip_address(source)), str(ip_address(destination)), source_port, port
    return Datagram(udp[8:], *ends, tuple(tags), frame[6:12], frame[:6])


def good_state(**changes: Any) -> ServingState:
    host, now = read_clocks()
    state = ServingState(
        leap=Leap.NONE,
        stratum=1,
        root_dispersion=1e-6,
        reference_id=b"GPS\0",
        as_of=now,
        expires_at=MonoNs(now + 60_000_000_000),
        host_minus_mono_ns=host - now,
    )
    return replace(state, **changes)


class Trial:
    """The program under a policy, with a good state; `verdict` is the one that the last frame was counted under."""

    def __init__(self, path: FastPath) -> None:
        self.path = path
        self.verdict: Verdict | None = None
        listening = [Listener(bytes(4), PORT), Listener(bytes(16), PORT)]
        path.answer_at(build_endpoints(INTERFACES, ["eth0"], listening))
        path.publish(good_state())

    def put(self, frame: bytes, interface: int = 1) -> tuple[XdpAction, bytes]:
        before = self.path.counters()
        action, after, _ = self.path.run(frame, interface)
        counted = [verdict for verdict, count in self.path.counters().items() for _ in range(count - before[verdict])]
        assert len(counted) == (action is not XdpAction.PASS), "what is not left to others is counted, once"
        self.verdict = counted[0] if counted else None
        return action, after

    def ask(self, asked: Datagram) -> bytes | None:
        """The answer's payload, from a frame that is right in all else; None where it was dropped or left alone."""
        action, frame = self.put(asked.build())
        if action is not XdpAction.TRANSMIT:
            return None
        answer = parse_frame(frame)
        assert answer == asked.answered(answer.payload)
        return answer.payload

    def elapse(self, nanoseconds: int) -> None:
        """As if so much time had gone by, for the token buckets."""
        clients = self.path.rules.clients
        for address, value in list(clients.items()):
            due, next_kiss, last_seen, *others = rules.CLIENT.unpack(value)
            past = (max(time - nanoseconds, 0) for time in (due, next_kiss, last_seen))
            clients[address] = rules.CLIENT.pack(*past, *others)


@pytest.fixture
def trial(open_path: Callable[..., FastPath]) -> Callable[..., Trial]:
    """`trial(policy)`."""
    return lambda *policy, **options: Trial(open_path(*policy, **options))


STRETCH = 100_000_000
"""The vectors count nanoseconds, which pass too fast here: make them tenths of a second for the token buckets."""


@pytest.fixture
def slow_buckets(monkeypatch: pytest.MonkeyPatch) -> None:
    def stretched(rate: float, burst: int) -> SimpleNamespace:
        limit = RateLimit(rate, burst)
        return SimpleNamespace(interval_ns=limit.interval_ns * STRETCH, tolerance_ns=limit.tolerance_ns * STRETCH)

    monkeypatch.setattr(rules, "RateLimit", stretched)
    monkeypatch.setattr(rules, "KISS_INTERVAL_NS", KISS_INTERVAL_NS * STRETCH)


def state_of(step: dict[str, Any], receive_time: int) -> ServingState:
    """The state that a step names, moved to the present, and with a clock that shows the vector's time."""
    fields = FILE["states"][step.get("state", "gps")]
    host, now = read_clocks()
    moved = now - FILE["now"] - step.get("after_ns", 0)
    return ServingState(
        **fields
        | {
            "leap": Leap(fields["leap"]),
            "reference_id": bytes.fromhex(fields["reference_id"]),
            "as_of": fields["as_of"] + moved,
            "expires_at": fields["expires_at"] + moved,
        },
        mapping=ClockMapping(offset_ns=receive_time + step.get("after_ns", 0) - host),
        host_minus_mono_ns=host - now,
    )


def is_for_the_program(step: dict[str, Any], policy: ServerPolicy) -> bool:
    """Whether the program must decide about it: the opposite of what its first comment says."""
    asked, state = bytes.fromhex(step["request"]), step.get("state", "gps")
    good = state not in ("unsynchronised", "writer died", "half synchronised")
    plain = len(asked) == 48 and asked[0] & 0x3F in (0x23, 0x1B)
    loopback = ip_address(step.get("client", "192.0.2.1")).is_loopback
    return good and plain and not loopback and not (policy.interleaved and asked[31] & 1 and asked[32:40] != asked[40:])


def without_times(answer: bytes) -> bytes:
    kept = bytearray(answer)
    for start, end in FILE["time_fields"].values():
        kept[start:end] = bytes(end - start)
    return bytes(kept)


def check_times(answer: bytes, expected: bytes) -> None:
    """What takes its time on a live clock may be a little later than in the file, never earlier."""
    was, is_now = parse_header(expected), parse_header(answer)
    assert 0 <= is_now.root_dispersion - was.root_dispersion <= 2.1 / 65536
    near = WallNs(FILE["receive_time"])
    assert 0 <= from_ntp(is_now.receive_timestamp, near) - from_ntp(was.receive_timestamp, near) < 50_000_000
    took = from_ntp(is_now.transmit_timestamp, near) - from_ntp(is_now.receive_timestamp, near)
    assert 200 <= took <= 300
    assert (is_now.receive_timestamp & 1, is_now.transmit_timestamp & 1) == (1, 0)


@pytest.mark.usefixtures("slow_buckets")
@pytest.mark.parametrize("vector", VECTORS, ids=[vector["name"] for vector in VECTORS])
def test_the_program_answers_as_the_vectors_say_or_leaves_it_to_others(vector, trial):
    policy = ServerPolicy(**FILE["policies"][vector["policy"]])
    one, before = trial(policy), 0
    for step in vector["steps"]:
        one.elapse((step.get("after_ns", 0) - before) * STRETCH)
        before = step.get("after_ns", 0)
        one.path.publish(state_of(step, vector.get("receive_time", FILE["receive_time"])))
        client = ip_address(step.get("client", "192.0.2.1"))
        asked = request(str(getattr(client, "ipv4_mapped", None) or client), payload=bytes.fromhex(step["request"]))
        answer = one.ask(asked)
        assert (one.verdict is not None) == is_for_the_program(step, policy)
        if one.verdict is None and policy.rate_limit:
            return  # the others counted it in a bucket of theirs
        if one.verdict is not None:
            assert one.verdict == Verdict(Outcome(step["outcome"]), Reason(step["reason"]))
            assert (answer is None) == ("answer" not in step)
        if answer is not None:
            expected = bytes.fromhex(step["answer"])
            assert without_times(answer) == without_times(expected)
            check_times(answer, expected)


@pytest.mark.parametrize("tags", TAGGED, ids=str)
@pytest.mark.parametrize("source", ["192.0.2.1", "2001:db8::1"])
def test_tagged_frames_are_answered_on_their_own_vlan(trial, tags, source):
    to_mac = OTHER_MAC if len(tags) == 2 else OUR_MAC
    answer = trial().ask(request(source, tags=tags, to_mac=to_mac))
    assert (answer is not None) == (":" not in source or not tags)  # only IPv4 is configured on the VLANs


def test_the_answer_carries_the_traffic_class_and_its_priority_back(trial):
    _, frame = trial(traffic_class=46 << 2).put(request(tags=((0x8100, 0xE064),)).build())
    assert parse_frame(frame).tags == ((0x8100, 0xE064),)
    assert frame[19] == 46 << 2
    _, frame = trial(traffic_class=46 << 2).put(request("2001:db8::1").build())
    assert frame[14:16] == bytes([0x60 | 46 << 2 >> 4, (46 << 2 & 15) << 4])


def test_a_request_without_a_sum_is_answered_on_ipv4_only(trial):
    one = trial()
    assert one.put(request().build(checksum=False))[0] is XdpAction.TRANSMIT
    assert one.put(request("2001:db8::1").build(checksum=False))[0] is XdpAction.PASS


@pytest.mark.parametrize(
    "changes",
    [
        {"tags": ((0x8100, 101),)},
        {"tags": ((0x8100, 0),)},
        {"tags": ((0x88A8, 100),)},
        {"tags": ((0x8100, 100), (0x8100, 7), (0x8100, 7))},
        {"to_mac": OTHER_MAC},
        {"to_mac": b"\xff" * 6},
        {"to_mac": b"\1\0\x5e\0\1\1", "destination": "224.0.1.1"},
        {"destination": "198.51.100.255"},
        {"destination": "255.255.255.255"},
        {"destination": "198.51.100.2"},
        {"source": OURS[0]},
        {"source": OURS[1], "destination": OURS[1]},
        {"source": "::ffff:192.0.2.1", "destination": OURS[1]},
        {"source": "127.0.0.1"},
        {"source": "::1", "destination": OURS[1]},
        {"source_port": 0},
        {"port": 124},
        {"payload": PLAIN + bytes(4)},
        {"payload": PLAIN[:47]},
    ],
    ids=str,
)
def test_what_is_odd_is_left_to_others(trial, changes):
    assert trial().put(request(**changes).build())[0] is XdpAction.PASS


@pytest.mark.parametrize("source", ["192.0.2.1", "2001:db8::1"])
def test_no_damaged_or_longer_frame_is_answered(trial, source):
    """Each bit of the request that a sum protects, or on which it depends whether it is one."""
    one, frame = trial(), request(source).build()
    free = set(range(6, 12)) | ({20, 21, 22} if ":" in source else set())  # the client's MAC; flow label, hops
    free |= {15, 21} if ":" in source else set()
    for at in sorted(set(range(len(frame))) - free):
        for bit in range(8):
            spoilt = bytearray(frame)
            spoilt[at] ^= 1 << bit
            allowed = ":" in source and (at in (14, 16, 17) and (at, bit >= 4) != (14, True))
            assert allowed or one.put(bytes(spoilt))[0] is XdpAction.PASS, f"octet {at}, bit {bit}"
    assert one.put(frame + b"\0")[0] is XdpAction.PASS
    for length in range(14, len(frame)):
        assert one.put(frame[:length])[0] is XdpAction.PASS


@pytest.mark.parametrize(
    "change",
    [
        {"leap": Leap.UNSYNCHRONISED},
        {"stratum": 16},
        {"expires_at": MonoNs(0)},
        {"host_minus_mono_ns": 0},
        {"root_dispersion": float("nan")},
        {"root_dispersion": 1e6},
    ],
    ids=str,
)
def test_a_state_that_is_no_good_is_left_to_others(trial, change):
    one = trial()
    assert one.ask(request()) is not None
    one.path.publish(good_state(**change))
    assert one.ask(request()) is None
    one.path.publish(good_state())
    assert one.ask(request()) is not None


def test_a_clock_that_was_stepped_is_noticed(trial):
    one = trial()
    for step, noticed in ((50_000, False), (-50_000, False), (250_000, True), (-250_000, True)):
        state = good_state()
        one.path.publish(replace(state, host_minus_mono_ns=state.host_minus_mono_ns + step))
        assert (one.ask(request()) is None) == noticed


def test_a_state_half_written_is_not_used(trial):
    one = trial()
    memory = one.path._memory
    assert one.ask(request()) is not None
    for at in range(2 * STATE_BYTES, 3 * STATE_BYTES):  # the first state goes into the second slot
        former = memory[at]
        memory[at] ^= 0x10
        assert one.ask(request()) is None, at
        memory[at] = former


def test_a_program_before_the_first_state_answers_nothing(trial):
    one = trial()
    one.path._memory[:] = bytes(len(one.path._memory))
    assert one.ask(request()) is None


def test_the_mapping_is_followed_slew_and_all(trial):
    one = trial()
    host, _ = read_clocks()
    mapping = ClockMapping(
        base_ns=host - 1_000_000_000, offset_ns=-7_000_000_000, rate=2e-4, slew_rate=-5e-4, slew_ns=1_000_000_000
    )
    one.path.publish(good_state(mapping=mapping))
    for _ in range(20):
        before, _ = read_clocks()
        answer = one.ask(request())
        after, _ = read_clocks()
        received = from_ntp(parse_header(answer).receive_timestamp, WallNs(host))
        assert mapping.wall(before) - 1000 <= received <= mapping.wall(after) + 1000


def test_a_new_policy_takes_over_and_an_impossible_one_changes_nothing(trial):
    one = trial(ServerPolicy(packets_per_second=0.001, burst_size=1))
    assert one.ask(request()) is not None
    with pytest.raises(ValueError, match="nonsense"):
        one.path.adopt(ServerPolicy(deny=("nonsense",)))
    assert (one.put(request().build()), one.verdict)[1] == Verdict(Outcome.ANSWERED, Reason.RATE_KISS)
    one.path.adopt(ServerPolicy(deny=("192.0.2.0/24",)))
    assert (one.put(request().build()), one.verdict)[1] == Verdict(Outcome.DROPPED, Reason.ACCESS_DENIED)
    one.path.adopt(ServerPolicy(packets_per_second=0.001, burst_size=1))
    assert (one.put(request().build()), one.verdict)[1] == Verdict(Outcome.ANSWERED, Reason.BASIC)


@pytest.mark.fault(
    group="Attacks",
    kind="Requests claim to come from a broadcast address, from one of ours, or from an address that nobody can have.",
    noticed="ntp_usg_queries_total counts them as dropped/bad_source, with XDP as without.",
    served="No answer to them; time as before to all others.",
)
def test_sources_that_no_frame_can_come_from_are_dropped_and_what_the_lists_say_returns(trial):
    one, dropped = (
        trial(ServerPolicy(deny=("192.0.2.7",), rate_limit=False)),
        Verdict(Outcome.DROPPED, Reason.BAD_SOURCE),
    )
    refused = ("192.0.2.255", "192.0.2.7", "2001:db8::9")
    one.path.refuse_sources({ip_address(source).packed for source in refused})
    for source in (*refused, "240.0.0.1", "255.255.255.255", "224.0.0.1", "0.1.2.3", "ff02::1"):
        assert one.ask(request(source)) is None
        assert one.verdict == dropped, source
    assert one.ask(request("192.0.2.254")) is not None
    one.path.adopt(ServerPolicy(deny=("192.0.2.7",), rate_limit=False))
    assert (one.ask(request("192.0.2.255")), one.verdict) == (None, dropped)
    one.path.refuse_sources(frozenset())
    assert one.ask(request("192.0.2.255")) is not None
    assert one.ask(request("2001:db8::9")) is not None
    assert (one.ask(request("192.0.2.7")), one.verdict) == (None, Verdict(Outcome.DROPPED, Reason.ACCESS_DENIED))


def test_refused_requests_leak_as_the_key_says(trial):
    policy, key = ServerPolicy(packets_per_second=0.001, burst_size=1), 0x0123_4567_89AB_CDEF
    one = trial(policy, leak_key=key)
    verdicts = []
    for _ in range(200):
        one.ask(request())
        verdicts.append(one.verdict)
    basic = Verdict(Outcome.ANSWERED, Reason.BASIC)
    assert verdicts[1] == Verdict(Outcome.ANSWERED, Reason.RATE_KISS)
    assert [each == basic for each in verdicts[2:]] == [leaks(number, key) for number in range(3, 201)]


def test_who_has_asked_is_known(trial):
    one, (_, before) = trial(), read_clocks()
    for source, times in (("192.0.2.1", 3), ("2001:db8::1", 1)):
        for _ in range(times):
            one.ask(request(source))
    records = list(one.path.client_table().records())
    hits = {str(ip_address(record.address)): record.hits for record in records}
    assert hits == {"192.0.2.1": 3, "2001:db8::1": 1}
    assert all(before <= record.first_seen <= record.last_seen <= read_clocks()[1] for record in records)


def test_more_clients_than_it_remembers_are_answered_all_the_same(trial):
    one = trial(ServerPolicy(max_clients=1))
    for number in range(5000):
        if number % 500 == 0:  # a state is good for four seconds
            one.path.publish(good_state())
        assert one.ask(request(f"10.9.{number >> 8}.{number & 255}")) is not None
    assert 0 < len(one.path.rules.clients) <= 1024


class Chaos:
    """Frames that are requests, nearly requests, and noise."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        clients = ["192.0.2.1", "192.0.2.200", "203.0.113.9", "10.1.2.3", "2001:db8::1", "2001:db8:bad::1", "fe80::1"]
        self.clients = [*clients, *clients[:1] * 5, "0.1.2.3", "224.0.0.1", "127.0.0.9", "::1", "ff02::1", *OURS]

    def frame(self) -> bytes:
        rng = self.random
        payload = bytearray(PLAIN)
        for _ in range(rng.choice((0, 0, 0, 1, 2))):
            payload[rng.choice((0, rng.randrange(48)))] = rng.randrange(256)
        if rng.random() < 0.05:
            payload = bytearray(rng.randbytes(rng.randrange(100)))
        asked = request(
            rng.choice(self.clients),
            payload=bytes(payload),
            source_port=rng.choice((40000, 123, 0)) if rng.random() < 0.1 else 40000,
            tags=rng.choice(TAGGED) if rng.random() < 0.2 else (),
        )
        frame = bytearray(asked.build(checksum=rng.random() > 0.05))
        for _ in range(rng.choice((0, 0, 0, 0, 0, 1, 3))):
            frame[rng.randrange(len(frame))] = rng.randrange(256)
        if rng.random() < 0.05:
            frame[rng.randrange(14, len(frame)) :] = rng.randbytes(rng.randrange(40))
        return bytes(frame)


def test_no_frame_at_all_is_answered_otherwise_than_the_responder_would(trial):
    """A hundred thousand frames; what the program decides is compared with the oracle, the rest it may leave alone."""
    lists = ServerPolicy(
        rate_limit=False, allow=("192.0.2.0/24", "2001:db8::/32"), deny=("192.0.2.128/25", "2001:db8:bad::/48")
    )
    one, oracle, chaos, state = trial(lists), Responder(lists), Chaos(seed=5), good_state()
    one.path.publish(state)
    seen: Counter[str] = Counter()
    for number in range(100_000):
        if number % 1_000 == 0:  # a state is good for four seconds
            one.path.publish(state)
        frame = chaos.frame()
        action, after, _ = one.path.run(frame)
        seen[action.name] += 1
        if action is XdpAction.PASS:
            assert after == frame
            continue
        asked = parse_frame(frame)
        vlans = tuple((protocol, control & 0xFFF) for protocol, control in asked.tags)
        place = INTERFACES[TAGGED.index(vlans) + 1]
        assert (asked.to_mac, asked.port) == (place.mac, PORT)
        assert ip_address(asked.destination).packed in place.addresses
        assert asked.source_port
        reply = oracle.respond(asked.payload, ip_address(asked.source).packed, WallNs(0), state, state.as_of)
        if action is XdpAction.DROP:
            assert reply.verdict.reason in (Reason.ACCESS_DENIED, Reason.NOT_ALLOWED, Reason.BAD_SOURCE)
            continue
        answer = parse_frame(after)
        assert answer == asked.answered(answer.payload)
        assert without_times(answer.payload) == without_times(bytes(reply.depart(WallNs(0))))
    assert min(seen["TRANSMIT"], seen["DROP"], seen["PASS"]) > 10_000
    counts = one.path.counters()
    assert sum(counts.values()) == seen["TRANSMIT"] + seen["DROP"]
    assert min(counts[Verdict(Outcome.DROPPED, reason)] for reason in (Reason.ACCESS_DENIED, Reason.NOT_ALLOWED)) > 1000
