"""Who else may set the clock, found in a /proc of our own and in the real one."""

import subprocess
import sys

import pytest

from ntp_usg.sysapi.processes import rivals, running

BECOME = (
    "import sys, ntp_usg.sysapi.privileges as p; p.set_process_name(sys.argv[1]); print(flush=True); sys.stdin.read()"
)


@pytest.fixture
def processes(tmp_path):
    """Builds a /proc from names by process id."""

    def build(names):
        for process, name in names.items():
            (tmp_path / str(process)).mkdir()
            (tmp_path / str(process) / "comm").write_bytes(name + b"\n")
        return tmp_path

    return build


def test_time_daemons_are_named_and_others_are_not(processes):
    names = {1: b"systemd", 90: b"systemd-timesyn", 812: b"chronyd", 9: b"ntpdating", 10: b"ntp_usg_server"}
    assert rivals(processes(names)) == ["systemd-timesyn (process 90)", "chronyd (process 812)"]


def test_other_programs_can_be_asked_for(processes):
    folder = processes({7: b"ptp4l", 8: b"ntpd", 9: b"ts2phc"})
    assert running({"ptp4l", "ts2phc", "phc2sys"}, folder) == ["ptp4l (process 7)", "ts2phc (process 9)"]


def test_what_ends_meanwhile_or_has_an_odd_name_is_passed_over(processes):
    folder = processes({7: b"\xff\xfe", 8: b"ntpd"})
    (folder / "9").mkdir()
    (folder / "self").mkdir()
    assert rivals(folder) == ["ntpd (process 8)"]


def test_a_real_process_is_found():
    with subprocess.Popen(
        [sys.executable, "-c", BECOME, "htpdate"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout
        process.stdout.readline()
        assert f"htpdate (process {process.pid})" in rivals()
        process.communicate()
