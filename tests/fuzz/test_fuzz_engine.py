"""A short run of what is thrown at the whole engine, and a check that it gets there."""

import pytest


@pytest.mark.fault(
    group="Attacks",
    kind="Receivers, programs, cards and servers send any bytes at all, with dates of any year.",
    noticed="Each input ends in a verdict that is counted; `script/fuzz` throws millions of them at the whole engine.",
    served="What the other sources say: no input ends the daemon.",
)
@pytest.mark.parametrize(
    ("target", "end"),
    [
        ("nmea", "TimeMessage to the engine"),
        ("ubx", "TimeMessage to the engine"),
        ("tsip", "TimeMessage to the engine"),
        ("oncore", "TimeMessage to the engine"),
        ("meinberg", "TimeMessage to the engine"),
        ("gpsd", "told True"),
        ("shm", "used"),
        ("sock", "used"),
        ("phc", "used"),
        ("rtc", "used"),
        ("ntp", "used"),
    ],
)
def test_no_input_of_any_kind_raises_anywhere_in_the_engine(fuzz, target, end):
    assert end in fuzz(target, 4_000)
