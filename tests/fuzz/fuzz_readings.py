"""Throws random and mutated bytes at what other programs hand us: script/fuzz readings

SOCK datagrams, shared memory and gpsd's lines: nothing but WireError may be raised, and no reading may be used that is
not of the moment. The same seed gives the same bytes again.
"""

import json
import random
import struct
from collections.abc import Callable

from tests.fuzz.harness import Fuzzer, judge

from ntp_usg.core.base.errors import WireError
from ntp_usg.core.base.instants import NS_PER_SECOND, HostNs, nanoseconds
from ntp_usg.core.base.samples import Measurement
from ntp_usg.core.receivers.gpsd import TimeReport, parse_report
from ntp_usg.refclocks.shm import parse_record
from ntp_usg.refclocks.sock import MAGIC, parse_sock_sample

SECOND = 1_795_300_000
NOW = HostNs(SECOND * NS_PER_SECOND + 1)
INTEGERS = [-(2**63), -(2**31), -1, 0, 1, 2, 3, 4, 999_999, 1_000_000, SECOND, 2**31 - 1]
OFFSETS = [0.0, -0.0, 1.5, -1e9, 1e9, 1e300, -1e300, 5e-324, float("inf"), float("nan")]
VALUES: list[object] = [
    *INTEGERS,
    2**63 - 1,
    2**64,
    10**4000,
    0.5,
    float("nan"),
    None,
    True,
    "",
    "/dev/gps",
    "\x1b",
    [],
    {},
    [[[]]],
]
TIME: dict[str, object] = {
    "class": "PPS",
    "device": "/dev/gps",
    "real_sec": SECOND,
    "real_nsec": 0,
    "clock_sec": SECOND,
    "clock_nsec": 0,
}
REPORTS: list[dict[str, object]] = [
    {**TIME, "precision": -20},
    {**TIME, "class": "TOFF"},
    {"class": "VERSION", "release": "3.22"},
    {"class": "TPV", "device": "/dev/gps", "mode": 3},
    {"class": "DEVICE", "path": "/dev/gps", "activated": 0},
]


def integer(rng: random.Random) -> int:
    return rng.choice(INTEGERS) if rng.random() < 0.2 else SECOND


def clipped(value: int, bits: int) -> int:
    return max(-1 << bits - 1, min(value, (1 << bits - 1) - 1))


def sock(rng: random.Random) -> bytes:
    bits, letters = rng.choice(((64, "=qqdiiii"), (32, "=iidiiii")))
    offset = rng.choice(OFFSETS) if rng.random() < 0.5 else rng.uniform(-2, 2)
    small = [rng.choice((0, 0, 1, 2, 5, -1)) for _ in range(3)]
    return struct.pack(letters, clipped(integer(rng), bits), rng.choice((0, 0, -1, 10**6)), offset, *small, MAGIC)


def memory(rng: random.Random) -> bytes:
    bits, letters = rng.choice(((64, "=2iqi4xq5i2I36x"), (32, "=10i2I32x")))
    clock, host = clipped(integer(rng), bits), clipped(integer(rng), bits)
    micro = [rng.choice((0, 0, 0, -1, 10**6)) for _ in range(2)]
    small = [rng.choice((0, 0, 1, -20, 2**31 - 1, -(2**31))) for _ in range(3)]
    ns = [rng.choice((0, 999, 2**32 - 1)) for _ in range(2)]
    return struct.pack(letters, rng.choice((0, 1, 1, 2)), 2, clock, micro[0], host, micro[1], *small, 1, *ns)


def line(rng: random.Random) -> bytes:
    report = dict(rng.choice(REPORTS))
    if rng.random() < 0.6:
        report[rng.choice(sorted(report))] = rng.choice(VALUES)
    if rng.random() < 0.1:
        return rng.choice((b"[", b'{"a":', b"-", b"9", b'"')) * rng.choice((1, 900, 16_000))
    return json.dumps(report).encode()


def read_sock(data: bytes) -> Measurement:
    sample = parse_sock_sample(data)
    return Measurement(sample.at, nanoseconds(sample.offset), 1e-6, sample.leap)


def read_memory(data: bytes) -> Measurement:
    if len(data) not in (80, 96):
        raise WireError("a segment is always attached at one of its two sizes")
    record = parse_record(data)
    return Measurement(record.received_at, record.clock_ns - record.received_at, 1e-6, record.leap)


def read_line(data: bytes) -> Measurement | None:
    report = parse_report(data)
    if not isinstance(report, TimeReport):
        return None
    return Measurement(report.host, report.real - report.host, 2.0**report.precision)


SOURCES: dict[str, tuple[Callable[[random.Random], bytes], Callable[[bytes], Measurement | None]]] = {
    "sock": (sock, read_sock),
    "memory": (memory, read_memory),
    "gpsd": (line, read_line),
}


class ReadingFuzzer(Fuzzer):
    """Pieces of all three, in any order."""

    def piece(self) -> bytes:
        self.source = self.random.choice(sorted(SOURCES))
        return self.spoil(SOURCES[self.source][0](self.random))

    def spoil(self, data: bytes) -> bytes:
        """Damage in most places leaves numbers that are only strange."""
        rng = self.random
        if rng.random() < 0.6 or not data:
            return data
        at = rng.randrange(len(data))
        match rng.randrange(3):
            case 0:
                return data[:at]
            case 1:
                return data[:at] + rng.randbytes(rng.choice((1, 4))) + data[at + 1 :]
            case _:
                return rng.randbytes(len(data))

    def step(self, data: bytes) -> None:
        try:
            reading = SOURCES[self.source][1](data)
            end = "no reading" if reading is None else judge(reading, NOW)
        except WireError:
            end = "refused"
        self.events[f"{self.source}, {end}"] += 1
