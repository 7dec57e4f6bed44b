"""The driver of real-time clocks, as far as it goes without one; tests/system has them."""

import asyncio
import time
from datetime import datetime

import pytest

from ntp_usg.core.base.instants import NS_PER_SECOND
from ntp_usg.refclocks.rtc import RtcDriver, RtcOptions

MIDSUMMER = datetime(2026, 7, 1, 12, 0, 0)  # noqa: DTZ001 - as the clock shows it


@pytest.fixture
def berlin(monkeypatch):
    """A machine in central Europe, by the rules alone: no table of time zones is needed."""
    monkeypatch.setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def second(shown: datetime, *, utc: bool) -> float | None:
    found = RtcDriver(RtcOptions(utc=utc))._second(shown)
    return None if found is None else found / NS_PER_SECOND


@pytest.mark.usefixtures("berlin")
def test_it_shows_utc_or_the_time_of_this_machines_zone():
    assert second(MIDSUMMER, utc=True) == 1_782_907_200
    assert second(MIDSUMMER, utc=False) == 1_782_907_200 - 2 * 3600


@pytest.mark.usefixtures("berlin")
@pytest.mark.parametrize("shown", [datetime(2026, 10, 25, 2, 30), datetime(2026, 3, 29, 2, 30)])  # noqa: DTZ001
def test_the_hour_that_comes_twice_or_never_tells_no_time(shown):
    assert second(shown, utc=False) is None
    assert second(shown, utc=True) is not None


def test_it_never_claims_to_be_among_the_best():
    source = RtcOptions().source()
    assert (source.name, source.stratum) == ("RTC(0)", 9)
    assert source.accuracy >= 1


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(("exists", "words"), [(False, "does not exist"), (True, "is no real-time clock")])
def test_what_cannot_be_read_is_told_with_advice(recorder, tmp_path, exists, words):
    if exists:
        (tmp_path / "rtc0").touch()

    async def scenario() -> None:
        async with recorder.watching(RtcDriver(RtcOptions(device=str(tmp_path / "rtc0")))):
            await recorder.until(lambda: recorder.statuses)

    asyncio.run(scenario())
    assert words in recorder.statuses[0].detail
    assert not recorder.samples
