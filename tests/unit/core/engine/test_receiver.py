"""What a receiver is taken to say, when its messages came, where it is; the rest is tested with the whole engine."""

from dataclasses import replace

import pytest

from ntp_usg.core.algorithms.history import SampleHistory
from ntp_usg.core.algorithms.leap import Announcement, Weight
from ntp_usg.core.base.instants import NS_PER_SECOND, HostNs, MonoNs, RawNs, WallNs
from ntp_usg.core.base.samples import Fix, FixQuality, Position, TimeMessage
from ntp_usg.core.base.snapshots import Leap
from ntp_usg.core.engine.receiver import MESSAGE_NOISE, Receiver
from ntp_usg.core.engine.settings import ReceiverSettings

NOW = MonoNs(5 * NS_PER_SECOND)
SECOND = WallNs(1_771_243_200 * NS_PER_SECOND)


@pytest.fixture
def receiver() -> Receiver:
    settings = ReceiverSettings(
        name="GPS_UBX(0)", driver="ubx", device="/dev/gps", reference_id=b"GPS", timeout=5.0, accuracy=0.2
    )
    return Receiver(settings, SampleHistory(MESSAGE_NOISE), NOW)


def hear(receiver: Receiver, leap: int | None, quality: FixQuality = FixQuality.GPS) -> None:
    receiver.message(TimeMessage(SECOND, HostNs(0), Fix(quality, satellites_used=8), leap), RawNs(SECOND), NOW)


@pytest.mark.parametrize("leap", [Leap.NONE, Leap.INSERT, Leap.DELETE])
def test_it_announces_what_its_messages_say_of_leap_seconds(receiver, leap):
    hear(receiver, leap)
    assert receiver.announcement() == Announcement("GPS_UBX(0)", leap, Weight.REFCLOCK)


def test_one_that_cannot_tell_leap_seconds_announces_nothing(receiver):
    assert receiver.announcement() is None
    hear(receiver, None)
    assert receiver.announcement() is None


def test_without_a_fix_its_word_on_leap_seconds_is_not_taken(receiver):
    hear(receiver, Leap.INSERT, FixQuality.NO_FIX)
    assert receiver.announcement() is None


def test_what_has_happened_is_not_announced_again(receiver):
    hear(receiver, Leap.INSERT)
    receiver.shift(-NS_PER_SECOND)
    assert receiver.announcement() is None


def burst(second: int, **arrivals: float) -> TimeMessage:
    """A burst whose parts came so many seconds after its second."""
    came = tuple((name, HostNs(round((second + late) * NS_PER_SECOND))) for name, late in arrivals.items())
    return TimeMessage(
        WallNs(second * NS_PER_SECOND), came[0][1], Fix(FixQuality.GPS, satellites_used=8), None, arrivals=came
    )


def test_a_burst_is_timed_by_one_part_whichever_comes_first(receiver):
    assert receiver.stamp(burst(10, GGA=0.1, RMC=0.2)) == 10.1 * NS_PER_SECOND
    assert receiver.stamp(burst(11, RMC=0.05, GGA=0.1)) == 11.1 * NS_PER_SECOND


def test_another_part_is_timed_when_the_one_so_far_has_not_come_for_long(receiver):
    receiver.stamp(burst(10, GGA=0.1))
    for second in range(11, 23):
        receiver.stamp(burst(second, RMC=0.2, GSA=0.3))
    assert receiver.stamp(burst(23, GSA=0.15, RMC=0.2)) == 23.2 * NS_PER_SECOND


def test_a_latency_that_was_measured_before_is_good_to_its_spread(receiver):
    settings = replace(receiver.settings, latency=0.13, latency_spread=0.01)
    seeded = Receiver(settings, SampleHistory(MESSAGE_NOISE), NOW)
    assert (seeded.latency, seeded.accuracy) == (0.13, 0.01)


@pytest.mark.parametrize(("mobile", "doubted"), [(False, True), (True, False)])
def test_a_receiver_that_moves_is_doubted_unless_it_may(receiver, mobile, doubted):
    moving = Receiver(replace(receiver.settings, mobile=mobile), SampleHistory(MESSAGE_NOISE), NOW)
    for second in range(200):
        place = Position(47.0 if second < 180 else 47.1, 8.0)
        moving.fix(Fix(FixQuality.GPS, 8, position=place), MonoNs(second * NS_PER_SECOND))
    assert moving.trust.lost is doubted
