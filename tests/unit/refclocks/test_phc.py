"""The driver of clocks on cards, as far as it goes without one; tests/system has them."""

import asyncio
import hashlib
import time

import pytest
from pydantic import ValidationError

from ntp_usg.core.base.aliases import aliases_of
from ntp_usg.core.base.errors import DeviceError
from ntp_usg.core.base.instants import NS_PER_SECOND, HostNs
from ntp_usg.core.base.samples import Measurement, Pulse
from ntp_usg.core.base.verdicts import Reason, Verdict
from ntp_usg.core.engine.settings import ClockSettings, PulseSettings
from ntp_usg.core.receivers.phc import CrossStamp, Edge, Pulses
from ntp_usg.refclocks.phc import PhcDriver, PhcOptions, _newer, _read_leap_table

NOW = HostNs(1_795_300_000 * NS_PER_SECOND)


def judge(options: PhcOptions, offset_ns: int, width_ns: int = 1000) -> Measurement | Verdict:
    stamp = CrossStamp(HostNs(NOW - width_ns), NOW + offset_ns, NOW)
    return PhcDriver(options)._judge(stamp, _read_leap_table(options), NOW)


def test_a_card_is_a_clock_or_a_stamp_for_pulses():
    clock, pulses = PhcOptions(unit=2), PhcOptions(external_stamps=True, channel=1, reference_id="GPS")
    assert isinstance(clock.source(), ClockSettings)
    assert clock.source().name == "PHC(2)"
    assert isinstance(pulses.source(), PulseSettings)
    assert pulses.source().reference_id == b"GPS"


def test_one_card_may_be_both_and_have_pulses_on_each_channel():
    cards = [PhcOptions(), *(PhcOptions(external_stamps=True, channel=channel) for channel in (0, 1))]
    assert len({card.occupies for card in cards}) == 3


def test_a_clock_that_is_read_too_seldom_is_refused():
    with pytest.raises(ValidationError, match="must be shorter than timeout_secs"):
        PhcOptions(reading_interval_secs=5)
    PhcOptions(reading_interval_secs=5, external_stamps=True)


def test_chronys_interval_is_an_exponent():
    translate = aliases_of(PhcOptions)["dpoll"].translate
    assert (translate(-2), translate(4)) == (0.25, 16)
    with pytest.raises(ValueError, match="exponent of two"):
        translate(0.5)


def test_a_reading_of_utc_is_taken_as_it_is():
    reading = judge(PhcOptions(), 1_500_000_000)
    assert isinstance(reading, Measurement)
    assert reading.offset_ns == 1_500_000_500


def test_tai_is_brought_to_utc_by_the_offset():
    reading = judge(PhcOptions(tai=True, utc_offset_secs=37), 37 * NS_PER_SECOND)
    assert isinstance(reading, Measurement)
    assert reading.offset_ns == 500


def test_tai_is_brought_to_utc_by_the_list_of_leap_seconds(tmp_path, leap_list):
    (tmp_path / "list").write_bytes(leap_list)
    reading = judge(PhcOptions(tai=True, leap_file=str(tmp_path / "list")), 10 * NS_PER_SECOND)
    assert isinstance(reading, Measurement)
    assert reading.offset_ns == 500


@pytest.fixture
def leap_list() -> bytes:
    """One line, from 1972 on."""

    digest = hashlib.sha1(b"39608352003991593600227206080010").hexdigest()
    words = " ".join(digest[at : at + 8] for at in range(0, 40, 8))
    return f"#$ 3960835200\n#@ 3991593600\n2272060800 10\n#h {words}\n".encode()


@pytest.mark.parametrize("contents", [None, "nonsense"])
def test_without_that_list_tai_cannot_be_used(tmp_path, contents):
    if contents:
        (tmp_path / "list").write_text(contents)
    with pytest.raises(DeviceError, match="TAI minus UTC is not known: set utc_offset_secs"):
        _read_leap_table(PhcOptions(tai=True, leap_file=str(tmp_path / "list")))


@pytest.mark.parametrize(
    ("offset_ns", "width_ns", "reason"),
    [
        (0, 1_000_001, Reason.TOO_LATE),
        (-1_000_000_000 * NS_PER_SECOND, 10, Reason.IMPLAUSIBLE),
        (2**63, 10, Reason.IMPLAUSIBLE),
    ],
    ids=["wide", "unset", "mad"],
)
def test_readings_of_no_use_are_refused_with_a_reason(offset_ns, width_ns, reason):
    verdict = judge(PhcOptions(), offset_ns, width_ns)
    assert isinstance(verdict, Verdict)
    assert verdict.reason is reason


def judged_edges(*edges: Edge, now: HostNs = NOW) -> list[Pulse | Verdict | None]:
    driver, pulses = PhcDriver(PhcOptions(external_stamps=True, channel=1)), Pulses()
    pulses.compare(CrossStamp(NOW, 0, NOW))  # the card began to count just now
    return [driver._judge_edge(edge, pulses, now) for edge in edges]


def test_edges_become_pulses_by_the_hosts_clock_in_a_row():
    second = NS_PER_SECOND
    first, *pulses = judged_edges(Edge(1, -2 * second + 7), Edge(1, 7 - second), Edge(0, 8 - second), Edge(1, 0))
    assert isinstance(first, Verdict)
    assert pulses == [Pulse(HostNs(NOW - second + 7), 1), None, Pulse(NOW, 2)]


def test_edges_from_another_time_are_stale():
    second = NS_PER_SECOND
    *_, late = judged_edges(Edge(1, -5 * second), Edge(1, -4 * second))
    *_, early = judged_edges(Edge(1, -second), Edge(1, 0), now=HostNs(NOW - 1))
    assert isinstance(late, Verdict)
    assert isinstance(early, Verdict)
    assert (late.reason, early.reason) == (Reason.STALE, Reason.STALE)


@pytest.mark.usefixtures("impatient")
def test_a_missing_card_is_told_once_with_advice(recorder, tmp_path):
    async def scenario() -> None:
        async with recorder.watching(PhcDriver(PhcOptions(device=str(tmp_path / "ptp0")))):
            await recorder.until(lambda: recorder.statuses)
            await asyncio.sleep(0.05)

    started = time.monotonic()
    asyncio.run(scenario())
    assert time.monotonic() - started < 5
    assert [status.connected for status in recorder.statuses] == [False]
    assert "does not exist" in recorder.statuses[0].detail


def test_a_newer_list_is_taken_while_the_card_is_read_and_a_bad_one_is_not(tmp_path, leap_list):
    path = tmp_path / "list"
    path.write_bytes(leap_list)
    options = PhcOptions(tai=True, leap_file=str(path))
    table = _read_leap_table(options)
    path.write_bytes(b"nonsense")
    assert _newer(table, options) is table
    path.write_bytes(leap_list)
    assert _newer(None, options) == table
