"""The Oncore driver on a real pseudo-terminal, and the file of its survey."""

import asyncio
import time

import pytest
from pydantic import ValidationError

from ntp_usg.core.base.instants import NS_PER_SECOND, HostNs, WallNs
from ntp_usg.core.base.samples import Position
from ntp_usg.core.engine.settings import ReceiverSettings
from ntp_usg.core.receivers.oncore_setup import Mode, OncoreSettings
from ntp_usg.core.receivers.oncore_survey import Survey, build_survey, parse_survey
from ntp_usg.refclocks.driver import load_drivers
from ntp_usg.refclocks.oncore import OncoreDriver, OncoreOptions
from ntp_usg.simulate.oncore import Oncore, build_position_12
from ntp_usg.simulate.receiver import SimulatedReceiver
from ntp_usg.simulate.sawtooth import Sawtooth
from ntp_usg.simulate.sentences import Sky
from ntp_usg.simulate.truth import Truth

SECOND = WallNs(1_771_243_200 * NS_PER_SECOND)


def driver(line, **options):
    return OncoreDriver(OncoreOptions(device=str(line.link), **options))


async def say_until(line, data, condition):
    """The driver may still be opening the line."""
    async with asyncio.timeout(5):
        while not condition():
            line.say(data)
            await asyncio.sleep(0.3)


def test_its_table_is_oncore_and_its_source_a_receiver():
    assert load_drivers()["oncore"] is OncoreDriver
    source = OncoreOptions(device="/dev/ttyS0", offset_secs=0.05).source()
    assert isinstance(source, ReceiverSettings)
    assert (source.name, source.driver, source.min_satellites, source.latency) == ("GPS_ONCORE(0)", "oncore", 1, 0.05)


def test_the_table_says_what_the_receiver_is_told():
    options = OncoreOptions.model_validate(
        {
            "device": "/dev/ttyS0",
            "mode": "position hold",
            "position": [51.4779, -0.00147, 92.4],
            "cable_delay_ns": 250,
            "mask_angle_deg": 15,
            "sawtooth": "subtract",
        }
    )
    assert options.settings() == OncoreSettings(
        mode=Mode.POSITION_HOLD,
        position=Position(51.4779, -0.00147, 92.4),
        cable_delay_ns=250,
        mask_angle_deg=15,
        sawtooth_sign=-1,
    )


def test_a_receiver_that_may_not_be_configured_is_not_surveyed():
    assert OncoreOptions(device="/dev/ttyS0", configure=False).settings().mode is Mode.NAVIGATE


@pytest.mark.parametrize(
    "wrong",
    [
        {"mode": "position hold"},
        {"mode": "hover"},
        {"position": [91.0, 0.0, 0.0]},
        {"position": [1.0, 2.0]},
        {"state_file": "survey.json"},
        {"cable_delay_ns": 1_000_000},
    ],
)
def test_a_table_that_makes_no_sense_is_refused(wrong):
    with pytest.raises(ValidationError):
        OncoreOptions.model_validate({"device": "/dev/ttyS0", **wrong})


def test_the_simulated_receiver_is_set_up_and_heard_to_tell_the_truth(recorder, tmp_path):
    truth, device = Truth(HostNs(time.time_ns()), offset=1.5), Oncore(Sawtooth(0))
    receiver = SimulatedReceiver(truth, tmp_path / "gps", say=device.say, hear=device.hear)
    receiver.plug_in()

    async def scenario():
        running = asyncio.create_task(receiver.run())
        async with recorder.watching(OncoreDriver(OncoreOptions(device=str(tmp_path / "gps"), mode="navigate"))):
            await recorder.until(lambda: recorder.corrections)
        running.cancel()

    asyncio.run(scenario())
    message = recorder.messages[-1]
    late = truth.true_time(message.received_at) - message.second
    assert 0.05 < late / NS_PER_SECOND < 0.2
    assert message.fix.satellites_used == 9
    assert recorder.corrections[0].second == message.second + NS_PER_SECOND
    assert recorder.statuses[-1].detail == f"{tmp_path}/gps at 9600 baud, P283T12T11"


def test_a_survey_is_kept_when_the_driver_ends_and_goes_on_later(recorder, line, tmp_path):
    path = tmp_path / "survey.json"
    path.write_bytes(build_survey(Survey(4711, 51.4779, -0.00147, 92.4)))

    async def scenario():
        async with recorder.watching(driver(line, state_file=str(path))):
            await say_until(line, build_position_12(SECOND, Sky()), lambda: recorder.messages)

    asyncio.run(scenario())
    assert parse_survey(path.read_bytes()).count == 4712
    assert recorder.statuses[-1].detail.endswith("site survey 45 %")
    assert [entry.name for entry in tmp_path.iterdir() if entry.name.startswith("survey")] == ["survey.json"]


def test_a_file_that_holds_something_else_is_left_alone(recorder, line, tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("mine")

    async def scenario():
        async with recorder.watching(driver(line, state_file=str(path))):
            await say_until(line, build_position_12(SECOND, Sky()), lambda: recorder.messages)

    asyncio.run(scenario())
    assert path.read_text() == "mine"
    assert f"{path} holds no survey: move it away" in recorder.statuses[-1].detail


def test_a_survey_that_cannot_be_kept_is_made_nevertheless_and_that_is_told(recorder, line, tmp_path):
    async def scenario():
        async with recorder.watching(driver(line, state_file=str(tmp_path / "nowhere" / "survey.json"))):
            await say_until(line, build_position_12(SECOND, Sky()), lambda: recorder.messages)

    asyncio.run(scenario())
    assert "nowhere/survey.json cannot be written: No such file or directory" in recorder.statuses[-1].detail


def test_a_survey_outlives_a_line_that_was_lost(recorder, line, impatient):
    watched = driver(line, timeout_secs=0.5)

    async def scenario():
        async with recorder.watching(watched):
            await say_until(line, build_position_12(SECOND, Sky()), lambda: recorder.messages)
            line.unplug()
            await recorder.until(lambda: not recorder.statuses[-1].connected)
            line.plug()
            later = build_position_12(WallNs(SECOND + NS_PER_SECOND), Sky())
            await say_until(line, later, lambda: len(recorder.messages) == 2)

    asyncio.run(scenario())
    assert watched._assembler is not None
    assert watched._assembler.survey.count == 2
