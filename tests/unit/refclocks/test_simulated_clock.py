"""The simulated clock: what it tells, and that nobody follows it by accident."""

import asyncio

import pytest

from ntp_usg.refclocks.driver import load_drivers
from ntp_usg.refclocks.simulated import SimulatedDriver, SimulatedOptions


def watch(recorder, **options):
    async def scenario():
        async with recorder.watching(SimulatedDriver(SimulatedOptions(**options))):
            await recorder.until(lambda: recorder.samples)

    asyncio.run(scenario())
    return recorder.samples[0]


def test_its_time_is_as_far_ahead_of_the_hosts_as_it_is_told(recorder):
    reading = watch(recorder, ahead_secs=2.5, jitter_secs=0.0)
    assert reading.offset_ns == pytest.approx(2_500_000_000, abs=5_000_000)


def test_its_readings_scatter(recorder):
    reading = watch(recorder, jitter_secs=0.5)
    assert abs(reading.offset_ns) > 10_000_000
    assert reading.dispersion == 0.5


def test_it_says_loudly_that_it_is_none(recorder):
    watch(recorder)
    (status,) = recorder.statuses
    assert status.detail == "SIMULATED, there is no such clock; watched only, because `pretend = true` is not set"


def test_it_warns_of_its_pretence(recorder):
    watch(recorder, pretend=True)
    assert "PRETENDS to be a reference: let no client use it" in recorder.statuses[0].detail


@pytest.mark.parametrize(
    ("options", "noselect"),
    [({}, True), ({"pretend": True}, False), ({"pretend": True, "noselect": True}, True)],
)
def test_it_is_followed_only_where_its_table_says_pretend(options, noselect):
    source = SimulatedOptions(**options).source()
    assert source.noselect is noselect
    assert (source.name, source.reference_id) == ("SIM(0)", b"SIM")


def test_its_table_is_simulated():
    assert load_drivers()["simulated"] is SimulatedDriver
