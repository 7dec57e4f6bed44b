"""Faults at random against the real daemon for a long time, while a client holds each answer against the truth.

The daemon follows a simulated GPS receiver with pulses and a server. Faults overlap: workers and the control process
are killed and stopped, the receiver is unplugged, jammed and spoilt, clients flood, the configuration is reloaded.

Exit code: 0 when everything held, 1 when something did not, 69 where no network namespace can be made.
"""

import argparse
import asyncio
import json
import os
import re
import secrets
import shutil
import sys
import tempfile
import time
from collections import Counter, defaultdict
from pathlib import Path

from rich.console import Console
from rich.table import Table
from tests.soak.faults import FAULTS
from tests.soak.judge import Judge, Usage, growth, usage
from tests.soak.world import SERVER, USER, DaemonError, World, open_world

LONGEST_GAP = 1.0
"""Seconds without an answer that a client may see on a quiet machine."""
GROWTH = Usage(memory_kib=8_192, descriptors=4)
EX_UNAVAILABLE = 69
EXCEPTION = re.compile(r"^Traceback |\bException in\b|never retrieved", re.MULTILINE)


class Soak:
    """The run, and what it found."""

    def __init__(self, world: World, judge: Judge, seconds: float, pause: float) -> None:
        self.world = world
        self.judge = judge
        self.done: Counter[str] = Counter()
        self.broken: list[str] = []
        self.usages: dict[str, list[Usage]] = defaultdict(list)
        self._ends_at = time.monotonic() + seconds
        self._pause = pause
        self._console = Console(stderr=True)

    async def run(self) -> None:
        """Until the time is over; the last half minute is for recovery."""
        watching = [asyncio.create_task(work()) for work in (self.judge.run, self.world.watch, self._weigh)]
        await self._synchronised()
        with self._console.status("") as status:
            running: dict[str, asyncio.Task[None]] = {}
            while (left := self._ends_at - time.monotonic()) > 30:
                for name in [name for name, task in running.items() if task.done()]:
                    running.pop(name).result()
                self._begin_another(running)
                text = f"{left / 60:.1f} min left, {self.done.total()} faults, now: {', '.join(running)}"
                status.update(text)
                await asyncio.sleep(self.world.random.uniform(0.5, 1.5) * self._pause)
            status.update("recovery")
            await asyncio.gather(*running.values())
            await asyncio.sleep(max(0.0, self._ends_at - time.monotonic()))
            await self._synchronised()
        for task in watching:
            task.cancel()

    def _begin_another(self, running: dict[str, asyncio.Task[None]]) -> None:
        fault = self.world.random.choice(FAULTS)
        if fault.__name__ in running or self.world.phase == "starting":
            return  # one of each kind at a time; and a daemon that has just begun may lock first
        self.done[fault.__name__] += 1
        if not self._console.is_terminal:
            print(f"{time.strftime('%H:%M:%S')} {fault.__name__}", file=sys.stderr, flush=True)
        running[fault.__name__] = asyncio.create_task(fault(self.world))  # type: ignore[arg-type]

    async def _synchronised(self) -> None:
        async with asyncio.timeout(120):
            while self.world.phase != "synchronised":  # noqa: ASYNC110 - another process's state
                await asyncio.sleep(0.2)

    async def _weigh(self) -> None:
        while True:
            await asyncio.sleep(5)
            weighed = {"control": usage(self.world.daemon.pid)}
            weighed |= {f"worker {number}": usage(pid) for number, pid in enumerate(self.world.workers())}
            for name, found in weighed.items():
                if found is not None:
                    self.usages[name.split()[0]].append(found)

    def failures(self) -> list[str]:
        """What did not hold, in words."""
        requests, start = self.judge.requests, self.judge.requests[0].sent_at
        outside = [each for each in requests if each.outside]
        gap, gap_at = self.judge.longest_gap(self.world.excused)
        unsaid = self.judge.unsaid(self.world.unsynchronised_at)
        found = [*self.broken]
        found += [
            f"at {each.sent_at - start:.2f} s: {each.error * 1e6:+.1f} us, bound {each.bound * 1e6:.1f} us"
            for each in outside
        ]
        found += [f"at {each.sent_at - start:.2f} s: unsynchronised, and nobody said so" for each in unsaid]
        if gap >= LONGEST_GAP:
            found.append(f"at {gap_at - start:.2f} s: {gap:.2f} s without an answer")
        for name, usages in self.usages.items():
            grown = growth(usages)
            if grown.memory_kib > GROWTH.memory_kib or grown.descriptors > GROWTH.descriptors:
                found.append(f"{name} grew by {grown.memory_kib} KiB and {grown.descriptors} descriptors")
        return found + [f"log: {line.group()}" for line in EXCEPTION.finditer(self.world.log)]

    def figures(self) -> dict[str, object]:
        """What the run was and gave."""
        requests = self.judge.requests
        synchronised = [each for each in requests if each.synchronised]
        return {
            "faults": self.done.total(),
            "requests": len(requests),
            "answered": sum(each.answered for each in requests),
            "synchronised": len(synchronised),
            "outside their bound": sum(each.outside for each in requests),
            "worst error / bound": round(max((abs(each.error) / each.bound for each in synchronised), default=0.0), 3),
            "unsynchronised and not said": len(self.judge.unsaid(self.world.unsynchronised_at)),
            "longest gap, s": round(self.judge.longest_gap(self.world.excused)[0], 3),
            "growth": {name: _in_words(growth(usages)) for name, usages in self.usages.items()},
            "exceptions": len(EXCEPTION.findall(self.world.log)),
        }


def _in_words(grown: Usage) -> str:
    return f"{grown.memory_kib:+d} KiB, {grown.descriptors:+d} descriptors"


async def _soak(options: argparse.Namespace, folder: Path) -> int:
    async with open_world(folder, options.seed) as world:
        soak = Soak(world, Judge(SERVER, world.truth), options.minutes * 60, options.pause)
        try:
            await soak.run()
        except (DaemonError, TimeoutError) as error:
            soak.broken.append(str(error) or "the daemon does not become synchronised")
    figures, failures = soak.figures(), soak.failures()
    if options.json:
        print(json.dumps({"seed": options.seed, **figures, "each fault": soak.done, "failures": failures}))
    else:
        _print(options.seed, figures, soak.done, failures)
    if failures or options.keep:
        print(f"log: {folder}/server.log", file=sys.stderr)
    else:
        shutil.rmtree(folder)
    return 1 if failures else 0


def _print(seed: int, figures: dict[str, object], done: Counter[str], failures: list[str]) -> None:
    table = Table("", "", title=f"soak, seed {seed}", show_header=False)
    for name, value in figures.items():
        table.add_row(name, str(value))
    console = Console(highlight=False, soft_wrap=True)
    console.print(table)
    console.print(", ".join(f"{count} {name.replace('_', ' ')}" for name, count in done.most_common()))
    for failure in failures[:20]:
        console.print(f"FAILED {failure}", style="red")
    console.print(f"{len(failures)} failures" if failures else "everything held")


def _enter_namespace() -> None:
    """Start again in a network of our own, where port 123 is free and loopback is all there is."""
    root = os.geteuid() == 0
    own_user = [] if root else ["--map-root-user"]
    environment = {**os.environ, USER: "nobody" if root else "root"}
    command = ["unshare", *own_user, "--net", "--ipc", "sh", "-c", 'ip link set lo up && exec "$@"', "sh"]
    try:
        os.execvpe("unshare", [*command, sys.executable, "-m", "tests.soak", *sys.argv[1:]], environment)
    except OSError as error:
        print(f"script/soak: no network namespace can be made: {error}", file=sys.stderr)
        sys.exit(EX_UNAVAILABLE)


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="script/soak", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=30.0, help="how long; one of them is for recovery")
    parser.add_argument("--seed", type=int, default=secrets.randbits(32), help="of the faults (default: a new one)")
    parser.add_argument("--pause", type=float, default=8.0, metavar="SECONDS", help="mean time between two faults")
    parser.add_argument("--keep", action="store_true", help="keep the folder with the log; kept anyway when it fails")
    parser.add_argument("--json", action="store_true", help="the result as JSON")
    options = parser.parse_args()
    if USER not in os.environ:
        _enter_namespace()
    print(f"seed {options.seed}", file=sys.stderr, flush=True)
    folder = Path(tempfile.mkdtemp(prefix="ntp_usg-soak-"))
    folder.chmod(0o755)
    return asyncio.run(_soak(options, folder))


if __name__ == "__main__":
    sys.exit(main())
