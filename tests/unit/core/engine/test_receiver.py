"""What a receiver is taken to say, when its messages came, where it is; the rest is tested with the whole engine."""

from dataclasses import replace

import pytest

from ntp_usg.core.algorithms.history import SampleHistory
from ntp_usg.core.algorithms.leap import Announcement, Weight
from ntp_usg.core.base.instants import NS_PER_SECOND, HostNs, MonoNs, RawNs, WallNs, seconds
from ntp_usg.core.base.mapping import IDENTITY
from ntp_usg.core.base.samples import DeviceStatus, Fix, FixQuality, MessageLatency, Position, TimeMessage
from ntp_usg.core.base.snapshots import Leap
from ntp_usg.core.base.verdicts import Reason
from ntp_usg.core.engine.receiver import MESSAGE_NOISE, SAVED_MARGIN, Receiver
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


def test_a_filter_that_has_made_no_measurement_yet_delays_the_news_of_a_fix(receiver):
    filtered = Receiver(replace(receiver.settings, filter_length=8), SampleHistory(MESSAGE_NOISE), NOW)
    for second in range(8):
        assert filtered.review(NOW, IDENTITY) == []
        at = SECOND + second * NS_PER_SECOND
        filtered.message(TimeMessage(WallNs(at), HostNs(at), Fix(FixQuality.GPS, satellites_used=8)), RawNs(at), NOW)
    [note] = filtered.review(NOW, IDENTITY)
    assert "GPS fix acquired!" in str(note)


def test_a_burst_is_timed_by_one_part_whichever_comes_first(receiver):
    assert receiver.stamp(burst(10, GGA=0.1, RMC=0.2)) == 10.1 * NS_PER_SECOND
    assert receiver.stamp(burst(11, RMC=0.05, GGA=0.1)) == 11.1 * NS_PER_SECOND


def test_another_part_is_timed_when_the_one_so_far_has_not_come_for_long(receiver):
    receiver.stamp(burst(10, GGA=0.1))
    for second in range(11, 23):
        receiver.stamp(burst(second, RMC=0.2, GSA=0.3))
    assert receiver.stamp(burst(23, GSA=0.15, RMC=0.2)) == 23.2 * NS_PER_SECOND


def exact(latency: float) -> MessageLatency:
    return MessageLatency(latency, spread=1e-4, uncertainty=1e-5, count=1000)


SAVED = {"ubx /dev/gps 9600 baud": {"RMC": exact(0.08), "GGA": exact(0.15)}, "ubx /dev/gps": {"RMC": exact(0.3)}}


@pytest.fixture
def restarted(receiver) -> Receiver:
    """One whose latencies were saved, on the line that it had then."""
    again = Receiver(receiver.settings, SampleHistory(MESSAGE_NOISE), NOW, SAVED)
    again.device(DeviceStatus(connected=True, detail="", identity="9600 baud"))
    return again


def heard(receiver: Receiver, second: int = 10, **arrivals: float) -> float:
    """When a burst is taken to have come, in seconds after its second."""
    return seconds(receiver.stamp(burst(second, **arrivals))) - second


def test_while_pulses_show_it_the_latency_is_that_of_the_part_that_is_timed(receiver):
    for _ in range(20):
        heard(receiver, RMC=0.08, GGA=0.15)
        receiver.paired(0.08)
    assert receiver.latency == pytest.approx(0.08)
    assert {part: latency.median for part, latency in receiver.latencies.items()} == pytest.approx(
        {"RMC": 0.08, "GGA": 0.15}
    )


def test_a_burst_that_begins_with_another_part_is_stamped_as_if_it_had_not(receiver):
    for _ in range(20):
        heard(receiver, RMC=0.08, GGA=0.15)
        receiver.paired(0.08)
    assert heard(receiver, GGA=0.16) == pytest.approx(0.09)


def test_a_latency_that_pulses_showed_counts_once_however_many_lines_there_are(receiver):
    for _ in range(5):
        heard(receiver, RMC=0.08)
        receiver.paired(0.08)
        receiver.paired(0.08)
    assert receiver.latency == 0.0


def test_without_pulses_what_they_showed_before_the_restart_is_used_with_a_margin(restarted):
    heard(restarted, RMC=0.0801, GGA=0.1502)
    assert restarted.latency == pytest.approx(0.08, abs=1e-6)
    assert SAVED_MARGIN < restarted.accuracy < SAVED_MARGIN + 1e-3
    assert restarted.latencies == {}


def test_what_was_configured_wins_over_what_was_saved(receiver):
    configured = Receiver(replace(receiver.settings, latency=0.2), SampleHistory(MESSAGE_NOISE), NOW, SAVED)
    heard(configured, RMC=0.08)
    assert (configured.latency, configured.accuracy) == (0.2, 0.2)


def test_pulses_have_the_last_word(receiver):
    configured = Receiver(replace(receiver.settings, latency=0.2), SampleHistory(MESSAGE_NOISE), NOW, SAVED)
    for _ in range(20):
        heard(configured, RMC=0.1)
        configured.paired(0.1)
    assert configured.latency == pytest.approx(0.1)


def test_at_another_speed_nothing_is_known(restarted):
    restarted.device(DeviceStatus(connected=True, detail="", identity="115200 baud"))
    heard(restarted, RMC=0.02)
    assert (restarted.latency, restarted.accuracy) == (0.0, 0.2)


def test_a_line_that_hung_up_is_still_the_same(restarted):
    restarted.device(DeviceStatus(connected=False, detail="hung up"))
    heard(restarted, RMC=0.08)
    assert restarted.latency == pytest.approx(0.08, abs=1e-6)


def test_of_a_burst_that_no_longer_looks_the_same_nothing_is_known(restarted):
    for second in range(12):
        heard(restarted, second, RMC=0.5, GGA=0.7)
    (note,) = restarted.review(NOW, IDENTITY)
    assert "its messages have changed" in note.text
    assert (restarted.latency, restarted.accuracy) == (0.0, 0.2)


@pytest.mark.parametrize(("mobile", "doubted"), [(False, True), (True, False)])
def test_a_receiver_that_moves_is_doubted_unless_it_may(receiver, mobile, doubted):
    moving = Receiver(replace(receiver.settings, mobile=mobile), SampleHistory(MESSAGE_NOISE), NOW)
    for second in range(200):
        place = Position(47.0 if second < 180 else 47.1, 8.0)
        moving.fix(Fix(FixQuality.GPS, 8, position=place), MonoNs(second * NS_PER_SECOND))
    assert moving.trust.lost is doubted


@pytest.mark.parametrize(
    ("dimensions", "satellites", "reason"),
    [
        (3, 3, Reason.TOO_FEW_SATELLITES),
        (None, 3, Reason.TOO_FEW_SATELLITES),
        (1, 1, Reason.USED),
        (1, 0, Reason.TOO_FEW_SATELLITES),
        (3, None, Reason.SATELLITES_UNKNOWN),
        (1, None, Reason.SATELLITES_UNKNOWN),
    ],
)
def test_one_that_knows_where_it_is_needs_a_single_satellite(receiver, dimensions, satellites, reason):
    fix = Fix(FixQuality.GPS, satellites_used=satellites, dimensions=dimensions)
    assert receiver.message(TimeMessage(SECOND, HostNs(0), fix), RawNs(SECOND), NOW) is reason
