"""The whole daemon on select() alone, watched by strace: a simulator that replaces the C library must see it all."""

import re
import signal

import pytest

pytestmark = pytest.mark.peer

WAITS = {"select", "pselect6", "pselect6_time64"}  # by what name the C library asks the kernel to select()
UNKNOWN_TO_SIMULATORS = {
    *("epoll_ctl", "epoll_wait", "epoll_pwait", "epoll_pwait2", "poll", "ppoll", "ppoll_time64"),
    *("eventfd", "eventfd2", "signalfd", "signalfd4", "socketpair", "sendmmsg", "io_uring_setup"),
    *("fork", "vfork", "clone", "clone3", "memfd_create"),
}
"""Not in here: `epoll_create1`, by which Python finds out on import whether there is epoll; `pipe2` of pyserial and
`getpeername` of HTTP, neither of which is to be had in a simulator."""


@pytest.fixture(scope="module")
def trace(start_station, require_peer, tmp_path_factory):
    """A station that has locked, answered, been looked at and stopped, and the system calls that it made meanwhile."""
    file = tmp_path_factory.mktemp("trace") / "trace"
    watched = ",".join(f"?{name}" for name in sorted(WAITS | UNKNOWN_TO_SIMULATORS))
    tracer = [str(require_peer("strace")), "-D", "-f", "-qq", "-o", str(file), "-e", f"trace={watched}"]
    with start_station(
        '[[source]]\naddress = "127.0.0.1:1124"\n', tracer=tracer, environment={"NTP_USG_EVENT_LOOP": "select"}
    ) as station:
        station.wait_for_lock()
        assert "stratum=1" in station.host.run(require_peer("ntpq"), "-c", "rv", "127.0.0.1")
        station.daemon.send_signal(signal.SIGHUP)
        station.wait_for_log("Reloaded")
    calls = re.findall(r"^\d+ +(\w+)\(", file.read_text(), re.MULTILINE)
    threads = set(re.findall(r"^(\d+) ", file.read_text(), re.MULTILINE))
    return station, calls, threads


def test_it_waits_by_select_and_calls_nothing_that_a_simulator_does_not_know(trace):
    _, calls, _ = trace
    assert len(calls) > 10
    assert set(calls) <= WAITS


def test_it_is_one_process_with_one_thread(trace):
    _, _, threads = trace
    assert len(threads) == 1


def test_it_stops_in_order_when_it_is_told_to(trace):
    station, _, _ = trace
    assert station.daemon.returncode == 0
    assert "Stopping" in station.log
    assert "Traceback" not in station.log
