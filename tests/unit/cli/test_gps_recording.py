"""Recordings over real pseudo-terminals."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from ntp_usg.cli.main import app
from ntp_usg.core.base.instants import HostNs
from ntp_usg.core.receivers.recording import Chunk, build_chunk, parse_chunk
from ntp_usg.simulate.pseudo_terminal import PseudoTerminal

CHUNKS = [
    Chunk(HostNs(1_771_243_200_080_000_000), b"$GNZDA,120000.00,16,02,2026,00,00*7D\r\n"),
    Chunk(HostNs(1_771_243_200_480_000_000), bytes(range(256))),
    Chunk(HostNs(1_771_243_200_580_000_000), b"last"),
]


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["gps", *map(str, arguments)], catch_exceptions=False)


def read_chunks(path: Path) -> list[Chunk]:
    return [parse_chunk(line) for line in path.read_bytes().splitlines()]


@contextmanager
def replaying(file: Path) -> Iterator[Path]:
    command = [sys.executable, "-c", "from ntp_usg.cli.main import app; app()", "gps", "replay", str(file)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as program:
        assert program.stdout is not None
        link = file.with_suffix(".tty")
        assert program.stdout.readline() == f"{link}: plays as soon as a program opens it\n"
        yield link
        assert program.wait(10) == 0
    assert not link.is_symlink()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "greenwich.jsonl"
    path.write_bytes(b"".join(map(build_chunk, CHUNKS)))
    return path


def test_a_replayed_recording_can_be_recorded_again_with_its_bytes_and_its_timing(file: Path, tmp_path: Path):
    copy = tmp_path / "copy"
    before = time.time_ns()
    with replaying(file) as line:
        result = run("record", line, copy)
    assert (result.exit_code, "hung up" in result.stderr) == (69, True)
    copied = read_chunks(copy)
    assert b"".join(chunk.data for chunk in copied) == b"".join(chunk.data for chunk in CHUNKS)
    assert before < copied[0].at <= copied[-1].at < time.time_ns()
    assert copied[-1].at - copied[0].at == pytest.approx(CHUNKS[-1].at - CHUNKS[0].at, abs=90_000_000)


def test_recording_ends_after_the_time_asked_for(tmp_path: Path):
    line = PseudoTerminal(tmp_path / "gps")
    line.plug_in()
    stop = threading.Event()

    def talk() -> None:
        while not stop.wait(0.01):
            line.write(b"x")

    talker = threading.Thread(target=talk)
    talker.start()
    try:
        result = run("record", tmp_path / "gps", tmp_path / "file", "--for", "0.3", "--baud", "115200")
    finally:
        stop.set()
        talker.join()
        line.unplug()
    assert result.exit_code == 0
    assert {byte for chunk in read_chunks(tmp_path / "file") for byte in chunk.data} == {ord("x")}


def test_a_silent_line_ends_with_1_and_a_hint(tmp_path: Path):
    line = PseudoTerminal(tmp_path / "gps")
    line.plug_in()
    result = run("record", tmp_path / "gps", tmp_path / "file", "--for", "0.1")
    line.unplug()
    assert "is the receiver powered and wired?" in result.stderr
    assert result.exit_code == 1


def test_a_file_that_exists_is_never_overwritten(file: Path, tmp_path: Path):
    kept = file.read_bytes()
    line = PseudoTerminal(tmp_path / "gps")
    line.plug_in()
    result = run("record", tmp_path / "gps", file, "--for", "0.1")
    line.unplug()
    assert (result.exit_code, file.read_bytes()) == (2, kept)
    assert "File exists" in result.stderr


def test_a_missing_device_leaves_no_file_behind(tmp_path: Path):
    result = run("record", tmp_path / "gps", tmp_path / "file")
    assert "is the receiver plugged in?" in result.stderr
    assert (result.exit_code, list(tmp_path.iterdir())) == (69, [])


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", ":1: nothing was recorded"),
        (b"$GNRMC\n", ":1: not {"),
        (b"x" * 100_000, ":1: longer than"),
    ],
)
def test_what_is_no_recording_is_refused_with_its_line(tmp_path: Path, content: bytes, words: str):
    file = tmp_path / "file"
    file.write_bytes(content)
    result = run("replay", file)
    assert f"{file}{words}" in result.stderr
    assert result.exit_code == 65


def test_a_recording_that_goes_back_in_time_is_refused(tmp_path: Path):
    file = tmp_path / "file"
    file.write_bytes(build_chunk(CHUNKS[1]) + build_chunk(CHUNKS[0]))
    far_end: list[int] = []

    def listen() -> None:
        while not (tmp_path / "file.tty").is_symlink():
            time.sleep(0.005)
        far_end.append(os.open(tmp_path / "file.tty", os.O_RDONLY | os.O_NOCTTY))

    listener = threading.Thread(target=listen)
    listener.start()
    result = run("replay", file)
    listener.join()
    os.close(far_end[0])
    assert f"{file}:2: is earlier than the line before" in result.stderr
    assert result.exit_code == 65


def test_no_file_is_replaced_by_the_line(file: Path):
    result = run("replay", file, "--link", file)
    assert (result.exit_code, file.is_symlink()) == (2, False)


def test_a_place_where_no_line_can_be_made_is_told(file: Path, tmp_path: Path):
    result = run("replay", file, "--link", tmp_path / "nowhere" / "gps")
    assert "nowhere" in result.stderr
    assert result.exit_code == 69
