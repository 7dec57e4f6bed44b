"""Rights given up for good, in processes of their own."""

import json
import subprocess
import sys
from typing import Any

import pytest

from ntp_usg.sysapi.privileges import has_capability

# Everything is imported first: a process without rights may not even be able to read this Python.
PREPARE = """
import json, os
from pathlib import Path
from ntp_usg.sysapi.privileges import *
"""
REPORT = """
status = dict(line.split(":\\t", 1) for line in Path("/proc/self/status").read_text().splitlines())
print(json.dumps(status | {"uids": os.getresuid(), "gids": os.getresgid(), "groups": os.getgroups()}))
"""
CAP_SYS_TIME = 1 << 25

root_only = pytest.mark.skipif(not has_capability("CAP_SETUID"), reason="needs root: only who has rights can drop them")


def status_after(code: str) -> dict[str, Any]:
    """What the kernel says of a process that has run `code`."""
    command = [sys.executable, "-c", PREPARE + code + REPORT]
    finished = subprocess.run(command, check=False, capture_output=True, text=True, timeout=20)
    assert finished.returncode == 0, finished.stderr
    status: dict[str, Any] = json.loads(finished.stdout)
    return status


def capability_sets(status: dict[str, Any]) -> dict[str, int]:
    return {name: int(status[name], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")}


@root_only
def test_root_becomes_nobody_without_any_right():
    status = status_after("drop_privileges()")
    assert set(capability_sets(status).values()) == {0}
    assert status["uids"] == status["gids"] == [65534] * 3
    assert status["groups"] == []
    assert status["NoNewPrivs"] == "1"


@root_only
def test_a_chosen_capability_survives_the_change_of_user_and_works():
    status = status_after(
        "drop_privileges(uid=12345, gid=12346, keep=['CAP_SYS_TIME'])\n"
        "assert has_capability('CAP_SYS_TIME') and not has_capability('CAP_SETUID')"
    )
    assert capability_sets(status) == {
        "CapInh": 0,
        "CapPrm": CAP_SYS_TIME,
        "CapEff": CAP_SYS_TIME,
        "CapBnd": CAP_SYS_TIME,
        "CapAmb": 0,
    }
    assert status["uids"] == [12345] * 3
    assert status["gids"] == [12346] * 3


@root_only
def test_root_cannot_be_had_back():
    status_after(
        "drop_privileges()\n"
        "try:\n    os.setuid(0)\nexcept PermissionError:\n    pass\nelse:\n    raise SystemExit('root again')"
    )


def test_a_process_without_rights_may_drop_them_again():
    status = status_after("drop_privileges()\ndrop_privileges(uid=1, gid=1, keep=['CAP_NET_BIND_SERVICE'])")
    assert capability_sets(status)["CapEff"] == capability_sets(status)["CapPrm"] == 0
    assert status["uids"] != [1] * 3
    assert status["NoNewPrivs"] == "1"


def test_the_process_name_is_what_others_see():
    assert status_after("set_process_name('ntp_usg_server')")["Name"] == "ntp_usg_server"


@pytest.mark.parametrize(("name", "bit"), [("CAP_SYS_TIME", CAP_SYS_TIME), ("CAP_NET_BIND_SERVICE", 1 << 10)])
def test_has_capability_agrees_with_the_kernel(name, bit):
    status = status_after("")
    assert has_capability(name) == bool(capability_sets(status)["CapEff"] & bit)
