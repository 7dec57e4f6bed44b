import pytest

from ntp_usg.core.base.dates import EARLIEST, LATEST
from ntp_usg.core.base.instants import HostNs
from ntp_usg.core.base.samples import Measurement
from ntp_usg.core.receivers.readings import IMPLAUSIBLE, OLDEST_NS, STALE, judge_reading

NOW = HostNs(EARLIEST + 10**18)


@pytest.mark.parametrize(
    ("age_ns", "offset_ns", "leap", "verdict"),
    [
        (0, 0, 0, None),
        (OLDEST_NS, 0, 3, None),
        (OLDEST_NS + 1, 0, 0, STALE),
        (-1, 0, 0, STALE),
        (0, EARLIEST - NOW, 0, None),
        (0, EARLIEST - NOW - 1, 0, IMPLAUSIBLE),
        (0, LATEST - NOW, 0, IMPLAUSIBLE),
        (0, 0, 4, IMPLAUSIBLE),
        (0, 0, -1, IMPLAUSIBLE),
    ],
)
def test_a_reading_is_of_the_moment_and_of_our_century(age_ns, offset_ns, leap, verdict):
    reading = Measurement(HostNs(NOW - age_ns), offset_ns, 1e-6, leap)
    assert judge_reading(reading, NOW) == (verdict or reading)


def test_a_host_that_thinks_it_is_1970_can_be_told_the_time():
    reading = Measurement(HostNs(5), NOW, 1e-6)
    assert judge_reading(reading, HostNs(6)) == reading
