"""The simulated receiver's controls; that the real drivers can read it is tested with them."""

import asyncio
import os
import signal
import statistics
import subprocess
import sys
import time

import pytest

from ntp_usg.core.base.instants import NS_PER_SECOND, HostNs, WallNs
from ntp_usg.core.base.samples import FixQuality
from ntp_usg.simulate.__main__ import obey
from ntp_usg.simulate.receiver import SimulatedReceiver
from ntp_usg.simulate.sawtooth import Sawtooth
from ntp_usg.simulate.sentences import Sky
from ntp_usg.simulate.truth import Truth


@pytest.fixture
def truth() -> Truth:
    return Truth(HostNs(time.time_ns()))


def test_it_says_nothing_to_a_line_that_nobody_has_open(tmp_path, truth):
    receiver = SimulatedReceiver(truth, tmp_path / "gps")
    receiver.plug_in()
    receiver.garbage()
    far_end = os.open(tmp_path / "gps", os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
    with pytest.raises(BlockingIOError):
        os.read(far_end, 100)
    receiver.garbage()
    assert os.read(far_end, 100)
    receiver.unplug()
    os.close(far_end)


def test_it_obeys_words_and_letters(tmp_path, truth):
    receiver = SimulatedReceiver(truth, tmp_path / "gps")
    assert obey(receiver, "satellites 5\n") == "done: satellites 5"
    assert obey(receiver, "q dgps") == "done: quality dgps"
    assert obey(receiver, "l") == "done: lose"
    assert obey(receiver, "lose") == "done: lose"
    assert receiver.sky == Sky(5, FixQuality.NO_FIX)
    assert obey(receiver, "regain") == "done: regain"
    assert obey(receiver, "antenna open") == "done: antenna open"
    assert obey(receiver, "jam") == "done: jam"
    assert obey(receiver, "forge") == "done: forge"
    assert obey(receiver, "forge") == "done: forge"
    assert receiver.sky == Sky(5, FixQuality.DGPS, "open", jammed=True, forged=False)


@pytest.mark.parametrize("line", ["", "s", "s many", "quality excellent", "antenna gone", "explode"])
def test_it_answers_what_it_does_not_understand(tmp_path, truth, line):
    assert "done" not in obey(SimulatedReceiver(truth, tmp_path / "gps"), line)


def test_as_a_program_it_obeys_its_input_and_cleans_up_after_itself(tmp_path):
    link = tmp_path / "gps"
    command = [sys.executable, "-m", "ntp_usg.simulate", "--link", link, "--pps", tmp_path / "pps.sock"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as program:
        assert program.stdin is not None
        assert program.stdout is not None
        assert "--offset 1.5 --drift-ppm 12.0 --epoch" in program.stdout.readline()
        program.stdin.write("unplug\n")
        program.stdin.flush()
        assert program.stdout.readline() == "done: unplug\n"
        assert not link.is_symlink()
        program.stdin.write("plug\n")
        program.stdin.flush()
        assert program.stdout.readline() == "done: plug\n"
        assert link.is_symlink()
        program.send_signal(signal.SIGTERM)
        assert program.wait(5) == 0
    assert not link.is_symlink()


def test_it_answers_what_the_host_writes(tmp_path, truth):
    receiver = SimulatedReceiver(truth, tmp_path / "gps", baud_rate=115_200, hear=lambda data: b"heard " + data)

    async def scenario():
        running = asyncio.create_task(receiver.run())
        await asyncio.sleep(0)
        far_end = os.open(tmp_path / "gps", os.O_RDWR | os.O_NOCTTY)
        os.write(far_end, b"who are you?")
        async with asyncio.timeout(5):
            heard = b""
            while b"heard who are you?" not in heard:
                heard += await asyncio.to_thread(os.read, far_end, 100)
        os.close(far_end)
        running.cancel()

    asyncio.run(scenario())


def test_pulses_miss_their_second_by_half_a_tick_at_most_and_by_all_amounts_alike():
    seconds = [WallNs(second * NS_PER_SECOND) for second in range(1_771_243_200, 1_771_243_200 + 1_000)]
    errors = [Sawtooth(20.0).error_ps(second) for second in seconds]
    assert -20_000 <= min(errors) < -19_900
    assert 19_900 < max(errors) <= 20_000
    assert statistics.stdev(errors) == pytest.approx(40_000 / 12**0.5, rel=0.01)
    assert {Sawtooth(0).error_ps(second) for second in seconds} == {0}
