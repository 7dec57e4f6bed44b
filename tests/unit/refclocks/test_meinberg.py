"""The Meinberg driver on a real pseudo-terminal."""

import asyncio
import itertools

import pytest
from pydantic import ValidationError

from ntp_usg.core.base.instants import NS_PER_SECOND, WallNs
from ntp_usg.core.base.samples import DeviceStatus
from ntp_usg.core.engine.settings import ReceiverSettings
from ntp_usg.core.receivers.meinberg import Radio
from ntp_usg.refclocks.driver import load_drivers
from ntp_usg.refclocks.meinberg import MeinbergDriver, MeinbergOptions
from ntp_usg.simulate.meinberg import build_standard, with_even_parity
from ntp_usg.simulate.sentences import Sky

SECOND = WallNs(1_771_243_200 * NS_PER_SECOND)


async def talk_until(recorder, line, condition):
    """Be a clock that talks fast, second after second: the driver may still be opening the line."""

    async def talk():
        for number in itertools.count():
            line.say(with_even_parity(build_standard(WallNs(SECOND + number * NS_PER_SECOND), Sky(), zone_hours=2)))
            await asyncio.sleep(0.02)

    talking = asyncio.create_task(talk())
    try:
        await recorder.until(condition)
    finally:
        talking.cancel()


def test_its_table_is_meinberg_and_its_source_a_receiver():
    assert load_drivers()["meinberg"] is MeinbergDriver
    source = MeinbergOptions(device="/dev/ttyS0").source()
    assert isinstance(source, ReceiverSettings)
    assert (source.name, source.min_satellites, source.latency, source.accuracy) == ("GENERIC(0)", 0, 0.001, 0.02)


@pytest.mark.parametrize(
    ("mode", "radio", "reference_id", "baud_rate", "trust_power_up"),
    [
        (0, Radio.DCF77, "DCF", 9600, False),
        (2, Radio.DCF77, "DCF", 9600, False),
        (7, Radio.GPS, "GPS", 19200, False),
        (135, Radio.GPS, "GPS", 19200, False),
        (146, Radio.GPS, "GPS", 19200, False),
        (22, Radio.DCF77, "DCF", 9600, True),
        (151, Radio.GPS, "GPS", 19200, True),
    ],
)
def test_a_number_of_ntpds_stands_for_what_it_means_there(mode, radio, reference_id, baud_rate, trust_power_up):
    options = MeinbergOptions.model_validate({"device": "x", "mode": mode})
    assert options.radio is radio
    assert options.reference_id == reference_id
    assert options.baud_rate == baud_rate
    assert options.trust_power_up is trust_power_up


def test_what_is_written_wins_over_the_number():
    options = MeinbergOptions.model_validate({"device": "x", "mode": 135, "baud_rate": 9600, "reference_id": "GPSm"})
    assert (options.baud_rate, options.reference_id, options.radio) == (9600, "GPSm", Radio.GPS)


@pytest.mark.parametrize("mode", [3, 5, 10, 24, 127, 131, 256, -1, 263])
def test_a_number_that_is_no_meinberg_clock_is_refused_in_words(mode):
    with pytest.raises(
        ValidationError, match="is no Meinberg clock: 0, 1, 2, 7, 18, 22 and 23 are, each also plus 128"
    ):
        MeinbergOptions.model_validate({"device": "x", "mode": mode})


@pytest.mark.parametrize(
    "wrong", [{"mode": "135"}, {"radio": "msf"}, {"min_satellites": 4}, {"utc_offset_secs": 90_000}, {"mode": True}]
)
def test_a_wrong_option_is_named(wrong):
    (key,) = wrong
    with pytest.raises(ValidationError, match=key):
        MeinbergOptions.model_validate({"device": "x", **wrong})


def test_its_own_time_zone_is_taken_off_and_the_mode_explained(recorder, line):
    options = {"device": str(line.link), "mode": 135, "utc_offset_secs": 7200}
    driver = MeinbergDriver(MeinbergOptions.model_validate(options))

    async def scenario():
        async with recorder.watching(driver):
            await talk_until(recorder, line, lambda: recorder.messages)

    asyncio.run(scenario())
    assert 0 <= recorder.messages[0].second - SECOND < 100 * NS_PER_SECOND
    assert recorder.statuses == [
        DeviceStatus(connected=True, detail=f"{line.link} at 19200 baud, mode 135: its pulses are those of [pps]")
    ]


def test_a_line_without_telegrams_is_told_what_to_set(recorder, line):
    async def scenario():
        async with recorder.watching(MeinbergDriver(MeinbergOptions(device=str(line.link), timeout_secs=0.1))):
            while not recorder.statuses:
                line.say(b"D:16.02.26 12:00\r\n")
                await asyncio.sleep(0.02)

    asyncio.run(scenario())
    assert not recorder.statuses[0].connected
    assert "sends bytes, but no Meinberg telegrams at 9600 baud" in recorder.statuses[0].detail
    assert "It must be set to send one a second" in recorder.statuses[0].detail
