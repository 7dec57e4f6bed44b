"""What was measured, as tables in Markdown with what they mean, and whether our promises were kept."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from tests.bench.load.measuring import Measurement, Summary
from tests.bench.load.servers import ROOM

from ntp_usg.core.server.clients import BYTES_PER_CLIENT

Summaries = dict[tuple[str, str], Summary]
"""By mode and server."""
BASE = "chrony"
MIB = 1 << 20
GROWTH = 1.3
SHORT = 0.1
"""Seconds in which nothing can be measured."""
COSTS = ["server", "answers/s", "CPU ns/answer", "gain"]
SHARES = ["server's core", "generator's"]
FAULTS = "lost, late, invalid"

SATURATION = """
## Saturation on loopback

1,024 requests under way. *CPU* is what all processes of a server take for an answer: median [least to greatest] of the
rounds. *Gain*: chrony's CPU time for an answer, divided by the server's, within the same round. *Response* is
median / 99th percentile, which such a queue determines; *T3 age* is explained below. A server whose core is not
busy waited for the generator, or rested: the generator's own share is beside it.
"""
WIRE = """
## Saturation over a virtual wire

128 requests under way. As above, but *CPU* includes the kernel's thread that receives for the server, on its core;
native-xdp and generic-xdp are ours with `--xdp`.
The last column but one: how many are answered of {flood:,} requests a second.
"""
RATES = """
## Fixed rates on loopback

At random moments. *Control* is the part of our process that does not answer. *Response* is the time from just before
the request to the kernel's stamp of the answer. *T2 error* is the receive time stamp minus the time just before the
request was sent, by the same clock; *T3 age* the kernel's stamp of the answer minus the transmit time stamp in it: a
negative one was written ahead. All median / 99th percentile in microseconds, T3 age with the 1st before.
"""
CLIENTS = """
## Many clients

*First*: each of so many addresses asks once, those of the line before among them. *Again*: they ask in turn, as often
as is answered. *Growth* is that of *again* against the first line. Memory is that of all the server's processes
(proportional set size). Ours has a table of a fixed size, {octets} octets a client, here for {places:,} clients; its
places are taken in no order, so that all of it is in use soon.
"""


def report(found: Iterable[Measurement]) -> tuple[str, bool]:
    """Tables, and promises; whether all of these were kept."""
    runs: dict[tuple[str, str], list[Measurement]] = {}
    for each in found:
        runs.setdefault((each.mode, each.server), []).append(each)
    summaries = {key: Summary(each) for key, each in runs.items()}
    parts = [_saturation(summaries), _wire(summaries)]
    parts += [_rates(summaries), _clients(summaries)]
    verdicts, kept = _promises(summaries)
    return "\n".join(part for part in [*parts, verdicts] if part), kept


def _servers(summaries: Summaries, mode: str) -> list[tuple[str, Summary]]:
    """Those measured in a mode, the cheapest first."""
    chosen = [(server, summary) for (its_mode, server), summary in summaries.items() if its_mode == mode]
    return sorted(chosen, key=lambda pair: pair[1].median("cpu"))


def _numbers(summaries: Summaries, mode: str) -> list[int]:
    """N of the modes `mode N`."""
    return sorted({int(words[1]) for its_mode, _ in summaries if (words := its_mode.split())[0] == mode and words[1:]})


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def _saturation(summaries: Summaries) -> str:
    rows = [
        [
            *_costs(summaries, "saturation", name, summary),
            _pair(summary, "response"),
            _age(summary),
            *_shares(summary),
            _faults(summary),
        ]
        for name, summary in _servers(summaries, "saturation")
    ]
    header = [*COSTS, "response us", "T3 age us", *SHARES, FAULTS]
    return SATURATION + "\n" + _table(header, rows) if rows else ""


def _wire(summaries: Summaries) -> str:
    [flood] = _numbers(summaries, "flood") or [0]
    rows = []
    for name, summary in _servers(summaries, "veth"):
        flooded = summaries.get((f"flood {flood}", name))
        share = flooded.count("answered") / max(flooded.count("sent"), 1) if flooded else 0.0
        receiving = f"{summary.median('kernel_threads'):,.0f}"
        costs = _costs(summaries, "veth", name, summary)
        rows.append([*costs, receiving, *_shares(summary), f"{share:.0%}", _faults(summary)])
    header = [*COSTS, "of it receiving", *SHARES, "of the flood", FAULTS]
    return WIRE.format(flood=flood) + "\n" + _table(header, rows) if rows else ""


def _costs(summaries: Summaries, mode: str, name: str, summary: Summary) -> list[str]:
    return [name, f"{summary.median('rate'):,.0f}", _spread(summary, "cpu"), _ratio(summaries, mode, summary)]


def _shares(summary: Summary) -> list[str]:
    return [f"{summary.median('server_busy'):.0%}", f"{summary.median('generator_busy'):.0%}"]


def _rates(summaries: Summaries) -> str:
    rows = [
        [
            name,
            f"{rate:,}",
            f"{summary.median('cpu') / 1e3:,.1f}",
            f"{summary.median('control') / 1e3:,.1f}" if name == "ours" else "-",
            _ratio(summaries, f"rate {rate}", summary),
            _pair(summary, "response"),
            _pair(summary, "arrival"),
            _age(summary),
            _faults(summary),
        ]
        for rate in _numbers(summaries, "rate")
        for name, summary in _servers(summaries, f"rate {rate}")
    ]
    header = ["server", "requests/s", "CPU us/answer", "control", "gain", "response", "T2 error", "T3 age", FAULTS]
    return RATES + "\n" + _table(header, rows) if rows else ""


def _clients(summaries: Summaries) -> str:
    sizes = _numbers(summaries, "clients")
    rows = []
    for server in dict.fromkeys(server for mode, server in summaries if mode.startswith("clients")):
        base = summaries[f"clients {sizes[0]}", server]
        for size in sizes:
            first, again = (summaries.get((f"clients {size}{when}", server)) for when in (" first", ""))
            if not (first and again):
                continue
            rows.append(
                [
                    server,
                    f"{size:,}",
                    f"{first.median('cpu'):,.0f}" if first.runs[0].load["seconds"] > SHORT else "-",
                    _spread(again, "cpu"),
                    f"{again.median('cpu') / base.median('cpu'):.2f}",
                    f"{again.median('memory') / MIB:,.1f} MiB",
                ]
            )
    header = ["server", "clients", "first, ns", "again, ns", "growth", "memory"]
    note = CLIENTS.format(octets=BYTES_PER_CLIENT, places=ROOM * max(sizes, default=0))
    return note + "\n" + _table(header, rows) if rows else ""


def _spread(summary: Summary, name: str) -> str:
    least, greatest = summary.span(name)
    return f"{summary.median(name):,.0f} [{least:,.0f} to {greatest:,.0f}]"


def _pair(summary: Summary, kind: str) -> str:
    if not summary.runs[0].load[kind]:
        return "-"
    return f"{summary.percentile(kind, 'p50'):,.1f} / {summary.percentile(kind, 'p99'):,.1f}"


def _age(summary: Summary) -> str:
    return f"{summary.percentile('age', 'p1'):.1f} / {_pair(summary, 'age')}"


def _faults(summary: Summary) -> str:
    text = ", ".join(str(summary.count(name)) for name in ("lost", "late", "invalid"))
    unsynchronised = summary.count("unsynchronised")
    return text + (" (unsynchronised)" if unsynchronised else "")


def _ratio(summaries: Summaries, mode: str, summary: Summary) -> str:
    base = summaries.get((mode, BASE))
    return f"{summary.ratio(base):.2f}" if base else "-"


@dataclass(frozen=True, slots=True)
class Promise:
    """A bound on a figure of ours; `figure` gets our summary and chrony's."""

    text: str
    mode: str
    server: str
    figure: Callable[[Summary, Summary], float]
    least: float = float("-inf")
    greatest: float = float("inf")


PROMISES = [
    Promise("saturation on loopback, gain over chrony", "saturation", "ours", Summary.ratio, least=1.1),
    Promise("20,000/s on loopback, gain over chrony", "rate 20000", "ours", Summary.ratio, least=0.9),
    Promise("virtual wire, gain over chrony", "veth", "ours", Summary.ratio, least=1.5),
    Promise("virtual wire by native XDP, gain over chrony", "veth", "native-xdp", Summary.ratio, least=20),
    Promise("virtual wire by generic XDP, gain over chrony", "veth", "generic-xdp", Summary.ratio, least=5),
    Promise(
        "age of T3 at 30,000/s in microseconds, 99 %",
        "rate 30000",
        "ours",
        lambda ours, _: ours.percentile("age", "p99"),
        greatest=20,
    ),
    Promise(
        "T2 error at 1,000/s in microseconds, above chrony's",
        "rate 1000",
        "ours",
        lambda ours, chrony: ours.percentile("arrival", "p50") - chrony.percentile("arrival", "p50"),
        greatest=1,
    ),
]


def _promises(summaries: Summaries) -> tuple[str, bool]:
    rows, kept = [], True
    for promise in PROMISES:
        ours, chrony = summaries.get((promise.mode, promise.server)), summaries.get((promise.mode, BASE))
        if ours and chrony:
            figure = promise.figure(ours, chrony)
            good = promise.least <= figure <= promise.greatest
            bound = f">= {promise.least:g}" if promise.greatest == float("inf") else f"<= {promise.greatest:g}"
            rows.append([promise.text, f"{figure:.2f}", bound, "kept" if good else "MISSED"])
            kept &= good
    sizes = [size for size in _numbers(summaries, "clients") if (f"clients {size}", "ours") in summaries]
    if len(sizes) > 1:
        costs = [summaries[f"clients {size}", "ours"].median("cpu") for size in (sizes[0], sizes[-1])]
        good = costs[1] < GROWTH * costs[0]
        text = f"from {sizes[0]:,} to {sizes[-1]:,} clients, growth of CPU time"
        rows.append([text, f"{costs[1] / costs[0]:.2f}", f"< {GROWTH}", "kept" if good else "MISSED"])
        kept &= good
    return ("\n## Promises\n\n" + _table(["what", "figure", "promised", ""], rows) if rows else ""), kept
