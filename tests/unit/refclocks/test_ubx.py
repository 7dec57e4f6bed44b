"""The UBX driver on a real pseudo-terminal."""

import asyncio
import time

import pytest
from pydantic import ValidationError

from ntp_usg.core.base.doubts import Doubt
from ntp_usg.core.base.instants import NS_PER_SECOND, HostNs, WallNs
from ntp_usg.core.base.samples import DeviceStatus, FixQuality, Position
from ntp_usg.core.engine.settings import ReceiverSettings
from ntp_usg.core.receivers.ubx_settings import Placement
from ntp_usg.refclocks.driver import load_drivers
from ntp_usg.refclocks.ubx import UbxDriver, UbxOptions
from ntp_usg.simulate.receiver import SimulatedReceiver
from ntp_usg.simulate.sentences import Sky, build_burst
from ntp_usg.simulate.truth import Truth
from ntp_usg.simulate.ubx import build_radio, build_ubx_burst
from ntp_usg.simulate.ubx_receiver import MODELS, UbxReceiver

SECOND = WallNs(1_771_243_200 * NS_PER_SECOND)


def driver(line, **options):
    return UbxDriver(UbxOptions(device=str(line.link), **options))


async def say_until(line, data, condition):
    """The driver may still be opening the line."""
    async with asyncio.timeout(5):
        while not condition():
            line.say(data)
            await asyncio.sleep(0.3)


def test_its_table_is_ubx_and_its_source_a_receiver():
    assert load_drivers()["ubx"] is UbxDriver
    source = UbxOptions(device="/dev/ttyACM0", min_satellites=1, offset_secs=0.05).source()
    assert isinstance(source, ReceiverSettings)
    assert (source.name, source.driver, source.min_satellites, source.latency) == ("GPS_UBX(0)", "ubx", 1, 0.05)


def test_a_message_is_reported_from_a_line_that_speaks_nmea_too(recorder, line):
    async def scenario():
        async with recorder.watching(driver(line, configure=False)):
            data = build_burst(SECOND, Sky()) + build_ubx_burst(SECOND, Sky(satellites=7)) + build_burst(SECOND, Sky())
            await say_until(line, data, lambda: recorder.messages)

    asyncio.run(scenario())
    message = recorder.messages[0]
    assert message.second == SECOND
    assert (message.fix.quality, message.fix.satellites_used, message.fix.satellites_in_view) == (FixQuality.GPS, 7, 10)
    assert message.leap == 0
    assert recorder.statuses == [DeviceStatus(connected=True, detail=f"{line.link} at 9600 baud")]


@pytest.mark.parametrize("model", ["6", "8T", "9T"])
def test_a_receiver_fresh_from_the_factory_is_set_up_and_that_is_told(recorder, tmp_path, model):
    truth = Truth(HostNs(time.time_ns()), offset=1.5)
    device = UbxReceiver(MODELS[model])
    receiver = SimulatedReceiver(truth, tmp_path / "gps", baud_rate=115_200, say=device.say, hear=device.hear)
    receiver.plug_in()
    said = {"6": "u-blox 6", "8T": "NEO-M8T, protocol 22", "9T": "ZED-F9T, protocol 29"}[model]
    described = f"{said}: timing messages on, one pulse a second on UTC, 1 Hz, stationary"

    async def scenario():
        running = asyncio.create_task(receiver.run())
        async with recorder.watching(UbxDriver(UbxOptions(device=str(tmp_path / "gps"), baud_rate=115_200))):
            await recorder.until(lambda: any(described in status.detail for status in recorder.statuses))
            await recorder.until(lambda: len(recorder.messages) >= 2 and recorder.corrections)
            await recorder.until(lambda: model == "6" or any(one.troubles for one in recorder.receptions))
        running.cancel()

    asyncio.run(scenario())
    assert all(status.connected for status in recorder.statuses)
    assert said in recorder.statuses[-1].identity
    assert [one.troubles[0].doubt for one in recorder.receptions if one.troubles][:1] == (
        [Doubt.SURVEY] if model != "6" else []
    )
    following = [correction.second - NS_PER_SECOND for correction in recorder.corrections]
    assert {message.second for message in recorder.messages} & set(following)


def test_a_receiver_that_does_not_answer_is_listened_to(recorder, line):
    async def scenario():
        async with recorder.watching(driver(line)):
            await say_until(line, build_ubx_burst(SECOND, Sky()), lambda: recorder.messages)

    asyncio.run(scenario())
    assert recorder.statuses == [DeviceStatus(connected=True, detail=f"{line.link} at 9600 baud")]


def test_an_antenna_in_trouble_is_told_as_the_devices_state(recorder, line):
    async def scenario():
        async with recorder.watching(driver(line, configure=False)):
            await say_until(line, build_radio((4, 2)), lambda: recorder.statuses)
            await say_until(line, build_radio((2, 1)), lambda: len(recorder.statuses) == 2)

    asyncio.run(scenario())
    assert recorder.statuses == [
        DeviceStatus(connected=True, detail=f"{line.link} at 9600 baud, antenna open, jamming"),
        DeviceStatus(connected=True, detail=f"{line.link} at 9600 baud"),
    ]


@pytest.mark.parametrize(
    ("configure", "hint"), [(True, "is its RX wired to this host's TX?"), (False, "UBX-NAV-PVT switched on")]
)
def test_a_line_with_nmea_only_is_told_what_is_missing(recorder, line, configure, hint):
    async def scenario():
        async with recorder.watching(driver(line, timeout_secs=0.5, configure=configure)):
            await say_until(line, build_burst(SECOND, Sky()), lambda: recorder.statuses)

    asyncio.run(scenario())
    assert not recorder.statuses[0].connected
    assert "and no UBX" in recorder.statuses[0].detail
    assert hint in recorder.statuses[0].detail


@pytest.mark.parametrize("position", [[91.0, 0.0, 0.0], [0.0, 181.0, 0.0], [0.0, 0.0, 1e5], [0.0, 0.0], "here"])
def test_a_place_that_is_not_on_earth_is_refused(position):
    with pytest.raises(ValidationError):
        UbxOptions.model_validate({"device": "/dev/ttyACM0", "position": position})


def test_a_place_may_be_given_in_whole_numbers():
    table = {"device": "/dev/ttyACM0", "position": [51, 0, 46], "survey_in_accuracy_m": 1}
    options = UbxOptions.model_validate(table)
    assert options.placement == Placement(3600, 1.0, Position(51.0, 0.0, 46.0))


def test_a_receiver_in_a_vehicle_is_neither_surveyed_nor_held():
    assert UbxOptions(device="/dev/ttyACM0", mobile=True).placement == Placement(0, 5.0)
    with pytest.raises(ValidationError, match="stands still"):
        UbxOptions(device="/dev/ttyACM0", mobile=True, position=(51.0, 0.0, 46.0))


def test_the_simulated_receiver_is_heard_to_tell_the_truth(recorder, tmp_path):
    truth = Truth(HostNs(time.time_ns()), offset=1.5)
    receiver = SimulatedReceiver(truth, tmp_path / "gps", baud_rate=115_200, say=build_ubx_burst)
    receiver.plug_in()

    async def scenario():
        running = asyncio.create_task(receiver.run())
        async with recorder.watching(UbxDriver(UbxOptions(device=str(tmp_path / "gps"), baud_rate=115_200))):
            await recorder.until(lambda: recorder.messages)
        running.cancel()

    asyncio.run(scenario())
    (message,) = recorder.messages
    late = truth.true_time(message.received_at) - message.second
    assert 0.05 < late / NS_PER_SECOND < 0.2
