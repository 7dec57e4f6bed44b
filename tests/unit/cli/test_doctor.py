import json
import socket
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from ntp_usg.cli import doctor as doctor_module
from ntp_usg.cli.doctor import Level, examine
from ntp_usg.cli.main import app
from ntp_usg.core.base.errors import DeviceError, NtpUsgError


@pytest.fixture
def rights(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The capabilities that the process has, as far as the doctor is told."""
    held: set[str] = set()
    monkeypatch.setattr(doctor_module, "has_capability", lambda name: name in held)
    return held


def found(name: str) -> doctor_module.Check:
    return next(check for check in examine() if check.name == name)


def test_the_document_has_every_check_with_advice_where_something_is_missing():
    result = CliRunner().invoke(app, ["doctor", "--json"])
    checks = json.loads(result.stdout)
    names = ["port 123", "system clock", "other programs", "receive stamps", "batches", "pulses", "XDP"]
    assert [check["name"] for check in checks] == names
    assert all(check["found"] for check in checks)
    assert all(check["advice"] for check in checks if check["level"] != "ok")
    assert result.exit_code == any(check["level"] == "fail" for check in checks)


def test_the_table_shows_the_same():
    result = CliRunner().invoke(app, ["doctor"])
    for check in examine():
        assert check.name in result.stdout
        assert all(word in result.stdout for word in f"{check.found} {check.advice}".split())


def test_without_the_right_to_a_low_port_the_server_cannot_do_its_work(rights, monkeypatch, tmp_path):
    limit = tmp_path / "ip_unprivileged_port_start"
    limit.write_text("1024\n")
    monkeypatch.setattr(doctor_module, "_UNPRIVILEGED_PORTS", limit)
    assert found("port 123").level is Level.FAIL
    assert CliRunner().invoke(app, ["doctor"]).exit_code == 1
    limit.write_text("0\n")
    assert found("port 123").level is Level.OK
    limit.write_text("1024\n")
    rights.add("CAP_NET_BIND_SERVICE")
    assert found("port 123").level is Level.OK


def test_a_clock_that_may_not_be_steered_is_worth_a_warning(rights):
    assert found("system clock").level is Level.WARN
    rights.add("CAP_SYS_TIME")
    assert found("system clock").level is Level.OK


def test_another_time_daemon_is_named(monkeypatch):
    monkeypatch.setattr(doctor_module, "rivals", lambda: ["chronyd (process 812)"])
    check = found("other programs")
    assert (check.level, check.found) == (Level.WARN, "chronyd (process 812) may set the clock")


def test_cards_that_could_stamp_requests_are_named(monkeypatch):
    def look(name: str) -> str:
        if name == "lo":
            raise DeviceError("lo has no clock of its own")
        return "/dev/ptp0"

    monkeypatch.setattr(doctor_module, "open_fast_path", lambda _policy: SimpleNamespace(close=lambda: None))
    monkeypatch.setattr(socket, "if_nameindex", lambda: [(1, "lo"), (2, "eth0")])
    monkeypatch.setattr(doctor_module, "find_clock", look)
    assert found("XDP").found.endswith("; eth0 (/dev/ptp0) has a clock to stamp requests with")
    monkeypatch.setattr(socket, "if_nameindex", lambda: [(1, "lo")])
    assert found("XDP").found.endswith("; no card here has a clock to stamp requests with")


def test_why_there_is_no_xdp_is_told(monkeypatch):
    def refuse(_policy):
        raise NtpUsgError("no XDP: this kernel, 5.10.0, is older than 6.1")

    monkeypatch.setattr(doctor_module, "open_fast_path", refuse)
    check = found("XDP")
    assert (check.level, check.found) == (Level.WARN, "no XDP: this kernel, 5.10.0, is older than 6.1")
