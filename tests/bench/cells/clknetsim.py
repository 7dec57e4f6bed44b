"""A whole daemon, ours or chrony's, under clknetsim in a cell's condition: what `script/bench clknetsim` runs."""

import math
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.bench.cells.conditions import DELAY, Condition, Happening
from tests.bench.cells.measures import Track

ROOT = Path(__file__).parents[3]
SHIM = ROOT / "docs/how-to/clknetsim-shim.c"
PROBE = Path(__file__).with_name("clknetsim_probe.c")
OURS = Path(sys.executable).with_name("ntp_usg_server")
CHRONYD = ROOT / ".peers/usr/sbin/chronyd"
START = 1_771_243_200
SERVERS = ("ours", "chrony")
_NEAR = 1e-9
"""Delay between the probe and the server under test, each way; clknetsim delivers nothing at once."""


class UnavailableError(Exception):
    """Why nothing can be measured here, in one sentence."""


@dataclass(frozen=True, slots=True)
class Tools:
    """The programs: clknetsim as somebody has built it, our shim and our probe as compiled just now."""

    clknetsim: Path
    library: Path
    shim: Path
    probe: Path


@contextmanager
def tools() -> Iterator[Tools]:
    """Everything that a simulation needs. Raises UnavailableError."""
    folder = os.environ.get("CLKNETSIM", "")
    if not folder:
        raise UnavailableError(
            "Set CLKNETSIM to the folder of a built clknetsim; docs/how-to/run-under-clknetsim.md says how."
        )
    programs = [Path(folder).resolve() / name for name in ("clknetsim", "clknetsim.so")]
    for program in programs:
        if not program.is_file():
            raise UnavailableError(f"There is no {program}: run make in the folder of clknetsim.")
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        raise UnavailableError("There is no C compiler: the shim and the probe of this bench have to be compiled.")
    with tempfile.TemporaryDirectory(prefix="clknetsim.") as made:
        shim, probe = Path(made, "shim.so"), Path(made, "probe")
        subprocess.run([compiler, "-shared", "-fPIC", "-o", shim, SHIM], check=True)
        subprocess.run([compiler, "-O2", "-o", probe, PROBE], check=True)
        yield Tools(programs[0], programs[1], shim, probe)


def track(condition: Condition, server: str, seed: int, tools: Tools) -> Track:
    """One run of a server; the same seed gives every server the same clock."""
    with tempfile.TemporaryDirectory(prefix="clknetsim.") as made:
        folder = Path(made)
        (folder / "sim.conf").write_text(configuration(condition))
        (folder / "1.conf").write_text(f"local stratum 1\nallow\ncmdport 0\npidfile {folder}/1.pid\n")
        (folder / "2.conf").write_text(_configure(condition, server, folder))
        own = [f"{OURS}", "--config", f"{folder}/2.conf"]
        theirs = [f"{CHRONYD}", "-d", "-f"]
        commands = [[*theirs, f"{folder}/1.conf"], own if server == "ours" else [*theirs, f"{folder}/2.conf"]]
        commands.append([f"{tools.probe}", f"{condition.probe}"])
        nodes = [_start(number, command, folder, tools) for number, command in enumerate(commands, 1)]
        logs = ["-o", f"{folder}/offsets", "-p", f"{folder}/packets", "-s", f"{folder}/socket"]
        length = ["-l", f"{condition.length:.0f}", "-v", "0"]
        try:
            subprocess.run(
                [tools.clknetsim, *logs, *length, folder / "sim.conf", "3"],
                check=True,
                env=os.environ | {"CLKNETSIM_RANDOM_SEED": f"{seed}"},
                stderr=subprocess.DEVNULL,
            )
        except subprocess.CalledProcessError as error:
            said = (folder / "2.log").read_text().strip().splitlines()[-3:]
            raise UnavailableError(f"clknetsim failed; the last that {server} said: {' / '.join(said)}") from error
        finally:
            for node in nodes:
                node.terminate()
            for node in nodes:
                node.wait()
        return _read(condition, folder)


def _start(number: int, command: list[str], folder: Path, tools: Tools) -> "subprocess.Popen[bytes]":
    shim = f"{tools.shim} " if command[0] == str(OURS) else ""
    environment = os.environ | {
        "CLKNETSIM_NODE": f"{number}",
        "CLKNETSIM_SOCKET": f"{folder}/socket",
        "CLKNETSIM_START_DATE": f"{START}",
        "LD_PRELOAD": f"{shim}{tools.library}",
        "NTP_USG_EVENT_LOOP": "select",
    }
    with (folder / f"{number}.log").open("wb") as log:
        return subprocess.Popen(command, stdout=log, stderr=log, env=environment, cwd=folder)


def _configure(condition: Condition, server: str, folder: Path) -> str:
    least, most = condition.polls
    if server == "chrony":
        source = f"server 192.168.123.1 iburst minpoll {least} maxpoll {most}"
        return f"{source}\nmakestep 1 3\nallow\ncmdport 0\npidfile {folder}/2.pid\n"
    source = f'address = "192.168.123.1"\niburst = true\nmin_poll = {least}\nmax_poll = {most}'
    off = '[rate_limit]\nenabled = false\n[metrics]\nenabled = false\n[clock]\ndrift_file = ""'
    return f'[server]\nlisten_addr = ["0.0.0.0:123"]\n{off}\n[[source]]\n{source}\n'


def configuration(condition: Condition) -> str:
    """As clknetsim reads it: node 1 has true time, node 2 is the one under test, node 3 looks at it."""
    steps = [_step(each) for each in condition.happenings if each.what == "frequency"]
    walk = f"(sum (* {condition.wander_ppb * 1e-9:g} (normal)))"
    frequency = f"(+ {condition.frequency_ppm * 1e-6:g} {' '.join([walk, *steps])})"
    cuts = [_window(each, -1e3) for each in condition.happenings if each.what == "cut"]
    routes = [_window(each, each.size) for each in condition.happenings if each.what == "route"]

    def way(jitter: float, *more: str) -> str:
        return f"(+ {DELAY:g} {' '.join([f'(* {jitter:g} (exponential))', *more])})"

    return "".join(
        f"{name} = {value}\n"
        for name, value in (
            ("node2_freq", frequency),
            ("node2_offset", f"{condition.offset:g}"),
            ("node2_delay1", way(condition.jitter_there, *cuts, *routes)),
            ("node1_delay2", way(condition.jitter_back, *cuts)),
            ("node2_delay3", f"(+ {_NEAR})"),
            ("node3_delay2", f"(+ {_NEAR})"),
        )
    )


def _step(happening: Happening) -> str:
    """A change of frequency for good: generators of frequency know no time, but are asked once a second.

    A pulse is 1 at first and -1 after.
    """
    return f"(* {happening.size * 0.5e-6:g} (+ 1 (* -1 (pulse {happening.at:.0f} 1000000000))))"


def _window(happening: Happening, size: float) -> str:
    """`size` while it happens, else 0."""
    begin, end = happening.at, happening.at + (happening.lasts or 1e12)
    time = "time"
    if happening.every:
        time, begin, end = f"(% (+ time {happening.every - begin:.0f}) {happening.every:.0f})", 0.0, end - begin
    after = f"(max 0 (min 1 (* 1e6 (+ {time} {-begin:.0f}))))"
    before = f"(max 0 (min 1 (* 1e6 (+ {end:.0f} (* -1 {time})))))"
    return f"(* {size:g} {after} {before})"


def _read(condition: Condition, folder: Path) -> Track:
    """What the simulator logged of the clock each second, and what the probe was answered."""
    result = Track()
    for line in (folder / "3.log").read_text().splitlines():
        fields = line.split()
        if len(fields) == 4:  # clknetsim says a word in it, too
            time, error, bound, synchronised = map(float, fields)
            result.add(time, error, bound if synchronised else math.nan)
    step = max(1, round(condition.probe))
    for second, line in enumerate((folder / "offsets").read_text().splitlines()):
        if second % step == 0:
            result.clock_times.append(float(second))
            result.clock_errors.append(float(line.split()[1]))
    packets = (line.split() for line in (folder / "packets").read_text().splitlines())
    result.packets = sum(fields[1:3] == ["2", "1"] for fields in packets)
    return result
