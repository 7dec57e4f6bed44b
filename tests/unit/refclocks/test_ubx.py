"""The UBX driver on a real pseudo-terminal."""

import asyncio
import time

from ntp_usg.core.base.instants import NS_PER_SECOND, HostNs, WallNs
from ntp_usg.core.base.samples import DeviceStatus, Fix, FixQuality
from ntp_usg.core.engine.settings import ReceiverSettings
from ntp_usg.refclocks.driver import load_drivers
from ntp_usg.refclocks.ubx import UbxDriver, UbxOptions
from ntp_usg.simulate.receiver import SimulatedReceiver
from ntp_usg.simulate.sentences import Sky, build_burst
from ntp_usg.simulate.truth import Truth
from ntp_usg.simulate.ubx import build_radio, build_ubx_burst

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
        async with recorder.watching(driver(line)):
            data = build_burst(SECOND, Sky()) + build_ubx_burst(SECOND, Sky(satellites=7)) + build_burst(SECOND, Sky())
            await say_until(line, data, lambda: recorder.messages)

    asyncio.run(scenario())
    message = recorder.messages[0]
    assert message.second == SECOND
    assert message.fix == Fix(FixQuality.GPS, satellites_used=7, satellites_in_view=10)
    assert message.leap == 0
    assert recorder.statuses == [DeviceStatus(connected=True, detail=f"{line.link} at 9600 baud")]


def test_an_antenna_in_trouble_is_told_as_the_devices_state(recorder, line):
    async def scenario():
        async with recorder.watching(driver(line)):
            await say_until(line, build_radio((4, 2)), lambda: recorder.statuses)
            await say_until(line, build_radio((2, 1)), lambda: len(recorder.statuses) == 2)

    asyncio.run(scenario())
    assert recorder.statuses == [
        DeviceStatus(connected=True, detail=f"{line.link} at 9600 baud, antenna open, jamming"),
        DeviceStatus(connected=True, detail=f"{line.link} at 9600 baud"),
    ]


def test_a_line_with_nmea_only_is_told_what_is_missing(recorder, line):
    async def scenario():
        async with recorder.watching(driver(line, timeout_secs=0.2)):
            await say_until(line, build_burst(SECOND, Sky()), lambda: recorder.statuses)

    asyncio.run(scenario())
    assert not recorder.statuses[0].connected
    assert "sends no UBX" in recorder.statuses[0].detail
    assert "It must have UBX-NAV-PVT switched on" in recorder.statuses[0].detail


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
