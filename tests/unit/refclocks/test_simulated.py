"""The real drivers read the simulated receiver, in real time."""

import asyncio
import contextlib
import time

from ntp_usg.core.base.instants import NS_PER_SECOND, HostNs
from ntp_usg.core.base.samples import FixQuality
from ntp_usg.refclocks.nmea import NmeaDriver, NmeaOptions
from ntp_usg.refclocks.pps import PpsDriver, PpsOptions
from ntp_usg.simulate.receiver import SimulatedReceiver
from ntp_usg.simulate.truth import Truth


def test_drivers_read_a_receivers_truth_and_survive_its_unplugging(recorder, tmp_path):
    link, pulses = tmp_path / "gps", tmp_path / "pps.sock"
    truth = Truth(HostNs(time.time_ns()))
    receiver = SimulatedReceiver(truth, link, pulses, baud_rate=115_200)
    gps = NmeaDriver(NmeaOptions(device=str(link), baud_rate=115_200))
    pps = PpsDriver(PpsOptions(device=str(pulses)))

    async def scenario():
        running = asyncio.create_task(receiver.run())
        async with recorder.watching(gps), recorder.watching(pps):
            await recorder.until(lambda: recorder.messages)
            receiver.unplug()
            await recorder.until(lambda: any(not status.connected for status in recorder.statuses))
            receiver.lose_fix()
            receiver.plug_in()
            await recorder.until(lambda: len(recorder.messages) >= 2 and recorder.pulses)
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running

    asyncio.run(scenario())
    fix = recorder.messages[0].fix
    assert (fix.quality, fix.satellites_used, fix.satellites_in_view, fix.hdop) == (FixQuality.GPS, 9, 12, 0.67)
    assert recorder.messages[-1].fix.quality is FixQuality.NO_FIX
    for message in recorder.messages:
        assert message.second % NS_PER_SECOND == 0
        assert 50_000_000 < truth.true_time(message.received_at) - message.second < NS_PER_SECOND
    for pulse in recorder.pulses:
        true = truth.true_time(pulse.edge_at)
        assert abs(true - round(true, -9)) < 1_500  # the jitter has a standard deviation of 200 ns
    assert not link.is_symlink()
