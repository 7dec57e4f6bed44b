"""Recordings played through the driver, from real files."""

import asyncio
import time

import pytest
from pydantic import ValidationError

from ntp_usg.core.base.instants import NS_PER_SECOND, HostNs, WallNs
from ntp_usg.core.base.verdicts import Outcome, Reason, Verdict
from ntp_usg.core.engine.settings import ReceiverSettings
from ntp_usg.core.receivers.recording import Chunk, build_chunk
from ntp_usg.refclocks.driver import load_drivers
from ntp_usg.refclocks.replay import ReplayDriver, ReplayOptions
from ntp_usg.simulate.meinberg import build_standard
from ntp_usg.simulate.sentences import Sky, build_burst
from ntp_usg.simulate.ubx import build_pulse, build_pvt, build_timels

SECOND = WallNs(1_771_243_200 * NS_PER_SECOND)
LATE_NS = 80_000_000


@pytest.fixture
def record(tmp_path):
    """Writes a recording of pieces, each so many seconds after the first; gives the options to play it."""

    def write(protocol, *pieces, **options):
        path = tmp_path / "receiver.jsonl"
        chunks = [Chunk(HostNs(SECOND + LATE_NS + round(at * NS_PER_SECOND)), data) for at, data in pieces]
        path.write_bytes(b"".join(map(build_chunk, chunks)))
        return ReplayOptions(device=str(path), protocol=protocol, **options)

    return write


def play(recorder, options, condition):
    async def scenario():
        async with recorder.watching(ReplayDriver(options)):
            await recorder.until(condition)

    asyncio.run(scenario())


def ended(recorder):
    return any("has come to its end" in status.detail for status in recorder.statuses)


def test_a_second_of_then_is_one_of_now_and_as_late_as_it_was(recorder, record):
    before = time.time_ns()
    play(recorder, record("gps", (0, build_burst(SECOND, Sky()))), lambda: recorder.messages)
    (message,) = recorder.messages
    assert before - 1.1 * NS_PER_SECOND < message.second < time.time_ns()
    assert (message.second - SECOND) % NS_PER_SECOND == 0
    assert message.received_at - message.second == pytest.approx(LATE_NS, abs=50_000_000)
    assert message.fix.satellites_used == 9


def test_the_time_of_old_may_be_had(recorder, record):
    play(recorder, record("gps", (0, build_burst(SECOND, Sky())), as_of="recorded"), lambda: recorder.messages)
    assert recorder.messages[0].second == SECOND
    assert recorder.messages[0].received_at == pytest.approx(time.time_ns(), abs=5 * NS_PER_SECOND)


def test_seconds_and_their_arrivals_keep_their_distances(recorder, record):
    later = WallNs(SECOND + NS_PER_SECOND)
    pieces = [(0, build_standard(SECOND, Sky())), (0.3, build_standard(later, Sky()))]
    play(recorder, record("meinberg", *pieces), lambda: ended(recorder))
    first, second = recorder.messages
    assert second.second - first.second == NS_PER_SECOND
    assert second.received_at - first.received_at == pytest.approx(300_000_000, abs=50_000_000)


def test_every_verdict_of_then_is_reached_again(recorder, record):
    burst = build_burst(SECOND, Sky())
    play(recorder, record("gps", (0, b"$GPRMC,noise*00\r\n"), (0.01, burst)), lambda: recorder.messages)
    assert recorder.verdicts == [Verdict(Outcome.REJECTED, Reason.BAD_CHECKSUM)]


def test_pulse_corrections_move_along_and_leap_seconds_of_then_are_forgotten(recorder, record):
    announced = build_timels(SECOND, change=1, event_in=3600)
    data = build_pvt(SECOND, Sky()) + announced + build_pulse(WallNs(SECOND + NS_PER_SECOND), 7_000)
    play(recorder, record("ubx", (0, data)), lambda: recorder.messages and recorder.corrections)
    (correction,), (message,) = recorder.corrections, recorder.messages
    assert correction.second - message.second == NS_PER_SECOND
    assert message.leap is None


def test_the_end_is_told_and_nothing_comes_after_it(recorder, record):
    options = record("gps", (0, build_burst(SECOND, Sky())))
    play(recorder, options, lambda: ended(recorder))
    connected, lost = recorder.statuses
    assert connected.detail == (
        f"REPLAY of {options.device}, recorded 2026-02-16; watched only, because `pretend = true` is not set"
    )
    assert not lost.connected


def test_a_loop_begins_again_with_seconds_that_have_passed_since(recorder, record, impatient):
    options = record("gps", (0, build_burst(SECOND, Sky())), loop=True)
    play(recorder, options, lambda: len(recorder.messages) == 3)
    assert sorted(recorder.messages, key=lambda message: message.second) == recorder.messages
    assert len(recorder.statuses) == 1


@pytest.mark.parametrize(
    ("content", "said"), [(None, "cannot be read"), (b"", "1: nothing was recorded"), (b"{}\n", "1: not")]
)
def test_a_file_that_is_none_is_told(recorder, tmp_path, content, said):
    path = tmp_path / "file"
    if content is not None:
        path.write_bytes(content)
    play(recorder, ReplayOptions(device=str(path), protocol="gps"), lambda: recorder.statuses)
    assert not recorder.statuses[0].connected
    assert said in recorder.statuses[0].detail


def test_its_table_is_replay_and_its_source_what_the_receiver_would_be():
    assert load_drivers()["replay"] is ReplayDriver
    source = ReplayOptions(device="x", protocol="meinberg").source()
    assert isinstance(source, ReceiverSettings)
    assert (source.name, source.driver, source.reference_id) == ("REPLAY(0)", "replay", b"PLAY")
    assert (source.min_satellites, source.latency, source.noselect) == (0, 0.001, True)
    assert ReplayOptions(device="x", protocol="gps", pretend=True, offset_secs=0.5).source().latency == 0.5


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"protocol": "pps"}, "`protocol` must be one of gps, meinberg"),
        ({"protocol": "gps", "loop": True, "as_of": "recorded"}, "turn the recorded time back"),
        ({}, "protocol"),
    ],
)
def test_a_wrong_option_is_named(wrong, said):
    with pytest.raises(ValidationError, match=said):
        ReplayOptions(device="x", **wrong)
