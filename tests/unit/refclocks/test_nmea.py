"""The NMEA driver on a real pseudo-terminal."""

import asyncio
import itertools
import time

import pytest
from pydantic import ValidationError

from ntp_usg.core.base.instants import NS_PER_SECOND, WallNs, seconds
from ntp_usg.core.base.samples import DeviceStatus, Fix, FixQuality
from ntp_usg.core.base.verdicts import Outcome, Reason, Verdict
from ntp_usg.core.receivers.nmea import BURST_SILENCE_NS
from ntp_usg.core.receivers.nmea_sentences import build_sentence
from ntp_usg.core.receivers.rollover import WEEK_NS
from ntp_usg.refclocks.nmea import NmeaDriver, NmeaOptions
from ntp_usg.simulate.sentences import Sky, build_burst

A_PAUSE = 1.2 * seconds(BURST_SILENCE_NS)
"""After it a burst counts as whole."""
SECOND = WallNs(1_771_243_200 * NS_PER_SECOND)


def connected(line) -> DeviceStatus:
    return DeviceStatus(connected=True, detail=f"{line.link} at 9600 baud")


def driver(line, **options) -> NmeaDriver:
    return NmeaDriver(NmeaOptions(device=str(line.link), **options))


async def talk_until(recorder, line, condition):
    """Be a receiver that talks fast, second after second: the driver may still be opening the line."""

    async def talk():
        for number in itertools.count():
            line.say(build_burst(WallNs(SECOND + number * NS_PER_SECOND), Sky()))
            await asyncio.sleep(0.02)

    talking = asyncio.create_task(talk())
    try:
        await recorder.until(condition)
    finally:
        talking.cancel()


def test_the_guides_table_is_understood():
    options = NmeaOptions.model_validate(
        {
            "device": "/dev/ttyAMA0",
            "baud_rate": 9600,
            "min_satellites": 4,
            "min_quality": "Gps",
            "reference_id": "GPS\0",
            "poll_interval_secs": 1,
        }
    )
    assert options == NmeaOptions(device="/dev/ttyAMA0")


@pytest.mark.parametrize(
    ("written", "quality"),
    [
        ("NoFix", FixQuality.NO_FIX),
        ("Gps", FixQuality.GPS),
        ("DGps", FixQuality.DGPS),
        ("DifferentialGps", FixQuality.DGPS),
        ("Pps", FixQuality.PPS),
        ("Rtk", FixQuality.RTK),
        ("FloatRtk", FixQuality.FLOAT_RTK),
        ("differentialgps", FixQuality.DGPS),
    ],
)
def test_every_spelling_of_a_quality_is_accepted(written, quality):
    assert NmeaOptions.model_validate({"device": "x", "min_quality": written}).min_quality is quality


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"min_quality": "Good"}, "must be one of NoFix, Gps, DGps, DifferentialGps, Pps, Rtk, FloatRtk"),
        ({"min_quality": 1}, "must be one of"),
        ({"baud_rate": 0}, "baud_rate"),
        ({"timeout_secs": 0}, "timeout_secs"),
        ({"offset_secs": float("nan")}, "offset_secs"),
        ({"baudrate": 9600}, "baudrate"),
    ],
)
def test_a_wrong_option_is_named(wrong, said):
    with pytest.raises(ValidationError, match=said):
        NmeaOptions.model_validate({"device": "x", **wrong})


def test_a_message_is_reported_after_the_bursts_silence(recorder, line):
    async def scenario():
        async with recorder.watching(driver(line)):
            await asyncio.sleep(A_PAUSE)
            before = time.time_ns()
            line.say(build_burst(SECOND, Sky(satellites=7)))
            await recorder.until(lambda: recorder.messages)
            return before, time.time_ns()

    before, after = asyncio.run(scenario())
    (message,) = recorder.messages
    assert message.second == SECOND
    assert message.fix == Fix(FixQuality.GPS, 7, 10, 0.86, pdop=0.86, dimensions=3, position=message.fix.position)
    assert [name for name, _ in message.arrivals] == ["RMC", "GGA", "GSA", "GSV", "GLL", "ZDA"]
    assert before < message.received_at < after - 0.9 * BURST_SILENCE_NS
    assert recorder.statuses == [connected(line)]


def test_the_sentences_that_tell_the_time_can_be_chosen(recorder, line):
    async def scenario():
        async with recorder.watching(driver(line, sentences=("ZDA",))):
            await asyncio.sleep(A_PAUSE)
            line.say(build_burst(SECOND, Sky()))
            await recorder.until(lambda: recorder.messages)

    asyncio.run(scenario())
    (message,) = recorder.messages
    assert message.stamped_by == "ZDA"


@pytest.mark.parametrize("wrong", [["GGA"], ["RMC", "GSV"], "RMC", ["rmc"]])
def test_only_sentences_that_tell_time_and_date_can_be_chosen(wrong):
    assert NmeaOptions.model_validate({"device": "x", "sentences": ["RMC", "GLL"]}).sentences == ("RMC", "GLL")
    with pytest.raises(ValidationError, match="sentences"):
        NmeaOptions.model_validate({"device": "x", "sentences": wrong})


def test_a_date_that_rolled_over_is_part_of_the_lines_status(recorder, line):
    async def scenario():
        async with recorder.watching(driver(line)):
            await asyncio.sleep(A_PAUSE)
            line.say(build_burst(WallNs(SECOND - 1024 * WEEK_NS), Sky()))
            await recorder.until(lambda: recorder.messages)

    asyncio.run(scenario())
    (message,) = recorder.messages
    assert message.second == SECOND
    said = "names 2006-07-03, taken for 2026-02-16"
    assert [trouble.text for (trouble,) in (each.troubles for each in recorder.receptions)] == [said]
    assert recorder.statuses == [DeviceStatus(connected=True, detail=f"{line.link} at 9600 baud, {said}")]


def test_fixes_and_verdicts_are_passed_on(recorder, line):
    data = build_sentence("GPGGA,,,,,,0,00,99.99,,,,,,") + b"$GPGGA,noise*00\r\n"

    async def scenario():
        async with recorder.watching(driver(line)):
            await asyncio.sleep(A_PAUSE)
            line.say(data)
            await recorder.until(lambda: recorder.fixes)

    asyncio.run(scenario())
    assert recorder.fixes == [Fix(FixQuality.NO_FIX, satellites_used=0, hdop=99.99)]
    assert recorder.verdicts == [Verdict(Outcome.REJECTED, Reason.BAD_CHECKSUM)]


@pytest.mark.usefixtures("impatient")
def test_a_receiver_that_is_unplugged_is_missed_and_found_again(recorder, line):
    async def scenario():
        async with recorder.watching(driver(line)):
            await talk_until(recorder, line, lambda: recorder.statuses)
            line.unplug()
            await recorder.until(lambda: len(recorder.statuses) == 3)
            line.plug()
            await talk_until(recorder, line, lambda: len(recorder.statuses) == 4)

    asyncio.run(scenario())
    assert recorder.statuses == [
        connected(line),
        DeviceStatus(connected=False, detail=f"{line.link} hung up: was the receiver unplugged?"),
        DeviceStatus(connected=False, detail=f"{line.link} does not exist: is the receiver plugged in?"),
        connected(line),
    ]
