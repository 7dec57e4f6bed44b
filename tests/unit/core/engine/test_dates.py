"""No source sets the clock to a date that cannot be today's, whatever kind it is and whatever the host's clock says."""

import random
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from ntp_usg.core.associations.settings import AssociationSettings
from ntp_usg.core.base.actions import Action, Note, Send, Steer
from ntp_usg.core.base.instants import NS_PER_SECOND, HostNs, MonoNs, RawNs, WallNs
from ntp_usg.core.base.mapping import ClockMapping
from ntp_usg.core.base.samples import Fix, FixQuality, Measurement, TimeMessage
from ntp_usg.core.engine.engine import Engine
from ntp_usg.core.engine.settings import ClockSettings, EngineSettings, NetworkSettings, ReceiverSettings
from ntp_usg.core.wire.header import Header, Mode, build_header, parse_header
from ntp_usg.core.wire.timestamps import to_ntp

DAY = 86_400 * NS_PER_SECOND
TODAY = WallNs(int(datetime(2026, 12, 1, tzinfo=UTC).timestamp()) * NS_PER_SECOND)
RECEIVER = ReceiverSettings(name="GPS(0)", driver="nmea", device="x", reference_id=b"GPS", timeout=5, accuracy=0.1)
CLOCK = ClockSettings(name="SHM(0)", driver="shm", device="x", reference_id=b"SHM", timeout=5, accuracy=0.1)
SERVER = NetworkSettings(
    name="ntp.example",
    driver="ntp",
    device="ntp.example",
    reference_id=b"",
    association=AssociationSettings(name="ntp.example", min_poll=0, max_poll=0),
)
GOOD_FIX = Fix(FixQuality.GPS, satellites_used=8)


def year(number: int) -> int:
    return (number - 1970) * 365 * DAY + (number - 1969) // 4 * DAY


class Bench:
    """One source that says that it is `told` now, on a host whose clock shows `host`."""

    name = "virtual"

    def __init__(self, told: int, host: int = TODAY, **settings: object) -> None:
        self.ahead = told - host
        self.started = self.now = host
        self.mapping = ClockMapping()
        self.notes: list[str] = []
        self.engine = Engine(EngineSettings(**settings), self, random.Random(1).getrandbits)  # type: ignore[arg-type]

    def read(self) -> tuple[HostNs, MonoNs]:
        return HostNs(self.now), MonoNs(10**15 + self.now - self.started)

    def raw(self, reading: HostNs) -> RawNs:
        return RawNs(reading)

    def current(self) -> ClockMapping:
        return self.mapping

    serving = current

    def run(self, duration: int = 60) -> "Bench":
        for _ in range(duration):
            self.now += NS_PER_SECOND
            self.perform(self.engine.timer())
            fix = TimeMessage(WallNs(self.now + self.ahead), HostNs(self.now), GOOD_FIX)
            if self.engine._receivers:
                self.perform(self.engine.message("GPS(0)", fix))
            if self.engine._clocks:
                self.perform(self.engine.sample("SHM(0)", Measurement(HostNs(self.now), self.ahead, 1e-6)))
        return self

    def perform(self, actions: list[Action]) -> None:
        for action in actions:
            match action:
                case Steer(mapping):
                    self.mapping = mapping
                case Note(_, text):
                    self.notes.append(text)
                case Send(name, data):
                    self.engine.sent(name, HostNs(self.now))
                    self.now += 1_000_000
                    self.perform(self.engine.receive(name, self.answer(data), HostNs(self.now)))

    def answer(self, request: bytes) -> bytes:
        told = to_ntp(WallNs(self.now + self.ahead))
        origin = parse_header(request).transmit_timestamp
        return build_header(
            Header(
                mode=Mode.SERVER,
                stratum=1,
                precision=-20,
                reference_id=b"GPS\0",
                origin_timestamp=origin,
                receive_timestamp=told,
                transmit_timestamp=told,
            )
        )

    @property
    def synchronised(self) -> bool:
        return self.engine.serving().synchronised

    @property
    def verdicts(self) -> set[str]:
        [source] = self.engine.snapshot().sources
        return set(source.verdicts)


KINDS: dict[str, dict[str, Any]] = {
    "receiver": {"receivers": (RECEIVER,)},
    "clock": {"clocks": (CLOCK,)},
    "server": {"servers": (SERVER,)},
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_source_that_tells_today_is_followed(kind):
    bench = Bench(TODAY, **KINDS[kind]).run()
    assert bench.synchronised
    assert abs(bench.mapping.wall(HostNs(bench.now)) - bench.now) < NS_PER_SECOND


@pytest.mark.fault(
    group="Time",
    kind="A receiver, a server or another program gives a date of the far past or future.",
    noticed="Each such message is refused as implausible: before the release of this version, or 50 years later.",
    served="No time from this source; the daemon goes on with the others.",
)
@pytest.mark.parametrize("number", [1970, 1980, 2007, 2025, 2077, 2262, 2263, 9999])
@pytest.mark.parametrize("kind", ["receiver", "clock"])
def test_a_source_that_tells_an_impossible_date_is_refused(kind, number):
    bench = Bench(year(number), **KINDS[kind]).run()
    assert not bench.synchronised
    assert bench.verdicts == {"rejected/implausible"}


@pytest.mark.parametrize("number", [1980, 2007, 2025, 2080])
def test_a_server_of_the_past_is_refused_and_not_reachable(number):
    bench = Bench(year(number), servers=(SERVER,)).run()
    assert not bench.synchronised
    [source] = bench.engine.snapshot().sources
    assert set(source.verdicts) == {"rejected/implausible"}
    assert source.reach == 0


@pytest.mark.parametrize("number", [1970, 2007, 2100, 2200])
@pytest.mark.parametrize("kind", KINDS)
def test_whatever_the_hosts_clock_shows_the_true_date_is_served(kind, number):
    bench = Bench(TODAY, year(number), **KINDS[kind]).run()
    assert bench.synchronised
    assert abs(bench.mapping.wall(HostNs(bench.now)) - (TODAY + bench.now - bench.started)) < NS_PER_SECOND


def test_a_server_whose_offset_is_stated_is_judged_by_what_it_means():
    late = Bench(year(2007), servers=(SERVER,)).ahead / NS_PER_SECOND
    assert Bench(year(2007), servers=(replace(SERVER, offset=late),)).run().synchronised
