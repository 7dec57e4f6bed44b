"""The engine in virtual time: a bench with a host clock, a receiver and a pulse line whose faults the tests choose."""

import random
import sys
from dataclasses import dataclass, field, replace

import pytest

from ntp_usg.core.algorithms.holdover import HoldoverModel
from ntp_usg.core.algorithms.leap_list import LeapStep, LeapTable
from ntp_usg.core.base.actions import Action, HostClockMoved, Note, Publish, Steer
from ntp_usg.core.base.instants import HostNs, MonoNs, RawNs, WallNs, nanoseconds, seconds
from ntp_usg.core.base.mapping import ClockMapping
from ntp_usg.core.base.samples import DeviceStatus, Fix, FixQuality, Measurement, Pulse, PulseCorrection, TimeMessage
from ntp_usg.core.base.snapshots import LatencyOrigin, Leap, SyncPhase, SystemSnapshot, Tally
from ntp_usg.core.engine.engine import Engine
from ntp_usg.core.engine.settings import ClockSettings, EngineSettings, PulseSettings, ReceiverSettings

TRUE_START = 1_790_000_000
GPS = ReceiverSettings(
    name="GPS_NMEA(0)", driver="nmea", device="/dev/gps", reference_id=b"GPS", timeout=5.0, accuracy=0.2
)
PPS = PulseSettings(name="PPS(0)", driver="pps", device="/dev/pps0", reference_id=b"PPS", timeout=2.0, accuracy=1e-6)
GOOD_FIX = Fix(FixQuality.GPS, satellites_used=8, satellites_in_view=11, hdop=0.9)


class BenchClock:
    """A host clock that is `offset` seconds behind the truth and runs `drift` too fast, and its virtual correction."""

    name = "virtual"

    def __init__(self, offset: float, drift: float) -> None:
        self.true_ns = TRUE_START * 10**9
        self.offset, self.drift = offset, drift
        self.stepped_ns = 0
        self.mapping = ClockMapping()

    def host_at(self, true_ns: int) -> HostNs:
        elapsed = true_ns - TRUE_START * 10**9
        return HostNs(true_ns + round(self.drift * elapsed) - nanoseconds(self.offset) + self.stepped_ns)

    def read(self) -> tuple[HostNs, MonoNs]:
        host = self.host_at(self.true_ns)
        return host, MonoNs(host - self.stepped_ns - (TRUE_START - 1000) * 10**9)

    def raw(self, reading: HostNs) -> RawNs:
        return RawNs(reading)

    def current(self) -> ClockMapping:
        return self.mapping

    def serving(self) -> ClockMapping:
        return self.mapping

    def steer(self, mapping: ClockMapping, *, step: bool) -> None:
        self.mapping = mapping


@dataclass
class Bench:
    """Runs the engine second by second; `error()` is the truth about what it serves."""

    settings: EngineSettings = field(default_factory=lambda: EngineSettings(receivers=(GPS,), pulse_lines=(PPS,)))
    offset: float = 1.5
    drift: float = 12e-6
    seed: int = 1
    latency: float = 0.12
    latency_jitter: float = 2e-3
    pulse_jitter: float = 200e-9
    messages: bool = True
    pulses: bool = True
    fix: Fix = GOOD_FIX
    wrong_seconds: int = 0

    def __post_init__(self) -> None:
        self.clock = BenchClock(self.offset, self.drift)
        self.random = random.Random(self.seed)
        self.engine = Engine(self.settings, self.clock, self.random.getrandbits)
        self.notes: list[str] = []
        self.jumps: list[float] = []
        self.errors: list[float] = []
        self.steps = 0
        self.snapshot: SystemSnapshot = self.engine.snapshot()
        self.second = TRUE_START

    def run(self, duration: int) -> SystemSnapshot:
        for _ in range(duration):
            self.second += 1
            true = self.second * 10**9
            if self.pulses:
                edge = self.clock.host_at(true + round(self.random.gauss(0, self.pulse_jitter) * 1e9))
                self.at(true + 50_000)
                self.perform(self.engine.pulse("PPS(0)", Pulse(edge, self.second)) if self.has_pulses else [])
            if self.messages:
                self.message(true)
            self.at(true + 900_000_000)
        return self.snapshot

    def message(self, true: int) -> None:
        late = self.latency + abs(self.random.gauss(0, self.latency_jitter))
        received = self.clock.host_at(true + nanoseconds(late))
        self.at(true + nanoseconds(late) + 300_000_000)
        named = WallNs(true + self.wrong_seconds * 10**9)
        self.perform(self.engine.message("GPS_NMEA(0)", TimeMessage(named, received, self.fix)))

    @property
    def has_pulses(self) -> bool:
        return bool(self.settings.pulse_lines)

    def at(self, true_ns: int) -> None:
        """Let time pass, with the engine's timer."""
        self.clock.true_ns = true_ns
        while self.engine.deadline() <= self.clock.read()[1]:
            self.perform(self.engine.timer())
        self.errors.append(self.error())

    def perform(self, actions: list[Action]) -> None:
        for action in actions:
            if isinstance(action, Steer):
                self.clock.steer(action.mapping, step=action.step)
                self.steps += action.step
            elif isinstance(action, Publish):
                self.snapshot = self.engine.snapshot()
            elif isinstance(action, Note):
                self.notes.append(action.text)
            elif isinstance(action, HostClockMoved):
                self.jumps.append(action.jump)

    def error(self) -> float:
        """Served time minus true time, in seconds."""
        host, _ = self.clock.read()
        return seconds(self.snapshot.serving.mapping.wall(host) - self.clock.true_ns)

    def noted(self, text: str) -> bool:
        return any(text in note for note in self.notes)

    def source(self, name: str):
        return next(each for each in self.engine.snapshot().sources if each.name == name)


def test_nothing_is_promised_before_the_first_lock():
    serving = Bench().snapshot.serving
    assert serving.leap is Leap.UNSYNCHRONISED
    assert serving.stratum == 16
    assert serving.reference_id == b"INIT"


def test_a_receiver_with_pulses_brings_the_served_time_within_a_microsecond_of_the_truth():
    bench = Bench()
    snapshot = bench.run(60)
    assert snapshot.serving.synchronised
    assert snapshot.serving.stratum == 1
    assert snapshot.serving.reference_id == b"PPS"
    assert snapshot.phase is SyncPhase.SYNCHRONISED
    assert abs(bench.error()) < 1e-6
    assert snapshot.frequency_ppm == pytest.approx(12, abs=0.05)
    assert snapshot.host_offset == pytest.approx(1.5 - 60 * 12e-6, abs=1e-4)


def test_the_lock_takes_less_than_ten_seconds_and_one_step():
    bench = Bench()
    assert bench.run(10).phase is SyncPhase.SYNCHRONISED
    assert bench.steps == 1
    assert bench.snapshot.serving.epoch == 1


def test_the_true_error_stays_inside_the_promised_one_while_locked():
    bench = Bench(pulse_jitter=2e-6)
    bench.run(10)
    for _ in range(120):
        bench.run(1)
        promised = bench.snapshot.serving.root_dispersion_at(bench.clock.read()[1])
        assert abs(bench.error()) <= promised


def test_the_journal_lines_are_those_of_the_guide():
    bench = Bench(offset=0.0, drift=0.0, latency=0.0, latency_jitter=0.0)
    bench.run(5)
    fixes = [note for note in bench.notes if "GPS fix acquired" in note]
    pulses = [note for note in bench.notes if "PPS pulse detected" in note]
    assert fixes == ["GPS fix acquired! Offset: 0.000000s, Satellites: 8, Quality: GPS"]
    assert len(pulses) == 1
    assert pulses[0].startswith("PPS pulse detected! Offset: ")
    digits = pulses[0].removesuffix("s").rsplit(".", 1)[1]
    assert len(digits) == 9


def test_without_a_fix_the_messages_are_never_used():
    bench = Bench(fix=replace(GOOD_FIX, quality=FixQuality.NO_FIX))
    snapshot = bench.run(30)
    assert not snapshot.serving.synchronised
    assert bench.source("GPS_NMEA(0)").verdicts == {"rejected/no_fix": 30}
    assert "antenna" in bench.source("GPS_NMEA(0)").reason


@pytest.mark.parametrize(
    ("fix", "verdict"),
    [
        (replace(GOOD_FIX, satellites_used=3), "rejected/too_few_satellites"),
        (replace(GOOD_FIX, satellites_used=None), "rejected/satellites_unknown"),
        (replace(GOOD_FIX, quality=FixQuality.ESTIMATED), "rejected/poor_quality"),
        (replace(GOOD_FIX, quality=FixQuality.SIMULATION), "rejected/no_fix"),
    ],
)
def test_a_fix_below_the_configured_floor_is_refused_with_its_reason(fix, verdict):
    bench = Bench(fix=fix)
    bench.run(5)
    assert bench.source("GPS_NMEA(0)").verdicts == {verdict: 5}


def test_pulses_alone_are_not_numbered_and_set_no_clock():
    bench = Bench(messages=False)
    snapshot = bench.run(30)
    assert not snapshot.serving.synchronised
    assert bench.source("PPS(0)").verdicts == {"rejected/irregular": 3, "rejected/not_numbered": 27}


def test_a_receiver_that_repeats_one_second_forever_sets_no_clock():
    bench = Bench(settings=EngineSettings(receivers=(GPS,)))
    stuck = TRUE_START * 10**9
    for _ in range(60):
        bench.second += 1
        bench.at(bench.second * 10**9)
        received = bench.clock.read()[0]
        bench.perform(bench.engine.message("GPS_NMEA(0)", TimeMessage(WallNs(stuck), received, GOOD_FIX)))
    assert not bench.snapshot.serving.synchronised
    assert bench.source("GPS_NMEA(0)").verdicts["rejected/stale"] > 40


def test_messages_alone_serve_with_their_honest_accuracy_after_the_grace_for_pulses():
    bench = Bench(settings=EngineSettings(receivers=(GPS,)))
    snapshot = bench.run(30)
    assert snapshot.serving.stratum == 1
    assert snapshot.serving.reference_id == b"GPS"
    assert snapshot.serving.root_dispersion >= 0.2
    assert abs(bench.error()) == pytest.approx(0.12, abs=0.01)
    assert bench.source("GPS_NMEA(0)").tally is Tally.SELECTED


def test_when_the_pulses_stop_the_clock_goes_on_alone_while_it_is_better_than_messages():
    bench = Bench()
    bench.run(60)
    bench.pulses = False
    assert bench.run(20).phase is SyncPhase.HOLDOVER
    assert abs(bench.error()) < 1e-6
    assert bench.source("GPS_NMEA(0)").healthy
    assert bench.noted("The clock by itself is within")


def test_when_the_holdover_budget_is_spent_messages_take_over_with_the_latency_the_pulses_showed():
    bench = Bench(settings=EngineSettings(receivers=(GPS,), pulse_lines=(PPS,), holdover_budget=1e-6))
    bench.run(60)
    bench.pulses = False
    snapshot = bench.run(60)
    assert bench.noted("PPS signal lost: no pulse on /dev/pps0 for 2.")
    assert snapshot.selected == "GPS_NMEA(0)"
    assert abs(bench.error()) < 5e-3
    assert bench.steps == 1
    promised = snapshot.serving.root_dispersion_at(bench.clock.read()[1])
    assert abs(bench.error()) < promised < 0.1


def test_after_a_restart_without_pulses_messages_are_as_good_as_pulses_showed_before():
    before = Bench()
    before.run(120)
    learned = before.engine.learned()
    assert learned is not None
    bench = Bench(settings=EngineSettings(receivers=(GPS,), saved_latencies=learned.latencies), seed=2)
    snapshot = bench.run(60)
    assert bench.noted("GPS_NMEA(0): its messages come 0.12")
    assert bench.source("GPS_NMEA(0)").latency_origin is LatencyOrigin.SAVED
    promised = snapshot.serving.root_dispersion_at(bench.clock.read()[1])
    assert abs(bench.error()) < 5e-3 < promised < 0.03


def test_loss_of_everything_becomes_holdover_then_unsynchronised_when_the_budget_is_spent():
    budget = 300e-6
    bench = Bench(settings=EngineSettings(receivers=(GPS,), pulse_lines=(PPS,), holdover_budget=budget))
    bench.run(60)
    bench.messages = bench.pulses = False
    holdover = bench.run(8)
    assert holdover.phase is SyncPhase.HOLDOVER
    assert holdover.serving.stratum == 1
    assert bench.noted("GPS fix lost: no usable message for 5.")
    grown = bench.run(5).serving.root_dispersion
    assert grown > holdover.serving.root_dispersion
    assert holdover.holdover_left is not None
    spent = bench.run(round(holdover.holdover_left) + 40)
    assert spent.phase is SyncPhase.UNSYNCHRONISED
    assert spent.serving.leap is Leap.UNSYNCHRONISED
    assert spent.serving.stratum == 16
    assert bench.noted("the holdover budget of 0.3ms is spent")


def test_the_receiver_coming_back_is_followed_without_a_jump():
    bench = Bench()
    bench.run(60)
    bench.messages = bench.pulses = False
    bench.run(120)
    bench.messages = bench.pulses = True
    bench.errors.clear()
    snapshot = bench.run(30)
    assert snapshot.phase is SyncPhase.SYNCHRONISED
    assert bench.steps == 1
    assert max(abs(b - a) for a, b in zip(bench.errors, bench.errors[1:], strict=False)) < 50e-6
    assert abs(bench.error()) < 1e-6
    assert bench.noted("A source leads again after")


def test_before_the_first_lock_nothing_is_claimed_of_the_clock():
    snapshot = Bench(messages=False, pulses=False).run(3)
    known = (snapshot.offset, snapshot.jitter, snapshot.frequency_ppm, snapshot.host_offset)
    assert known == (None, None, None, None)


def test_the_host_clock_stepped_by_another_program_starts_a_new_epoch():
    bench = Bench()
    bench.run(30)
    bench.clock.stepped_ns = 7_200_000_000_000
    bench.at(bench.second * 10**9 + 990_000_000 + 10**9)
    assert bench.jumps == [pytest.approx(7200, abs=1e-3)]
    assert not bench.snapshot.serving.synchronised
    bench.second += 1
    snapshot = bench.run(15)
    assert snapshot.phase is SyncPhase.SYNCHRONISED
    assert snapshot.serving.epoch == 2
    assert abs(bench.error()) < 2e-6


def test_a_glitch_is_not_a_pulse_and_moves_nothing():
    bench = Bench()
    bench.run(60)
    bench.second += 1
    true = bench.second * 10**9
    bench.at(true + 200_000_000)
    bench.perform(bench.engine.pulse("PPS(0)", Pulse(bench.clock.host_at(true + 150_000_000), 1)))
    assert bench.source("PPS(0)").verdicts["rejected/irregular"] == 1 + 3
    bench.run(2)
    assert abs(bench.error()) < 1e-6


def test_messages_that_name_another_second_win_when_they_have_insisted_for_twice_as_long_as_on_the_one_before():
    """Alone: after a minute the server says that it knows no time, until then the clock's own past goes on."""
    bench = Bench()
    bench.run(60)
    bench.wrong_seconds = 1
    while bench.snapshot.phase in (SyncPhase.SYNCHRONISED, SyncPhase.HOLDOVER):
        bench.run(1)
        assert abs(bench.error()) < 1e-5
    assert bench.source("GPS_NMEA(0)").trust < 0.5
    assert bench.source("PPS(0)").verdicts["rejected/numbering_disputed"] > 0
    assert bench.second == pytest.approx(TRUE_START + 60 + 60, abs=5)
    while bench.snapshot.serving.epoch == 1:
        bench.run(1)
    assert bench.noted("now names seconds that are +1 s from those before")
    assert bench.second == pytest.approx(TRUE_START + 60 + 2 * 60, abs=15)


def test_the_configured_stratum_is_a_ceiling():
    bench = Bench(settings=EngineSettings(receivers=(GPS,), pulse_lines=(PPS,), stratum=3))
    assert bench.run(20).serving.stratum == 3


def test_reach_fills_with_one_bit_a_poll_and_empties_when_nothing_comes():
    bench = Bench()
    bench.run(12)
    assert bench.source("GPS_NMEA(0)").reach == 0o377
    bench.messages = False
    bench.run(3)
    assert bench.source("GPS_NMEA(0)").reach in {0o374, 0o370}


def test_the_peers_table_marks_the_pulse_line_and_the_receiver_that_numbers_it():
    bench = Bench()
    bench.run(20)
    assert bench.source("PPS(0)").tally is Tally.PPS
    assert bench.source("GPS_NMEA(0)").tally is Tally.SELECTED
    assert bench.source("PPS(0)").pulse_rate_hz == pytest.approx(1.0, abs=1e-4)
    assert bench.source("GPS_NMEA(0)").message_latency == pytest.approx(0.12, abs=0.005)


def test_a_device_status_that_is_no_news_changes_the_state_and_makes_no_line():
    bench = Bench()
    status = DeviceStatus(connected=False, detail="unplugged", is_news=False)
    assert bench.engine.device("GPS_NMEA(0)", status) == []
    assert bench.source("GPS_NMEA(0)").reason == "unplugged"


def test_a_device_that_is_gone_says_so_in_its_source():
    bench = Bench()
    bench.run(20)
    bench.perform(bench.engine.device("GPS_NMEA(0)", DeviceStatus(connected=False, detail="/dev/gps was unplugged.")))
    bench.messages = False
    bench.run(7)
    assert bench.noted("GPS_NMEA(0): /dev/gps was unplugged.")
    assert bench.source("GPS_NMEA(0)").reason == "/dev/gps was unplugged."
    assert not bench.source("GPS_NMEA(0)").healthy


def test_a_leap_second_passes_without_a_lost_sample_or_a_wrong_second(monkeypatch):
    midnight = 1_798_761_600  # 2027-01-01
    monkeypatch.setattr(sys.modules[__name__], "TRUE_START", midnight - 60)
    table = LeapTable(
        steps=(LeapStep(WallNs(0), 37), LeapStep(WallNs(midnight * 10**9), 38)),
        updated=WallNs(0),
        expires=WallNs((midnight + 10**6) * 10**9),
    )
    bench = Bench(settings=EngineSettings(receivers=(GPS,), pulse_lines=(PPS,), leap_table=table))
    assert bench.run(50).serving.leap is Leap.INSERT
    bench.messages = False
    bench.run(9)
    bench.run(2)  # 23:59:60, which the receiver would name so, and 00:00:00
    bench.messages, bench.wrong_seconds = True, -1
    snapshot = bench.run(30)
    assert bench.noted("Leap second: the clock goes on -1s")
    assert snapshot.serving.leap is Leap.NONE
    assert snapshot.phase is SyncPhase.SYNCHRONISED
    assert bench.error() == pytest.approx(-1.0, abs=2e-6), "UTC has fallen behind the even count by a second"
    assert "rejected/numbering_disputed" not in bench.source("PPS(0)").verdicts
    assert "rejected/outlier" not in bench.source("PPS(0)").verdicts
    assert bench.snapshot.serving.epoch == 2


def test_what_was_learned_before_a_restart_is_expected_after_it():
    first = Bench()
    first.run(120)
    learned = first.engine.learned()
    assert learned is not None
    saved = EngineSettings(
        receivers=(GPS,),
        pulse_lines=(PPS,),
        saved_frequency=(learned.rate, learned.deviation),
    )
    second = Bench(settings=saved)
    second.engine = Engine(saved, second.clock, second.random.getrandbits, HoldoverModel.from_dict(learned.holdover))
    second.run(8)
    assert second.snapshot.frequency_ppm == pytest.approx(12, abs=0.1)


@pytest.mark.parametrize(("algorithm", "patience"), [("kalman", 30), ("regression", 60), ("pll", 1200)])
def test_every_selectable_algorithm_locks_on_pulses(algorithm, patience):
    """RFC 5905's loop measures the frequency for 15 minutes before it sets the clock."""
    bench = Bench(settings=EngineSettings(receivers=(GPS,), pulse_lines=(PPS,), algorithm=algorithm))
    assert bench.run(patience).phase is SyncPhase.SYNCHRONISED
    assert abs(bench.error()) < 20e-6


def test_pulses_lead_on_for_a_minute_while_the_receiver_is_silent_and_no_longer():
    bench = Bench()
    bench.run(60)
    bench.messages = False
    assert bench.run(55).selected == "PPS(0)"
    assert abs(bench.error()) < 1e-6
    assert bench.run(10).phase is SyncPhase.HOLDOVER


def test_glitches_and_missing_pulses_together_move_nothing():
    bench = Bench()
    bench.run(60)
    for second in range(120):
        bench.pulses = second % 10 not in {3, 4, 5}
        if second % 10 in {4, 6}:
            true = bench.second * 10**9 + 1_450_000_000
            bench.at(true)
            bench.perform(bench.engine.pulse("PPS(0)", Pulse(bench.clock.host_at(true - 100), second)))
        bench.run(1)
        assert abs(bench.error()) < 2e-6


CLOCK = ClockSettings(name="SHM(0)", driver="shm", device="0", reference_id=b"SHM", timeout=5.0, accuracy=1e-5)


def test_a_clock_that_tells_the_whole_time_sets_ours_and_its_leap_is_heard():
    bench = Bench(settings=EngineSettings(clocks=(CLOCK,)), messages=False)
    for _ in range(60):
        bench.run(1)
        host, true = bench.clock.read()[0], bench.clock.true_ns
        bench.perform(bench.engine.sample("SHM(0)", Measurement(host, true - host, 1e-6)))
    assert bench.snapshot.selected == "SHM(0)"
    assert bench.snapshot.serving.reference_id == b"SHM"
    assert abs(bench.error()) < 1e-6


def test_a_clock_that_says_that_it_is_not_set_is_refused():
    bench = Bench(settings=EngineSettings(clocks=(CLOCK,)), messages=False)
    for _ in range(10):
        bench.run(1)
        bench.perform(bench.engine.sample("SHM(0)", Measurement(bench.clock.read()[0], 0, 1e-6, leap=3)))
    assert bench.source("SHM(0)").verdicts == {"rejected/no_fix": 10}
    assert not bench.snapshot.serving.synchronised


TICK_NS = 41
"""Of a receiver's clock of some 24 MHz: its pulses are up to 20 ns early or late, in a sawtooth."""


def jitter_behind_a_coarse_receiver(*, corrected: bool) -> float:
    bench = Bench(drift=0.0, offset=0.0, pulses=False)
    phase = 0.0
    for _ in range(300):
        second = WallNs((bench.second + 1) * 10**9)
        phase = (phase + 7.3) % TICK_NS
        late_ns = round(phase - TICK_NS / 2 + bench.random.gauss(0, 2))
        if corrected:
            bench.engine.correction(GPS.name, PulseCorrection(second, -round((phase - TICK_NS / 2) * 1000)))
        bench.at(second + 50_000)
        bench.perform(bench.engine.pulse("PPS(0)", Pulse(bench.clock.host_at(second + late_ns), bench.second)))
        bench.run(1)
    jitter = bench.source("PPS(0)").jitter
    assert isinstance(jitter, float)
    return jitter


def test_a_receivers_word_on_its_next_pulse_takes_the_sawtooth_off():
    assert jitter_behind_a_coarse_receiver(corrected=True) * 3 < jitter_behind_a_coarse_receiver(corrected=False)


LOCAL = ClockSettings(
    name="LOCAL(0)",
    driver="local",
    device="",
    reference_id=b"LOCL",
    stratum=10,
    timeout=10.0,
    accuracy=1.0,
    fallback=True,
)


def run_with_local(bench: Bench, duration: int) -> SystemSnapshot:
    for _ in range(duration):
        bench.run(1)
        bench.perform(bench.engine.sample("LOCAL(0)", Measurement(bench.clock.read()[0], 0, 1e-6)))
    return bench.engine.snapshot()


def test_a_lonely_clock_may_stand_in_for_a_source_at_a_high_stratum():
    snapshot = run_with_local(Bench(settings=EngineSettings(clocks=(LOCAL,)), messages=False), 10)
    assert snapshot.serving.stratum == 11
    assert snapshot.host_offset == 0


def test_the_local_clock_neither_goes_before_a_receiver_nor_votes_beside_it():
    settings = EngineSettings(receivers=(GPS,), pulse_lines=(PPS,), clocks=(LOCAL,), holdover_budget=1e-6)
    bench = Bench(settings=settings)
    snapshot = run_with_local(bench, 30)
    assert snapshot.selected == "PPS(0)"
    assert bench.steps == 1
    assert abs(bench.error()) < 1e-6


def test_when_everything_is_lost_and_the_budget_spent_the_local_clock_goes_on_from_the_time_that_was_served():
    settings = EngineSettings(receivers=(GPS,), pulse_lines=(PPS,), clocks=(LOCAL,), holdover_budget=1e-6)
    bench = Bench(settings=settings)
    run_with_local(bench, 60)
    bench.messages = bench.pulses = False
    snapshot = run_with_local(bench, 60)
    assert snapshot.selected == "LOCAL(0)"
    assert snapshot.serving.stratum == 11
    assert bench.steps == 1
    assert abs(bench.error()) < 20e-6
