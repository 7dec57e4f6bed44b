"""What all commands do with their output: whole lines, and no traceback where it cannot be written."""

import socket
import subprocess
import sys
from pathlib import Path

import pytest
from rich.table import Table
from rich.text import Text
from typer.testing import CliRunner

from ntp_usg.cli.application import EX_IO_ERROR, print_report
from ntp_usg.cli.main import app

TOOL = f"{sys.executable} -c 'from ntp_usg.cli.main import app; app()'"


def shell(line: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["sh", "-c", line], capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.fault(
    group="Files and settings",
    kind="The disk is full when a command writes its report.",
    noticed="One line on standard error, and exit code 74.",
    served="Time as usual: the daemon is not affected.",
)
@pytest.mark.parametrize("arguments", ["--version", "query 127.0.0.1:1", "doctor --help"])
def test_a_full_disk_is_told_in_one_line(arguments: str):
    done = shell(f"{TOOL} {arguments} > /dev/full")
    assert (done.returncode, done.stderr) == (
        EX_IO_ERROR,
        "ntp_usg: the output cannot be written: No space left on device\n",
    )


@pytest.mark.parametrize("closing", [">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams_are_as_good_as_dev_null(closing: str):
    done = shell(f"{TOOL} --version {closing}")
    assert (done.returncode, done.stderr) == (0, "")


def test_a_reader_that_has_gone_is_no_error_to_talk_about():
    assert shell(f"{TOOL} --help | true").stderr == ""


def test_lines_and_tables_are_whole_in_pipes(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("COLUMNS", "40")
    table = Table(box=None, pad_edge=False)
    table.add_column("name")
    table.add_row("n" * 100)
    print_report(table, Text("word " * 50 + "end"), "[not markup]")
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert lines == ["name", "n" * 100, "word " * 50 + "end", "[not markup]"]


@pytest.mark.parametrize("command", ["status", "explain", "clients"])
def test_a_socket_that_may_not_be_opened_is_no_wrong_use_of_an_option(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    with socket.socket(socket.AF_UNIX) as link:
        link.bind(str(tmp_path / "control.sock"))
        monkeypatch.setattr("os.access", lambda *_, **__: False)
        result = CliRunner().invoke(app, [command, "--socket", str(tmp_path / "control.sock")])
    assert (result.exit_code, "Usage" in result.output) == (2, False)
    assert result.output.startswith(f"ntp_usg {command}: ")
