"""What was measured, as tables in Markdown with what they mean, and whether our promises were kept."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from tests.bench.load.measuring import Measurement, Summary

Summaries = dict[tuple[str, str], Summary]
"""By mode and server."""
BASE = "chrony"
MIB = 1 << 20

SATURATION = """
## {title}

128 requests under way. *CPU* is the time that all processes{threads} of the server take for an answer, median [least
to greatest] of the rounds; *x chrony*: how many times that chrony takes, within the same round. A server whose core is
not busy waited for the generator, whose own share is beside it.
"""
RATE = """
## {rate:,} requests a second

At random moments. *Response* is the time from just before the request to the kernel's stamp of the answer. *T2 error*
is the receive time stamp minus the time just before the request was sent, by the same clock; *T3 age* the kernel's
stamp of the answer minus the transmit time stamp in it: a negative one was written ahead. Median / 99th percentile in
microseconds, of T3 age the 1st as well.
"""
CLIENTS = """
## Many clients

*First*: each of so many addresses asks once, those of the line before among them. *Again*: they ask in turn, as often
as is answered. *Growth* is that of *again* against the first line. Memory is that of all the server's processes
(proportional set size); the last column its growth since the first line, for each client more.
"""


def report(found: Iterable[Measurement]) -> tuple[str, bool]:
    """Tables, and promises; whether all of these were kept."""
    runs: dict[tuple[str, str], list[Measurement]] = {}
    for each in found:
        runs.setdefault((each.mode, each.server), []).append(each)
    summaries = {key: Summary(each) for key, each in runs.items()}
    parts = [_saturation(summaries, mode) for mode in ("saturation", "veth")]
    parts += [_rate(summaries, rate) for rate in _numbers(summaries, "rate")]
    parts.append(_clients(summaries))
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


def _saturation(summaries: Summaries, mode: str) -> str:
    servers = _servers(summaries, mode)
    if not servers:
        return ""
    on_wire = mode == "veth"
    rows = []
    for name, summary in servers:
        cpu = f"{_spread(summary, 'cpu')}"
        if on_wire:
            cpu += f" | {summary.median('kernel_threads'):,.0f}"
        rows.append(
            [
                name,
                f"{summary.median('rate'):,.0f}",
                cpu,
                _ratio(summaries, mode, summary),
                _pair(summary, "response"),
                f"{summary.median('server_busy'):.0%}",
                f"{summary.median('generator_busy'):.0%}",
                _faults(summary),
            ]
        )
    header = ["server", "answers/s", "CPU ns/answer", *(["of it receiving"] if on_wire else []), "x chrony"]
    header += ["response us, median / 99 %", "server's core", "generator's", "lost, late, invalid"]
    title = "Saturation over a virtual wire, receiving on the server's core" if on_wire else "Saturation on loopback"
    threads = " and the kernel's receiving thread" if on_wire else ""
    return SATURATION.format(title=title, threads=threads) + "\n" + _table(header, rows)


def _rate(summaries: Summaries, rate: int) -> str:
    rows = [
        [
            name,
            f"{summary.median('cpu') / 1e3:,.1f}",
            _ratio(summaries, f"rate {rate}", summary),
            _pair(summary, "response"),
            _pair(summary, "arrival"),
            f"{summary.percentile('age', 'p1'):.1f} / {_pair(summary, 'age')}",
            _faults(summary),
        ]
        for name, summary in _servers(summaries, f"rate {rate}")
    ]
    header = ["server", "CPU us/answer", "x chrony", "response", "T2 error", "T3 age", "lost, late, invalid"]
    return RATE.format(rate=rate) + "\n" + _table(header, rows)


def _clients(summaries: Summaries) -> str:
    sizes = _numbers(summaries, "clients")
    rows = []
    for server in dict.fromkeys(server for mode, server in summaries if mode.startswith("clients")):
        base = summaries[f"clients {sizes[0]}", server]
        for size in sizes:
            first, again = (summaries.get((f"clients {size}{when}", server)) for when in (" first", ""))
            if not (first and again):
                continue
            memory, more = again.median("memory"), size - sizes[0]
            rows.append(
                [
                    server,
                    f"{size:,}",
                    f"{first.median('cpu'):,.0f}",
                    _spread(again, "cpu"),
                    f"{again.median('cpu') / base.median('cpu'):.2f}",
                    f"{memory / MIB:,.1f} MiB",
                    f"{(memory - base.median('memory')) / more:,.0f}" if more else "",
                ]
            )
    header = ["server", "clients", "first, ns", "again, ns", "growth", "memory", "octets each"]
    return CLIENTS + "\n" + _table(header, rows) if rows else ""


def _spread(summary: Summary, name: str) -> str:
    least, greatest = summary.span(name)
    return f"{summary.median(name):,.0f} [{least:,.0f} to {greatest:,.0f}]"


def _pair(summary: Summary, kind: str) -> str:
    if not summary.runs[0].load[kind]:
        return "-"
    return f"{summary.percentile(kind, 'p50'):,.1f} / {summary.percentile(kind, 'p99'):,.1f}"


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
    Promise("saturation on loopback, times chrony's CPU time", "saturation", "ours", Summary.ratio, least=1.1),
    Promise("20,000/s on loopback, times chrony's CPU time", "rate 20000", "ours", Summary.ratio, least=0.9),
    Promise("virtual wire, times chrony's CPU time", "veth", "ours", Summary.ratio, least=1.5),
    Promise("virtual wire by native XDP, times chrony's CPU time", "veth", "ours, native XDP", Summary.ratio, least=20),
    Promise(
        "virtual wire by generic XDP, times chrony's CPU time", "veth", "ours, generic XDP", Summary.ratio, least=5
    ),
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
GROWTH = 1.3


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
