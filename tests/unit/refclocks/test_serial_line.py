"""A tty on the event loop: real pseudo-terminals, and texts that say what to do."""

import asyncio
import errno
import os
import termios
import time

import pytest
from serial import SerialException

from ntp_usg.core.base.errors import DeviceError
from ntp_usg.core.base.instants import HostNs
from ntp_usg.refclocks import serial_line
from ntp_usg.refclocks.serial_line import CharacterFormat, SerialLine, _advice


def host_now() -> HostNs:
    return HostNs(time.time_ns())


def read_one(path, then):
    async def read():
        with SerialLine(str(path), 9600, host_now) as line:
            then()
            async with asyncio.timeout(5):
                return await line.read()

    return asyncio.run(read())


def test_bytes_come_with_the_time_of_waking_up(line):
    before = time.time_ns()
    data, received_at = read_one(line.link, lambda: line.say(b"$GP"))
    assert data == b"$GP"
    assert before < received_at <= time.time_ns()


def test_what_came_before_opening_is_not_news(line):
    line.say(b"old")
    data, _ = read_one(line.link, lambda: line.say(b"new"))
    assert data == b"new"


def test_a_read_that_is_given_up_loses_nothing(line):
    async def read():
        with SerialLine(str(line.link), 9600, host_now) as open_line:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(open_line.read(), 0.01)
            line.say(b"later")
            return await open_line.read()

    assert asyncio.run(read())[0] == b"later"


def test_a_line_that_hangs_up_says_so(line):
    with pytest.raises(DeviceError, match=r"gps hung up: was the receiver unplugged\?"):
        read_one(line.link, line.unplug)


def test_a_missing_device_is_told_from_one_that_is_no_line(tmp_path):
    with pytest.raises(DeviceError, match=r"nothing does not exist: is the receiver plugged in\?"):
        SerialLine(str(tmp_path / "nothing"), 9600, host_now)
    (tmp_path / "file").touch()
    with pytest.raises(DeviceError, match=r"file is not a serial line: name"):
        SerialLine(str(tmp_path / "file"), 9600, host_now)


def test_a_line_is_held_by_one_program_alone(line):
    with (
        SerialLine(str(line.link), 9600, host_now),
        pytest.raises(DeviceError, match="held by another program: is gpsd"),
    ):
        SerialLine(str(line.link), 9600, host_now)


def test_an_impossible_speed_is_a_device_error(line):
    with pytest.raises(DeviceError, match="cannot be used"):
        SerialLine(str(line.link), -1, host_now)


REFUSALS = [
    (errno.EACCES, "group dialout"),
    (errno.EBUSY, "gpsd"),
    (errno.ENXIO, "unplugged"),
    (errno.ENODEV, "unplugged"),
]


@pytest.mark.parametrize(("number", "advice"), REFUSALS)
def test_every_common_refusal_has_its_advice(number, advice):
    assert advice in _advice("/dev/ttyUSB0", OSError(number, os.strerror(number)))


def test_a_line_that_goes_while_it_is_opened_has_the_same_advice():
    failure = SerialException("Could not configure port: (5, 'Input/output error')")
    failure.__context__ = termios.error(errno.EIO, "Input/output error")  # as pyserial raises it
    assert "hung up: was the receiver unplugged?" in _advice("/dev/ttyUSB0", failure)


def test_the_line_runs_at_the_speed_that_was_set_last_and_drops_what_came_before(line):
    async def read():
        with SerialLine(str(line.link), 9600, host_now) as open_line:
            assert line.speed == 9600
            line.say(b"at 9600")
            open_line.set_speed(115_200)
            assert line.speed == 115_200
            line.say(b"at 115200")
            async with asyncio.timeout(5):
                return (await open_line.read())[0]

    assert asyncio.run(read()) == b"at 115200"


def test_a_speed_that_cannot_be_set_is_a_device_error(line):
    with SerialLine(str(line.link), 9600, host_now) as open_line, pytest.raises(DeviceError, match="cannot be used"):
        open_line.set_speed(-1)


@pytest.mark.parametrize(("form", "name"), [((), "8N1"), ((7, "even", 2), "7E2"), ((8, "odd", 1), "8O1")])
def test_a_line_is_opened_with_any_character_format(line, form, name, monkeypatch):
    monkeypatch.setattr(serial_line, "_PTY_MAJORS", ())
    character = CharacterFormat(*form)
    assert str(character) == name
    with SerialLine(str(line.link), 9600, host_now, character) as open_line:
        # A pty takes it and forgets it; what the port was asked for is what can be seen.
        port = open_line._serial
        assert f"{port.bytesize}{port.parity}{port.stopbits}" == name


def test_a_pty_which_knows_no_formats_can_be_opened_with_any_again_and_again(line):
    for rate in (9600, 9600, 19_200):
        with SerialLine(str(line.link), 9600, host_now, CharacterFormat(7, "even", 2)) as open_line:
            open_line.set_speed(rate)
            open_line.set_speed(rate)


def test_what_is_written_reaches_the_receiver_whole(line):
    text = bytes(range(256)) * 32  # more than the line takes at once

    async def converse():
        with SerialLine(str(line.link), 9600, host_now) as serial:
            heard = asyncio.create_task(line.hear(len(text)))
            serial.write(text)
            return await heard

    assert asyncio.run(converse()) == text


def test_writing_to_a_line_that_hung_up_is_a_device_error(line):
    async def converse():
        with SerialLine(str(line.link), 9600, host_now) as serial:
            line.unplug()
            serial.write(b"hello")

    with pytest.raises(DeviceError, match="unplugged"):
        asyncio.run(converse())


@pytest.mark.fault(
    group="Receivers",
    kind="A receiver takes none of the bytes that are sent to it.",
    noticed="They wait in a queue of bounded size; what it has no room for is dropped and asked again.",
    served="Time as usual, as long as the receiver itself is heard.",
)
def test_a_line_that_takes_nothing_is_heard_all_the_same_and_fills_no_memory(line):
    async def converse():
        with SerialLine(str(line.link), 9600, host_now) as serial:
            for _ in range(100):
                serial.write(bytes(1024))  # nobody reads at the far end
            assert len(serial._unsent) <= serial_line.MOST_UNSENT
            line.say(b"here I am")
            async with asyncio.timeout(5):
                return await serial.read()

    assert asyncio.run(converse())[0] == b"here I am"
