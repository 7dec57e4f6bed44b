"""Short runs of the bench, so that it does not rot, and a check that its generator is not easily pleased."""

import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.bench.load import frames
from tests.bench.load.generator import Clients, Findings, Requester, pace, saturate
from tests.bench.load.measuring import Measurement
from tests.bench.load.report import report

from ntp_usg.core.base.instants import WallNs
from ntp_usg.core.wire.timestamps import to_ntp

ROOT = Path(__file__).parents[3]


def bench(folder: Path, *arguments: str) -> list[dict[str, Any]]:
    """What it measured, as it writes it down."""
    figures = folder / "figures.json"
    command = [sys.executable, "-m", "tests.bench.throughput", *arguments, "--rounds=1", "--seconds=0.2"]
    command += ["--patience=0", f"--json={figures}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if "unshare" in done.stderr:
        pytest.skip("no network namespace to be had: run as root, or allow unprivileged user namespaces")
    assert done.returncode == 0, done.stderr
    runs: list[dict[str, Any]] = json.loads(figures.read_text())["runs"]
    for run in runs:
        load = run["load"]
        assert load["answered"] > 0, done.stderr
        assert load["invalid"] == 0
        assert run["server"] not in {"ours", "chrony"} or load["unsynchronised"] == 0
        assert 0 < run["cpu"] < 5e6
    return runs


@pytest.mark.peer
def test_saturation_and_fixed_rates_are_measured_beside_chrony(tmp_path, require_peer):
    require_peer("chronyd")
    runs = bench(tmp_path, "saturation", "rate", "--servers=ours,chrony", "--rates=1000")
    assert [(run["mode"], run["server"]) for run in runs] == [
        (mode, server) for server in ("ours", "chrony") for mode in ("saturation", "rate 1000")
    ]
    for run in runs[1::2]:
        assert 100 <= run["load"]["sent"] <= 300
        assert 0 < run["load"]["arrival"]["p50"] < run["load"]["response"]["p99"]


def test_a_sweep_of_sizes_asks_from_so_many_addresses(tmp_path):
    runs = bench(tmp_path, "clients", "--servers=ours", "--sizes=256,2000")
    modes = [run["mode"] for run in runs]
    assert modes == ["clients 256 first", "clients 256", "clients 2000 first", "clients 2000"]
    assert runs[2]["load"]["sent"] == 2000
    assert runs[0]["memory"] > 1 << 20


def test_the_wire_is_measured_with_and_without_xdp(tmp_path):
    if os.geteuid() != 0:
        pytest.skip("needs root: threads of the kernel are moved, and programs loaded into it")
    runs = bench(tmp_path, "veth", "--servers=ours,native-xdp")
    assert [(run["mode"], run["server"]) for run in runs] == [
        (mode, server) for server in ("ours", "native-xdp") for mode in ("veth", "flood 400000")
    ]
    assert runs[0]["kernel_threads"] < 0.9 * runs[0]["cpu"]
    assert runs[2]["kernel_threads"] > 0.9 * runs[2]["cpu"], "the kernel answers, not the daemon"


def test_the_generators_kernel_program_was_made_of_its_source():
    assert frames.source_digest().encode() in frames.OBJECT.read_bytes(), "compile it again: frames.py says how"


def proper(request: bytes) -> bytes:
    now = to_ntp(WallNs(time.time_ns())).to_bytes(8, "big")
    return b"\x24\x01" + bytes(22) + request[40:48] + now + now


ANSWERS: dict[str, tuple[Callable[[bytes], list[bytes]], str]] = {
    "right": (lambda request: [proper(request)], "answered"),
    "unsynchronised": (lambda request: [b"\xe4" + proper(request)[1:]], "unsynchronised"),
    "another mode": (lambda request: [b"\x23" + proper(request)[1:]], "invalid"),
    "another version": (lambda request: [b"\x1c" + proper(request)[1:]], "invalid"),
    "another origin": (lambda request: [proper(bytes(48))], "invalid"),
    "too short": (lambda request: [proper(request)[:47]], "invalid"),
    "too long": (lambda request: [proper(request) + bytes(4)], "invalid"),
    "sent before it was received": (lambda request: [proper(request)[:40] + bytes(8)], "invalid"),
    "not at all": (lambda request: [], "lost"),
}


class Toy:
    """A server that answers as it is told."""

    def __init__(self, answer: Callable[[bytes], list[bytes]]) -> None:
        self._answer = answer
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.sources: set[str] = set()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            request, client = self.socket.recvfrom(100)
            if not request:
                return
            self.sources.add(client[0])
            for answer in self._answer(request):
                self.socket.sendto(answer, client)

    def stop(self) -> None:
        self.socket.sendto(b"", self.socket.getsockname())
        self._thread.join()
        self.socket.close()


@pytest.fixture
def start_toy() -> Iterator[Callable[[Callable[[bytes], list[bytes]]], Toy]]:
    toys: list[Toy] = []

    def start(answer: Callable[[bytes], list[bytes]]) -> Toy:
        toys.append(Toy(answer))
        return toys[-1]

    yield start
    for toy in toys:
        toy.stop()


@pytest.mark.parametrize("kind", ANSWERS)
def test_answers_are_checked(start_toy, kind):
    answer, counted = ANSWERS[kind]
    with closing(Requester(start_toy(answer).socket.getsockname(), 1 << 16)) as requester:
        findings, elapsed = pace(requester, Clients("127.1.0.0", 4, 1), rate=400, seconds=0.1)
    summary: dict[str, Any] = findings.summary(elapsed)
    assert summary["sent"] > 10
    expected = dict.fromkeys(("answered", "unsynchronised", "invalid", "late"), 0)
    if counted == "unsynchronised":
        expected["answered"] = summary["sent"]
    if counted != "lost":
        expected[counted] = summary["sent"]
    assert {name: summary[name] for name in expected} == expected
    if counted == "lost":
        assert summary["lost"] == summary["sent"]


def test_answers_to_what_was_given_up_are_late_and_no_others(start_toy):
    held: list[bytes] = []

    def hold(request: bytes) -> list[bytes]:
        held.append(proper(request))
        return []

    toy = start_toy(hold)
    clients, findings = Clients("127.1.0.0", 1, 1), Findings()
    with closing(Requester(toy.socket.getsockname(), 1)) as requester:
        for _ in range(2):
            requester.ask(np.array([0]), clients)
        until(lambda: len(held) == 2)
        for answer in (*held, held[1]):
            toy.socket.sendto(answer, ("127.0.0.1", requester.port))
        until(lambda: take_in(requester, findings) == 3)
    assert (findings.answered, findings.late, findings.invalid) == (1, 1, 1), "one came twice"


def take_in(requester: Requester, findings: Findings) -> int:
    """How many answers have been taken in, of whatever kind."""
    findings.take(requester, requester.take_in())
    return findings.answered + findings.late + findings.invalid


def test_all_clients_ask_before_one_does_so_again(start_toy):
    toy = start_toy(lambda request: [proper(request)])
    with closing(Requester(toy.socket.getsockname(), 8)) as requester:
        findings, _ = saturate([requester], Clients("127.1.0.0", 300, 1), window=8, seconds=10, requests=300)
    assert 300 <= findings.sent <= 308
    assert len(toy.sources) == 300


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def measurement(mode: str, server: str, number: int, cpu: float) -> Measurement:
    load = {"lost": 0, "late": 0, "invalid": 0, "unsynchronised": 0, "answered": 1, "sent": 1}
    times = {kind: {"p1": 1.0, "p50": 2.0, "p99": 3.0} for kind in ("response", "arrival", "age")}
    return Measurement(
        mode=mode,
        server=server,
        round=number,
        cpu=cpu,
        control=0.0,
        kernel_threads=0.0,
        rate=1.0,
        server_busy=1.0,
        generator_busy=0.5,
        others=0.0,
        memory=1,
        load=load | times,
    )


def test_ratios_are_of_one_round_and_promises_are_held_against_them():
    def found(factor: float) -> list[Measurement]:
        theirs = [1000.0, 4000.0, 2000.0]  # the machine has been two and four times slower in between
        runs = [measurement("saturation", "chrony", number, cpu) for number, cpu in enumerate(theirs)]
        return [*runs, *(measurement("saturation", "ours", number, cpu / factor) for number, cpu in enumerate(theirs))]

    text, kept = report(found(1.2))
    assert "| ours | 1 | 1,667 [833 to 3,333] | 1.20 |" in text
    assert kept
    text, kept = report(found(1.05))
    assert "MISSED" in text
    assert not kept
