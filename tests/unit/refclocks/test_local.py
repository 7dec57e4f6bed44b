import asyncio

import pytest
from pydantic import ValidationError

from ntp_usg.refclocks.local import LocalDriver, LocalOptions


def test_the_hosts_clock_is_said_to_be_right(recorder):
    async def scenario():
        async with recorder.watching(LocalDriver(LocalOptions())):
            await recorder.until(lambda: recorder.samples)

    asyncio.run(scenario())
    assert recorder.samples[0].offset_ns == 0
    assert [status.connected for status in recorder.statuses] == [True]


def test_its_stratum_is_a_bad_one_that_can_be_set():
    assert LocalOptions().source().stratum == 10
    assert LocalOptions(stratum=5).source().stratum == 5
    assert LocalOptions().source().reference_id == b"LOCL"


@pytest.mark.parametrize("stratum", [0, 15])
def test_it_is_no_reference_clock_and_no_unsynchronised_one(stratum):
    with pytest.raises(ValidationError):
        LocalOptions(stratum=stratum)
