"""Throws what receivers, programs, cards and servers could say through the parsers at the whole engine.

script/fuzz nmea ubx

Dates are of all years, values extreme, and pulses and timers go on meanwhile in virtual time. Nothing may be raised:
not by a parser, not by the engine, not by what shows its state. The same seed gives the same bytes again.
"""

import json
import struct
from datetime import UTC, datetime, timedelta

from tests.fuzz.engine_bench import CLOCK, SERVERS, EngineBench, pause_ns, wild_second
from tests.fuzz.fuzz_client import KISSES
from tests.fuzz.fuzz_meinberg import MeinbergFuzzer
from tests.fuzz.fuzz_nmea import NmeaFuzzer
from tests.fuzz.fuzz_oncore import OncoreFuzzer
from tests.fuzz.fuzz_readings import OFFSETS, VALUES
from tests.fuzz.fuzz_tsip import TsipFuzzer
from tests.fuzz.fuzz_ubx import UbxFuzzer
from tests.fuzz.harness import Fuzzer, ReceiverFuzzer

from ntp_usg.core.base.errors import WireError
from ntp_usg.core.base.instants import NS_PER_SECOND, HostNs, WallNs
from ntp_usg.core.base.samples import Measurement, Pulse, PulseCorrection, TimeMessage
from ntp_usg.core.base.snapshots import Leap, ServerPath
from ntp_usg.core.base.verdicts import Verdict
from ntp_usg.core.receivers import phc, rtc
from ntp_usg.core.receivers.readings import judge_reading
from ntp_usg.core.wire.header import Header, Mode, build_header, parse_header
from ntp_usg.core.wire.timestamps import to_ntp
from ntp_usg.refclocks.driver import Reporter
from ntp_usg.refclocks.gpsd import GpsdOptions, Session
from ntp_usg.refclocks.phc import PhcDriver, PhcOptions
from ntp_usg.refclocks.receiver import Event, deliver
from ntp_usg.refclocks.shm import parse_record
from ntp_usg.refclocks.sock import MAGIC, SockDriver, SockOptions

EPISODE = 1 / 5000
"""So often everything begins again, with other settings."""


class OnEngine(ReceiverFuzzer):
    """A receiver's fuzzer whose events go on to the engine; the second it names is mostly the true one."""

    def __init__(self, seed: int) -> None:
        self.bench: EngineBench | None = None
        super().__init__(seed)

    def advance(self) -> None:
        rng = self.random
        if rng.random() < 0.02:
            self.second = wild_second(rng)
        elif self.bench is not None and rng.random() < 0.9:
            self.second = WallNs(self.bench.true // NS_PER_SECOND * NS_PER_SECOND)

    def piece(self) -> bytes:
        for _ in range(10):
            try:
                return super().piece()  # type: ignore[safe-super]
            except (ValueError, OverflowError, struct.error):  # no receiver can name such a date
                self.second = WallNs(1_796_083_200 * NS_PER_SECOND)
        return b""

    def wait(self) -> None:
        if self.bench is None or self.random.random() < EPISODE:
            self.bench = EngineBench(self.random)
        self.bench.advance(pause_ns(self.random))
        self.now = self.bench.mono

    def host(self) -> HostNs:
        assert self.bench is not None
        return self.bench.now()

    def check(self, event: Event) -> None:
        super().check(event)
        if isinstance(event, PulseCorrection | TimeMessage):
            self.events[f"{type(event).__name__} to the engine"] += 1
        if self.bench is not None:
            deliver(event, self.bench)


class NmeaOnEngine(OnEngine, NmeaFuzzer):
    pass


class UbxOnEngine(OnEngine, UbxFuzzer):
    pass


class TsipOnEngine(OnEngine, TsipFuzzer):
    pass


class OncoreOnEngine(OnEngine, OncoreFuzzer):
    pass


class MeinbergOnEngine(OnEngine, MeinbergFuzzer):
    pass


class OtherOnEngine(Fuzzer):
    """What another program, a card or a server says: now and then what an honest one would say."""

    wild, spoilt = 0.9, 0.6
    """How often an instant is any at all, and a piece is damaged: what is taken for true costs the most time."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.begin()

    def begin(self) -> None:
        self.bench = EngineBench(self.random)
        self.bench.observed = CLOCK

    def piece(self) -> bytes:
        if self.random.random() < EPISODE:
            self.begin()
        self.bench.advance(pause_ns(self.random))
        return self.spoil(self.told())

    def told(self) -> bytes:
        """One piece."""
        raise NotImplementedError

    def instant(self) -> int:
        """What a clock shows, in nanoseconds: mostly the true time."""
        if self.odd(self.wild):
            return wild_second(self.random)
        return self.bench.true + self.random.randrange(-50_000, 50_000)

    def read_at(self) -> int:
        """When it was read by the host's clock: mostly just now."""
        return self.bench.now() - self.random.choice((0, 1000, 10**6, 10**9, 10**10, -1) if self.odd() else (0, 1000))

    def odd(self, chance: float = 0.1) -> bool:
        return self.random.random() < chance

    def spoil(self, data: bytes) -> bytes:
        if not data or not self.odd(self.spoilt):
            return data
        at, rng = self.random.randrange(len(data)), self.random
        return rng.choice((data[:at], data[:at] + rng.randbytes(1) + data[at + 1 :], data[:at] + b"\xff" * 8))

    def take(self, reading: Measurement) -> None:
        """As every driver of a whole clock does."""
        news = judge_reading(reading, self.bench.now())
        if isinstance(news, Measurement):
            self.events["used"] += 1
            self.bench.sample(news)
        else:
            self.events[str(news.reason)] += 1
            self.bench.verdict(news)


class GpsdOnEngine(OtherOnEngine):
    def begin(self) -> None:
        super().begin()
        self.session = Session(GpsdOptions(pulse=self.odd(0.5)), self.bench, Reporter(self.bench))

    def told(self) -> bytes:
        kind = self.random.choice(("PPS", "TOFF", "TOFF", "TPV", "VERSION", "DEVICE"))
        report: dict[str, object] = {"class": kind, "device": "/dev/gps", "path": "/dev/gps", "release": "3.22"}
        report |= {"mode": self.random.choice((0, 1, 2, 3, 3, 3)), "activated": self.random.choice((0, 1, 1.5))}
        for name, instant in (("real", self.instant()), ("clock", self.read_at())):
            report[f"{name}_sec"], report[f"{name}_nsec"] = divmod(instant, NS_PER_SECOND)
        if self.odd():
            report[self.random.choice(sorted(report))] = self.random.choice(VALUES)
        return json.dumps(report).encode()

    def step(self, data: bytes) -> None:
        self.events[f"told {self.session.hear(data)}"] += 1


class ShmOnEngine(OtherOnEngine):
    layout = "=2iqi4xq5i2I36x"
    bits = 64

    def told(self) -> bytes:
        rng = self.random
        (clock, clock_ns), (host, host_ns) = (
            divmod(self.instant(), NS_PER_SECOND),
            divmod(self.read_at(), NS_PER_SECOND),
        )
        small = [rng.choice((0, 1, 2, 3, 4, -20, 2**31 - 1, -(2**31))) if self.odd() else 0 for _ in range(3)]
        parts = (fits(clock), clock_ns // 1000, fits(host), host_ns // 1000, *small, 1, clock_ns, host_ns)
        return struct.pack(self.layout, rng.choice((0, 1)), rng.randrange(2**31), *parts)

    def step(self, data: bytes) -> None:
        if len(data) != 96:
            return  # a segment is always attached as a whole
        try:
            record = parse_record(data)
        except WireError:
            self.events["refused"] += 1
            return
        dispersion = 2.0 ** min(max(record.precision, -30), 0)
        self.take(Measurement(record.received_at, record.clock_ns - record.received_at, dispersion, record.leap))


class SockOnEngine(OtherOnEngine):
    def told(self) -> bytes:
        rng, at = self.random, self.read_at()
        offset = (self.instant() - at) / NS_PER_SECOND
        offset = rng.choice(OFFSETS) if self.odd() else offset
        whole, rest = divmod(at, NS_PER_SECOND)
        small = [rng.choice((0, 1, 2, 5, -1)) if self.odd() else 0 for _ in range(3)]
        return struct.pack("=qqdiiii", fits(whole), rest // 1000, offset, *small, MAGIC)

    def step(self, data: bytes) -> None:
        driver = self.driver
        match driver._judge(data, self.bench.now()):
            case Verdict() as verdict:
                self.events[str(verdict.reason)] += 1
                self.bench.verdict(verdict)
            case Pulse() as pulse:
                self.events["pulse"] += 1
                self.bench.pulse(pulse)
            case Measurement() as reading:
                self.events["used"] += 1
                self.bench.sample(reading)

    def begin(self) -> None:
        super().begin()
        self.driver = SockDriver(SockOptions(pulse=self.odd(0.3)))


class PhcOnEngine(OtherOnEngine):
    def begin(self) -> None:
        super().begin()
        self.driver = PhcDriver(PhcOptions(tai=self.odd(0.5), utc_offset_secs=37))

    def told(self) -> bytes:
        """An extended reading of one sample, or an edge."""
        times = [self.read_at(), self.instant() + 37 * NS_PER_SECOND * self.odd(0.5), self.bench.now()]
        if self.odd():
            self.random.shuffle(times)
        packed = [struct.pack("=qI4x", fits(at // NS_PER_SECOND), at % NS_PER_SECOND) for at in times]
        return (bytes(16) + b"".join(packed)).ljust(phc.EXTENDED.size, b"\0")

    def step(self, data: bytes) -> None:
        try:
            stamp = phc.tightest(phc.parse_extended(data, 1))
        except WireError:
            self.events["refused"] += 1
            return
        news = self.driver._judge(stamp, None, self.bench.now())
        if isinstance(news, Measurement):
            self.events["used"] += 1
            self.bench.sample(news)
        else:
            self.events[str(news.reason)] += 1
            self.bench.verdict(news)


class RtcOnEngine(OtherOnEngine):
    wild, spoilt = 0.1, 0.2

    def begin(self) -> None:
        super().begin()
        self.hand = rtc.SecondHand()

    def told(self) -> bytes:
        shown = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=self.instant() // NS_PER_SECOND)
        fields = [shown.second, shown.minute, shown.hour, shown.day, shown.month - 1, shown.year - 1900]
        if self.odd():
            fields[self.random.randrange(6)] = self.random.choice((-1, 0, 31, 60, 2**31 - 1, -(2**31)))
        return struct.pack("=9i", *fields, 0, 0, 0)

    def step(self, data: bytes) -> None:
        try:
            shown = rtc.parse_rtc_time(data)
        except WireError:
            self.events["refused"] += 1
            return
        second = WallNs(round(shown.replace(tzinfo=UTC).timestamp()) * NS_PER_SECOND)
        now = self.bench.now()
        found = self.hand.look(HostNs(now - self.random.choice((0, 1000))), second, now)
        if found is not None:
            self.take(found)


class NtpOnEngine(OtherOnEngine):
    """Answers of two servers; the odd ones know our request, as somebody on the way would."""

    def told(self) -> bytes:
        rng, odd = self.random, self.odd
        self.server = rng.choice(SERVERS)
        request = self.bench.requests.pop(self.server, None)
        origin = parse_header(request).transmit_timestamp if request else rng.getrandbits(64)
        self.bench.advance(rng.randrange(5 * 10**9) if odd(1e-3) else 10**6)
        time = to_ntp(WallNs(self.instant()))
        header = Header(
            leap=rng.choice(list(Leap)) if odd() else Leap.NONE,
            version=rng.randrange(1, 5),
            mode=rng.choice(list(Mode)) if odd() else Mode.SERVER,
            stratum=rng.choice((0, 1, 2, 15, 16, 255)) if odd() else 1,
            poll=rng.randrange(-128, 128),
            precision=rng.randrange(-128, 128) if odd() else -20,
            root_delay=rng.choice((rng.random(), 65535.0)) if odd() else 0.0,
            root_dispersion=rng.choice((rng.random(), 65535.0)) if odd() else 0.0,
            reference_id=rng.choice((*KISSES, b"\x7f\0\0\1", rng.randbytes(4))) if odd() else b"GPS\0",
            reference_timestamp=rng.choice((0, time, rng.getrandbits(64))) if odd() else time,
            origin_timestamp=origin,
            receive_timestamp=rng.choice((0, time, rng.getrandbits(64))) if odd() else time,
            transmit_timestamp=rng.choice((0, time, rng.getrandbits(64))) if odd() else time,
        )
        return build_header(header)

    def spoil(self, data: bytes) -> bytes:
        return super().spoil(data) if self.odd() else data

    def step(self, data: bytes) -> None:
        engine, name = self.bench.engine, self.server
        if self.odd(0.01):
            path = ServerPath(self.random.choice(("192.0.2.1", "192.0.2.2", "::ffff:192.0.2.1", "fe80::1%eth0")), 123)
            self.bench.perform(engine.reached(name, path, is_ours=self.odd()))
            self.bench.perform(engine.located(name, self.random.randbytes(4)))
        self.bench.perform(engine.receive(name, data, HostNs(self.bench.now() - self.random.choice((0, 0, 10**6)))))
        if self.odd(1e-3):
            engine.network_returned()
        self.events[str(engine._servers[name]._latest)] += 1


def fits(value: int, bits: int = 64) -> int:
    """A number as a C integer of so many bits can hold it."""
    return max(-1 << bits - 1, min(value, (1 << bits - 1) - 1))
