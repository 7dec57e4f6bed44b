"""What all drivers share: how they are found, and how they speak of their devices."""

import pytest
from pydantic import BaseModel, TypeAdapter, ValidationError

from ntp_usg.core.base.samples import DeviceStatus
from ntp_usg.refclocks.driver import Driver, DriverOptions, ReferenceId, Reporter, load_drivers
from ntp_usg.refclocks.nmea import NmeaDriver
from ntp_usg.refclocks.pps import PpsDriver


def options(driver: type[Driver], **written: object) -> DriverOptions:
    values: dict[str, object] = {"device": "/dev/x", "protocol": "gps", "offset_secs": 0.0}
    required = {name for name, field in driver.Options.model_fields.items() if field.is_required()}
    made = driver.Options.model_validate({**{name: values[name] for name in required}, **written})
    assert isinstance(made, DriverOptions)
    return made


@pytest.mark.parametrize("driver", [pytest.param(driver, id=name) for name, driver in load_drivers().items()])
def test_what_all_drivers_share_reaches_the_engine(driver: type[Driver]):
    first, second = options(driver).source(), options(driver, unit=3, stratum=5, filter_length=4).source()
    assert first.name.endswith("(0)")
    assert second.name == first.name.replace("(0)", "(3)")
    assert (second.stratum, second.filter_length) == (5, 4)


def test_our_drivers_are_found_like_anybodys():
    ours: dict[str, type[Driver]] = {"gps": NmeaDriver, "pps": PpsDriver}  # mypy sees that they keep the contract
    assert load_drivers().items() >= ours.items()
    assert all(issubclass(driver.Options, BaseModel) for driver in ours.values())


@pytest.mark.parametrize(
    ("written", "meant"), [("GPS\0", "GPS"), ("GPS", "GPS"), ("G", "G"), ("GNSS", "GNSS"), ("1PPS", "1PPS")]
)
def test_a_reference_id_is_freed_of_its_padding(written, meant):
    assert TypeAdapter(ReferenceId).validate_python(written) == meant


@pytest.mark.parametrize("written", ["", "\0", "GPS\0\0x", "GALILEO", "GPÜ", "G\nS"])
def test_a_wrong_reference_id_is_told_the_rule(written):
    with pytest.raises(ValidationError, match="1 to 4 printable ASCII characters"):
        TypeAdapter(ReferenceId).validate_python(written)


def test_a_status_is_told_when_it_changes(recorder):
    report = Reporter(recorder)
    for connected, detail in [(False, "a"), (False, "a"), (False, "b"), (True, "c"), (True, "c"), (False, "b")]:
        report(connected=connected, detail=detail)
    assert recorder.statuses == [
        DeviceStatus(connected=False, detail="a"),
        DeviceStatus(connected=False, detail="b"),
        DeviceStatus(connected=True, detail="c"),
        DeviceStatus(connected=False, detail="b"),
    ]


@pytest.mark.fault(
    group="Receivers",
    kind="A receiver reports another state of its antenna again and again.",
    noticed="The log has the first few changes, then only the latest, once a minute, with their number.",
    served="Time as usual; the log stays short.",
)
def test_a_state_that_flaps_is_told_at_a_bounded_rate_and_its_last_change_in_the_end(recorder):
    now = 0.0
    report = Reporter(recorder, lambda: now)
    for number in range(1000):
        report(connected=True, detail="antenna open" if number % 2 else "antenna shorted")
        now += 0.01
    assert [status.is_news for status in recorder.statuses] == 6 * [True] + 994 * [False]
    for _ in range(120):
        report(connected=True, detail="antenna open")
        now += 1.0
    (told,) = recorder.statuses[1000:]
    assert told.is_news
    assert told.detail == "antenna open (changed 994 times meanwhile)"


def test_after_a_quiet_time_every_change_is_news_again(recorder):
    now = 0.0
    report = Reporter(recorder, lambda: now)
    for number in range(20):
        report(connected=True, detail=str(number))
        now += 60.0
    assert all(status.is_news for status in recorder.statuses)
