"""What a receiver is taken to say of leap seconds; the rest of it is tested with the whole engine."""

import pytest

from ntp_usg.core.algorithms.history import SampleHistory
from ntp_usg.core.algorithms.leap import Announcement, Weight
from ntp_usg.core.base.instants import NS_PER_SECOND, HostNs, MonoNs, RawNs, WallNs
from ntp_usg.core.base.samples import Fix, FixQuality, TimeMessage
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
