import asyncio
import json
import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner, Result

from ntp_usg.cli import status as module
from ntp_usg.cli.main import app
from ntp_usg.cli.status import DEFAULT_SOCKET, _advice
from ntp_usg.cli.tables import status_table
from ntp_usg.config.models import ServerSettings
from ntp_usg.core.base.doubts import Doubt, Trouble
from ntp_usg.core.base.instants import MonoNs
from ntp_usg.core.base.samples import Fix, FixQuality
from ntp_usg.core.base.snapshots import FastPathSnapshot, ServingState, SyncPhase, SystemSnapshot, Tally
from ntp_usg.observe.server import serve_unix
from ntp_usg.observe.status import describe_status
from ntp_usg.observe.view import DaemonView
from ntp_usg.observe.web import build_app

ViewOf = Callable[[SystemSnapshot], DaemonView]


@pytest.fixture
def lost_snapshot(locked_snapshot: SystemSnapshot) -> SystemSnapshot:
    """The receiver unplugged before it ever said anything."""
    gps = replace(
        locked_snapshot.sources[0],
        tally=Tally.REJECTED,
        healthy=False,
        reason="/dev/ttyAMA0 does not exist: is the receiver plugged in?",
        reach=0,
        last_heard_age=None,
        offset=None,
        jitter=None,
        fix=None,
    )
    return replace(
        locked_snapshot,
        serving=ServingState(as_of=MonoNs(10**9), expires_at=MonoNs(10**10)),
        phase=SyncPhase.STARTING,
        selected=None,
        sources=(gps,),
    )


@contextmanager
def daemon(view: DaemonView, path: Path) -> Iterator[None]:
    """The real API on a control socket, in a thread with a loop of its own."""
    ready, loop, stop = threading.Event(), asyncio.new_event_loop(), asyncio.Event()

    async def serve() -> None:
        running = await serve_unix(build_app(view), path)
        ready.set()
        await stop.wait()
        await running.stop()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    assert ready.wait(5)
    try:
        yield
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.close()


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["status", *arguments], catch_exceptions=False)


def rendered(view: DaemonView) -> list[str]:
    """The table in a terminal of 80 columns."""
    console = Console(width=80, file=StringIO(), highlight=False)
    with console.capture() as capture:
        console.print(status_table(describe_status(view)))
    return [line.rstrip() for line in capture.get().splitlines()]


def test_the_table_shows_system_sources_and_queries(view: DaemonView):
    assert rendered(view) == [
        "SYNCHRONISED  stratum 1, follows PPS(0), error below 3.000 us",
        "offset -20 ns, jitter 45 ns, host clock +12.500 ppm and 1.500 s behind",
        "ntp_usg 1.2.3, up 100 s, on 127.0.0.1:123, [::1]:123",
        "",
        "   source       ref  reach       offset    jitter  heard  signal",
        "*  GPS_NMEA(0)  GPS    377  +123.400 us  1.500 us    1 s  GPS, 8/12 sats",
        "o  PPS(0)       PPS    377      -123 ns     45 ns    0 s  1.00 Hz",
        "GPS_NMEA(0): numbers the seconds of PPS(0)",
        "PPS(0): the clock follows it",
        "",
        "12.5 requests/s from 42 clients; in all: 1000 answered, 7 dropped",
    ]


def test_the_table_shows_where_requests_are_answered_within_the_kernel(view: DaemonView):
    view.fast = FastPathSnapshot({"eth0": "native", "eth1": "no interface eth1 here"}, 900)  # type: ignore[attr-defined]
    assert rendered(view)[-1] == "XDP on eth0: native, eth1: no interface eth1 here; 900 answered there"


def test_the_table_shows_where_cards_stamp_what_is_answered_there(view: DaemonView):
    view.fast = FastPathSnapshot({"eth0": "native, stamped by the card"}, 900, stamped=850)  # type: ignore[attr-defined]
    line = "XDP on eth0: native, stamped by the card; 900 answered there, 850 so stamped"
    assert rendered(view)[-1] == line


def test_what_is_not_known_is_a_dash_and_the_reason_is_there(view_of: ViewOf, lost_snapshot: SystemSnapshot):
    table = rendered(view_of(lost_snapshot))
    assert table[0] == "STARTING  no time is served"
    assert table[4:7] == [
        "   source       ref  reach  offset  jitter  heard  signal",
        "   GPS_NMEA(0)  GPS    000       -       -  never  -",
        "GPS_NMEA(0): /dev/ttyAMA0 does not exist: is the receiver plugged in?",
    ]


def test_doubts_are_shown_with_what_they_leave_of_the_trust(view_of: ViewOf, locked_snapshot: SystemSnapshot):
    gps = replace(locked_snapshot.sources[0], trust=0.8, doubts=(Trouble(Doubt.GEOMETRY, "PDOP 12.0"),))
    assert "GPS_NMEA(0): trusted to 80%: PDOP 12.0" in rendered(view_of(replace(locked_snapshot, sources=(gps,))))


def test_holdover_is_shown_with_its_age(view_of: ViewOf, locked_snapshot: SystemSnapshot):
    alone = replace(
        locked_snapshot,
        phase=SyncPhase.HOLDOVER,
        selected=None,
        holdover_age=7500.0,
        holdover_left=300.0,
        clock="system",
    )
    table = rendered(view_of(alone))
    assert table[0] == "HOLDOVER  stratum 1, on its own for 2.1 h, 5 min left, error below 3.000 us"
    assert table[1] == "offset -20 ns, jitter 45 ns, host clock +12.500 ppm, disciplined"


def test_a_clock_on_its_own_with_a_source_in_reserve_is_no_holdover(
    view_of: ViewOf, following_snapshot: SystemSnapshot
):
    coasting = replace(following_snapshot, selected=None, reserve=following_snapshot.selected, holdover_age=300.0)
    first = "SYNCHRONISED  stratum 2, on its own for 5 min, ntp1.example.net in reserve, error below 6.503 ms"
    assert " ".join(rendered(view_of(coasting))[:2]) == first


def test_a_stalled_engine_is_told_though_its_last_word_was_good(view_of: ViewOf, locked_snapshot: SystemSnapshot):
    old = replace(locked_snapshot, serving=replace(locked_snapshot.serving, expires_at=locked_snapshot.serving.as_of))
    assert rendered(view_of(old))[1] == "stalled: the engine has published nothing for 1 s"


def test_what_is_not_known_is_a_dash(view_of: ViewOf, lost_snapshot: SystemSnapshot):
    unknown = replace(lost_snapshot, offset=None, jitter=None, frequency_ppm=None, host_offset=None)
    assert rendered(view_of(unknown))[1] == "offset -, jitter -, host clock -"


def test_a_daemon_that_runs_without_this_socket_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr(module, "running", lambda names: [f"{name} (process 812)" for name in names])
    result = run("--socket", str(tmp_path / "none"))
    assert result.exit_code == 2
    assert "does not exist, but ntp_usg_server (process 812) runs: name its [server] control_socket" in result.output


def test_a_daemon_without_reference_clocks_says_so(view_of: ViewOf, locked_snapshot: SystemSnapshot):
    assert "No source is configured." in rendered(view_of(replace(locked_snapshot, sources=())))


def test_a_fix_of_which_little_is_known_is_shown(view_of: ViewOf, locked_snapshot: SystemSnapshot):
    gps = replace(locked_snapshot.sources[0], fix=Fix(FixQuality.NO_FIX))
    assert rendered(view_of(replace(locked_snapshot, sources=(gps,))))[5].endswith("1 s  No fix, ?/? sats")


def test_the_status_command_prints_the_table_and_exits_with_0(view: DaemonView, tmp_path: Path):
    path = tmp_path / "control.sock"
    with daemon(view, path):
        result = run("--socket", str(path))
    assert result.stdout.startswith("SYNCHRONISED  stratum 1, follows PPS(0)")
    assert result.exit_code == 0


def test_json_is_one_document_and_1_means_not_synchronised(
    view_of: ViewOf, lost_snapshot: SystemSnapshot, tmp_path: Path
):
    path, view = tmp_path / "control.sock", view_of(lost_snapshot)
    with daemon(view, path):
        result = run("--json", "--socket", str(path))
    assert json.loads(result.stdout) == describe_status(view)
    assert result.exit_code == 1


def test_watch_renews_the_table_until_interrupted(view: DaemonView, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path, naps = tmp_path / "control.sock", iter([None, None])

    def nap(_: float) -> None:
        if next(naps, "over") == "over":
            raise KeyboardInterrupt

    monkeypatch.setattr("ntp_usg.cli.status.time.sleep", nap)
    with daemon(view, path):
        result = run("--watch", "--socket", str(path))
    assert "SYNCHRONISED" in result.stdout
    assert result.exit_code == 0


@pytest.fixture
def socket_path(tmp_path: Path) -> Path:
    return tmp_path / "control.sock"


def refusal(path: Path) -> str:
    """What is said where no daemon gives a status."""
    result = run("--socket", str(path))
    assert (result.exit_code, result.stdout) == (2, "")
    return result.stderr


def test_a_missing_daemon_is_reported_with_what_to_do(socket_path: Path):
    assert re.search(r"no daemon here: .*control\.sock does not exist\. Start one", refusal(socket_path))


def test_a_daemon_that_has_gone_is_reported(socket_path: Path):
    with socket.socket(socket.AF_UNIX) as left_behind:
        left_behind.bind(str(socket_path))
    assert "has gone: look at `journalctl" in refusal(socket_path)


@pytest.mark.parametrize(
    "answer", [b"", b"220 mail ready\r\n", b"HTTP/1.1 200 OK\r\n\r\n[]", b"HTTP/1.1 200 OK\r\n\r\n{"]
)
def test_another_program_on_the_socket_is_told_apart(socket_path: Path, answer: bytes):
    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(4096)
            connection.sendall(answer)

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(socket_path))
        listener.listen()
        thread = threading.Thread(target=serve)
        thread.start()
        assert "what answers on" in refusal(socket_path)
        thread.join()


def test_a_daemon_that_hangs_is_reported(socket_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("ntp_usg.cli.status.TIMEOUT", 0.05)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(socket_path))
        listener.listen()
        assert "has not answered for 0.05 s" in refusal(socket_path)


def test_who_may_not_look_is_told_how_to_get_in():
    path = Path("/run/control.sock")
    assert re.fullmatch(
        r"you may not open /run/control.sock: use sudo, or join .* and log in again", _advice(path, PermissionError())
    )


def test_the_default_socket_is_the_daemons():
    assert Path(ServerSettings().control_socket) == DEFAULT_SOCKET


def test_json_and_watch_exclude_each_other():
    assert run("--json", "--watch").exit_code == 2
