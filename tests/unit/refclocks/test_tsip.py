"""The TSIP driver on a real pseudo-terminal."""

import asyncio
import time

from ntp_usg.core.base.instants import NS_PER_SECOND, HostNs, WallNs
from ntp_usg.core.base.samples import DeviceStatus
from ntp_usg.core.engine.settings import ReceiverSettings
from ntp_usg.refclocks.driver import load_drivers
from ntp_usg.refclocks.tsip import TsipDriver, TsipOptions
from ntp_usg.simulate.receiver import SimulatedReceiver
from ntp_usg.simulate.sentences import Sky
from ntp_usg.simulate.truth import Truth
from ntp_usg.simulate.tsip import Thunderbolt, build_primary, build_supplemental

SECOND = WallNs(1_771_243_200 * NS_PER_SECOND)


def driver(line, **options):
    return TsipDriver(TsipOptions(device=str(line.link), **options))


async def say_until(line, data, condition):
    """The driver may still be opening the line."""
    async with asyncio.timeout(5):
        while not condition():
            line.say(data)
            await asyncio.sleep(0.3)


def test_its_table_is_tsip_and_its_source_a_receiver():
    assert load_drivers()["tsip"] is TsipDriver
    source = TsipOptions(device="/dev/ttyS0", offset_secs=0.05).source()
    assert isinstance(source, ReceiverSettings)
    assert (source.name, source.driver, source.min_satellites, source.latency) == ("GPS_TSIP(0)", "tsip", 0, 0.05)


def test_a_receiver_that_may_not_be_configured_is_only_listened_to(recorder, line):
    async def scenario():
        async with recorder.watching(driver(line, configure=False)):
            data = build_primary(SECOND) + build_supplemental(Sky(), minor=2)
            await say_until(line, data, lambda: recorder.messages)

    asyncio.run(scenario())
    assert recorder.messages[0].second == SECOND
    assert recorder.statuses == [DeviceStatus(connected=True, detail=f"{line.link} at 9600 baud, antenna open")]


def test_a_line_with_something_else_is_told_what_may_be_wrong(recorder, line):
    def told():
        return [status.detail for status in recorder.statuses if "no TSIP" in status.detail]

    async def scenario():
        async with recorder.watching(driver(line, timeout_secs=0.5)):
            await say_until(line, b"$GPZDA,,,,,,*48\r\n", told)

    asyncio.run(scenario())
    assert 'Palisade and Acutime want parity = "odd"' in told()[0]


def test_the_simulated_receiver_is_set_up_and_heard_to_tell_the_truth(recorder, tmp_path):
    truth, device = Truth(HostNs(time.time_ns()), offset=1.5), Thunderbolt()
    receiver = SimulatedReceiver(truth, tmp_path / "gps", say=device.say, hear=device.hear)
    receiver.plug_in()

    async def scenario():
        running = asyncio.create_task(receiver.run())
        async with recorder.watching(TsipDriver(TsipOptions(device=str(tmp_path / "gps")))):
            await recorder.until(lambda: recorder.messages)
        running.cancel()

    asyncio.run(scenario())
    message = recorder.messages[0]
    late = truth.true_time(message.received_at) - message.second
    assert 0.05 < late / NS_PER_SECOND < 0.2
    assert message.fix.satellites_used == 9
    assert recorder.statuses[-1].detail == f"{tmp_path}/gps at 9600 baud, UTC, timing packets on"
