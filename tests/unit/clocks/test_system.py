"""The system clock over a kernel in memory: what it does, and that its record of it is true."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ntp_usg.clocks.system import SystemClock
from ntp_usg.core.base.errors import ClockError
from ntp_usg.core.base.instants import HostNs, MonoNs
from ntp_usg.core.base.mapping import IDENTITY, ClockMapping
from ntp_usg.core.base.snapshots import Leap

SECOND = 1_000_000_000
DAY = 86_400
ROUNDING_NS = 20  # the instant of a change is known to a call's length, times 500 ppm; and whole nanoseconds round


@pytest.fixture
def kernel(simulated_kernel):
    return simulated_kernel()


@pytest.fixture
def clock(kernel):
    return SystemClock(kernel)


def mapping_from(clock, *, offset=0.0, ppm=0.0, slew_ppm=0.0, slew=0.0):
    """A new mapping as the engine makes it: from the present on, `offset` seconds off what the clock does now."""
    host, _ = clock.read()
    raw = clock.raw(host)
    offset_ns = clock.current().correction_ns(raw) + round(offset * SECOND)
    return ClockMapping(raw, offset_ns, ppm / 1e6, slew_ppm / 1e6, round(slew * SECOND))


def run_slew(kernel, clock, late=0.0):
    """Let a slew run to its end, `late` seconds beyond; returns by how much host time gained on raw time, in ns."""
    gained = kernel.gained_ns
    kernel.advance((clock.deadline() - kernel.mono()) / SECOND / (1 + kernel.frequency_ppm / 1e6) + late)
    clock.timer(kernel.mono())
    return kernel.gained_ns - gained


def assert_the_record_is_true(kernel, clock):
    host, _ = clock.read()
    assert abs(clock.raw(host) - kernel.raw_ns) <= ROUNDING_NS
    assert abs(clock.current().wall(clock.raw(host)) - host) <= ROUNDING_NS


def test_until_it_is_steered_raw_and_host_are_the_same(kernel, clock):
    kernel.advance(1000)
    host, _ = clock.read()
    assert clock.raw(host) == host
    assert kernel.settings == 0


def test_the_frequency_that_an_earlier_run_left_is_ours(simulated_kernel):
    kernel = simulated_kernel(frequency_ppm=12.5)
    clock = SystemClock(kernel)
    kernel.advance(1000)
    assert_the_record_is_true(kernel, clock)
    assert clock.current().rate == pytest.approx(12.5e-6)


def test_who_is_served_gets_the_host_time(clock):
    clock.steer(mapping_from(clock, offset=1.5, ppm=12), step=True)
    assert clock.serving() is IDENTITY


@pytest.mark.parametrize("ppm", [100, -100])
def test_who_is_served_does_not_wait_for_a_slew(kernel, clock, ppm):
    """What answers add to the host's time shrinks as the kernel works it off: the sum is where the clock will be."""
    mapping = mapping_from(clock, ppm=10, slew_ppm=ppm, slew=5)
    clock.steer(mapping, step=False)
    for _ in range(5):
        host, _ = clock.read()
        assert abs(clock.serving().wall(host) - mapping.slewed.wall(kernel.raw_ns)) < 200
        kernel.advance(0.9)
    run_slew(kernel, clock)
    assert clock.serving() is IDENTITY


@pytest.mark.parametrize("offset", [1.5, -1.0, 1e-6, -3e8, 3e8])
def test_a_step_moves_the_host_clock_to_the_mapping(kernel, clock, offset):
    mapping = mapping_from(clock, offset=offset)
    clock.steer(mapping, step=True)
    host, _ = clock.read()
    assert abs(host - mapping.wall(kernel.raw_ns)) <= ROUNDING_NS
    assert_the_record_is_true(kernel, clock)


def test_the_raw_clock_does_not_notice_a_step(kernel, clock):
    before = clock.raw(clock.read()[0])
    clock.steer(mapping_from(clock, offset=-100.0), step=True)
    after = clock.raw(clock.read()[0])
    assert 0 < after - before < 100_000


def test_the_frequency_follows_the_mapping(kernel, clock):
    mapping = mapping_from(clock, ppm=-34.5)
    clock.steer(mapping, step=False)
    assert kernel.frequency_ppm == pytest.approx(-34.5, abs=1 / 65536)
    kernel.advance(1000)
    host, _ = clock.read()
    assert abs(host - mapping.wall(kernel.raw_ns)) < 100
    assert_the_record_is_true(kernel, clock)


def test_a_slew_works_off_its_phase_and_ends(kernel, clock):
    clock.steer(mapping_from(clock, ppm=10, slew_ppm=100, slew=5), step=False)
    assert kernel.frequency_ppm == pytest.approx(110, abs=1e-3)
    assert clock.current().slew_ns == pytest.approx(5 * SECOND, rel=1e-4)
    gained = run_slew(kernel, clock)
    assert gained == pytest.approx(5 * SECOND * 110e-6, abs=100)
    assert kernel.frequency_ppm == pytest.approx(10, abs=1e-3)
    assert clock.deadline() is None
    assert clock.current().slew_rate == 0
    assert_the_record_is_true(kernel, clock)


def test_before_its_deadline_a_slew_goes_on(kernel, clock):
    clock.steer(mapping_from(clock, slew_ppm=100, slew=5), step=False)
    clock.timer(MonoNs(clock.deadline() - 1))
    assert kernel.frequency_ppm == pytest.approx(100, abs=1e-3)


def test_a_slew_that_is_ended_late_overshoots_and_the_record_says_so(kernel, clock):
    clock.steer(mapping_from(clock, slew_ppm=100, slew=5), step=False)
    assert run_slew(kernel, clock, late=2) == pytest.approx(7 * SECOND * 100e-6, abs=100)
    assert_the_record_is_true(kernel, clock)


def test_a_slew_beyond_what_the_kernel_can_takes_longer(kernel, clock):
    clock.steer(mapping_from(clock, ppm=100, slew_ppm=2000, slew=1), step=False)
    assert kernel.frequency_ppm == 500
    assert clock.deadline() - clock.read()[1] == pytest.approx(5 * SECOND, rel=1e-3)
    assert run_slew(kernel, clock) == pytest.approx(2_000_000 + 5 * SECOND * 100e-6, abs=100)


def test_a_rate_beyond_what_the_kernel_can_is_not_claimed(kernel, clock):
    clock.steer(mapping_from(clock, ppm=900, slew_ppm=50, slew=1), step=False)
    assert clock.current().rate == pytest.approx(500e-6)
    assert clock.deadline() is None
    kernel.advance(100)
    assert_the_record_is_true(kernel, clock)


def test_of_a_slew_that_began_earlier_the_rest_is_worked_off(kernel, clock):
    mapping = mapping_from(clock, slew_ppm=100, slew=5)
    kernel.advance(2)
    clock.steer(mapping, step=False)
    assert run_slew(kernel, clock) == pytest.approx(3 * SECOND * 100e-6, abs=100)


def test_a_new_mapping_replaces_the_slew_of_the_old(kernel, clock):
    clock.steer(mapping_from(clock, slew_ppm=100, slew=5), step=False)
    kernel.advance(1)
    clock.steer(mapping_from(clock, ppm=3), step=False)
    assert clock.deadline() is None
    assert kernel.frequency_ppm == pytest.approx(3, abs=1e-3)
    assert_the_record_is_true(kernel, clock)


def test_a_stamp_from_before_a_change_is_read_by_the_frequency_of_its_time(kernel, clock):
    kernel.advance(10)
    stamp, raw_of_stamp = clock.read()[0], kernel.raw_ns
    kernel.advance(1)
    clock.steer(mapping_from(clock, ppm=400), step=False)
    assert abs(clock.raw(stamp) - raw_of_stamp) <= ROUNDING_NS, "one second at 400 ppm would be 400 us off"


def test_a_stamp_from_before_a_step_is_read_by_the_clock_of_its_time(kernel, clock):
    stamp, raw_of_stamp = clock.read()[0], kernel.raw_ns
    kernel.advance(1)
    clock.steer(mapping_from(clock, offset=100.0), step=True)
    assert abs(clock.raw(stamp) - raw_of_stamp) <= ROUNDING_NS


def test_what_another_program_left_running_is_ended_first(simulated_kernel):
    kernel = simulated_kernel(foreign_slew_ppm=300)
    clock = SystemClock(kernel)
    clock.steer(mapping_from(clock, ppm=5), step=False)
    kernel.advance(100)
    assert kernel.foreign_slew_ppm == 0
    gained = kernel.gained_ns
    kernel.advance(100)
    assert kernel.gained_ns - gained == pytest.approx(100 * SECOND * 5e-6, abs=100)


def test_closing_ends_a_slew_and_leaves_the_frequency(kernel, clock):
    clock.steer(mapping_from(clock, ppm=7, slew_ppm=100, slew=5), step=False)
    clock.close()
    assert kernel.frequency_ppm == pytest.approx(7, abs=1e-3)


def test_a_clock_that_was_never_steered_is_never_touched(kernel, clock):
    clock.timer(MonoNs(10**18))
    clock.declare(leap=Leap.NONE, maximum_error=1e-3, estimated_error=1e-4)
    clock.close()
    assert kernel.settings == 0


def test_the_kernel_is_told_how_good_its_clock_is(kernel, clock):
    clock.steer(mapping_from(clock, ppm=7), step=False)
    clock.declare(leap=Leap.NONE, maximum_error=1e-3, estimated_error=1e-4)
    assert (kernel.leap, kernel.maximum_error) == (Leap.NONE, 1e-3)
    clock.steer(mapping_from(clock, offset=1.0), step=True)
    assert kernel.leap is Leap.UNSYNCHRONISED, "nothing is known of a clock right after a step"


def test_a_refusal_of_the_kernel_leaves_the_record_as_it_was(kernel, clock):
    kernel.allowed = False
    with pytest.raises(ClockError):
        clock.steer(mapping_from(clock, offset=1.0, slew_ppm=5, slew=1), step=True)
    assert_the_record_is_true(kernel, clock)
    assert clock.deadline() is None


def declare(clock, leap, tai_offset=None):
    clock.declare(leap=leap, maximum_error=1e-3, estimated_error=1e-4, tai_offset=tai_offset)


def until_midnight(kernel):
    return DAY - kernel.host() / SECOND % DAY


@pytest.fixture
def clock_at_midnight(kernel, clock):
    """A clock that runs 400 ppm fast, 10 s before midnight."""
    clock.steer(mapping_from(clock, ppm=400), step=False)
    kernel.advance(until_midnight(kernel) - 10)
    return clock


@pytest.mark.parametrize(("leap", "moved"), [(Leap.INSERT, -1), (Leap.DELETE, 1), (Leap.NONE, 0)])
def test_raw_time_does_not_notice_the_leap_second_that_the_kernel_makes(kernel, clock_at_midnight, leap, moved):
    before = kernel.stepped_ns
    for _ in range(20):
        declare(clock_at_midnight, leap if kernel.host() % (DAY * SECOND) > DAY * SECOND // 2 else Leap.NONE)
        kernel.advance(1)
        assert_the_record_is_true(kernel, clock_at_midnight)
    assert kernel.stepped_ns - before == moved * SECOND


@pytest.mark.parametrize(("leap", "moved"), [(Leap.INSERT, -1), (Leap.DELETE, 1)])
def test_a_leap_within_a_slew_repeats_no_part_of_it(kernel, clock_at_midnight, leap, moved):
    mapping = mapping_from(clock_at_midnight, ppm=10, slew_ppm=100, slew=20)
    clock_at_midnight.steer(mapping, step=False)
    declare(clock_at_midnight, leap)
    kernel.advance(12)
    host, _ = clock_at_midnight.read()
    slewed = mapping.slewed.wall(kernel.raw_ns) + moved * SECOND
    assert abs(clock_at_midnight.serving().wall(host) - slewed) < 200
    assert abs(clock_at_midnight.current().slewed.wall(kernel.raw_ns) - slewed) < 200


def test_a_stamp_from_before_a_leap_is_read_by_the_clock_of_its_time(kernel, clock_at_midnight):
    stamp, raw_of_stamp = clock_at_midnight.read()[0], kernel.raw_ns
    declare(clock_at_midnight, Leap.INSERT)
    kernel.advance(3600)
    assert_the_record_is_true(kernel, clock_at_midnight)
    assert abs(clock_at_midnight.raw(stamp) - raw_of_stamp) <= ROUNDING_NS


def test_a_step_by_another_program_is_not_taken_for_the_leap(kernel, clock_at_midnight):
    declare(clock_at_midnight, Leap.INSERT)
    raw = clock_at_midnight.raw(clock_at_midnight.read()[0])
    kernel.stepped_ns -= SECOND // 2
    assert clock_at_midnight.raw(clock_at_midnight.read()[0]) - raw == pytest.approx(-SECOND / 2, abs=1_000_000)


def test_a_step_of_our_own_disarms_the_leap(kernel, clock_at_midnight):
    declare(clock_at_midnight, Leap.INSERT)
    clock_at_midnight.steer(mapping_from(clock_at_midnight, offset=-1.0), step=True)
    assert_the_record_is_true(kernel, clock_at_midnight)
    assert kernel.leap is Leap.UNSYNCHRONISED


def test_the_kernel_is_told_how_far_tai_is_ahead_where_that_is_known(kernel, clock):
    clock.steer(mapping_from(clock, ppm=7), step=False)
    declare(clock, Leap.NONE, tai_offset=37)
    declare(clock, Leap.NONE)
    assert kernel.tai_offset == 37


def test_no_interference_shows_while_our_settings_stand(kernel, clock):
    kernel.frequency_ppm = 3.0
    assert clock.interference() is None, "a clock that is not ours yet may be set by anybody"
    clock.steer(mapping_from(clock, ppm=7.123456789, slew_ppm=100, slew=5), step=False)
    assert clock.interference() is None


def test_a_frequency_that_another_program_has_set_shows(kernel, clock):
    clock.steer(mapping_from(clock, ppm=7), step=False)
    kernel.frequency_ppm = -20.0
    assert clock.interference() == "the kernel's clock is corrected by -20.000 ppm, and not by our +7.000 ppm"


def test_a_pll_that_another_program_has_switched_on_shows(kernel, clock):
    clock.steer(mapping_from(clock, ppm=7), step=False)
    kernel.pll = True
    assert clock.interference() == "the kernel's own PLL has been switched on"


commands = st.fixed_dictionaries(
    {
        "step": st.booleans(),
        "offset": st.floats(-10, 10),
        "ppm": st.floats(-600, 600),
        "slew_ppm": st.floats(-600, 600),
        "slew": st.floats(0, 20),
        "wait": st.floats(0, 30),
    }
)


@given(st.lists(commands, min_size=1, max_size=20), st.floats(-500, 500))
def test_whatever_is_asked_of_it_the_record_stays_true(simulated_kernel, sequence, first_ppm):
    kernel = simulated_kernel(frequency_ppm=first_ppm)
    clock = SystemClock(kernel)
    for command in sequence:
        step, wait = command["step"], command["wait"]
        options = {key: value for key, value in command.items() if key not in ("step", "wait")}
        clock.steer(mapping_from(clock, **options), step=step)
        kernel.advance(wait)
        clock.timer(kernel.mono())
        host, _ = clock.read()
        assert abs(clock.raw(host) - kernel.raw_ns) <= ROUNDING_NS * len(sequence) + 1
        assert abs(HostNs(clock.current().wall(clock.raw(host))) - host) <= ROUNDING_NS
