"""`ntp_usg explain`: why the daemon on this machine believes its sources, or does not."""

import json
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

import typer

from ntp_usg.cli.status import DEFAULT_SOCKET, SocketPath, fetch_status
from ntp_usg.core.base.doubts import Doubt
from ntp_usg.core.base.errors import NtpUsgError
from ntp_usg.core.base.snapshots import LatencyOrigin, SourceKind, Tally
from ntp_usg.core.base.verdicts import Reason
from ntp_usg.observe.units import format_interval

Document = Mapping[str, Any]

_LATENCY = {
    LatencyOrigin.PULSES: "pulses show it",
    LatencyOrigin.CONFIGURED: "the configuration says so",
    LatencyOrigin.SAVED: "pulses showed it before the restart",
}

_TALLIES = {
    Tally.REJECTED: "has no part in the vote",
    Tally.FALSETICKER: "is outvoted",
    Tally.EXCESS: "is one too many",
    Tally.OUTLIER: "agrees, but is left out",
    Tally.CANDIDATE: "agrees",
    Tally.SELECTED: "leads, or numbers the seconds of the pulses that lead",
    Tally.PPS: "leads with its pulses",
}


def explain(
    source: Annotated[str | None, typer.Argument(help="The name of one source, as in `ntp_usg status`.")] = None,
    *,
    path: SocketPath = DEFAULT_SOCKET,
    as_json: Annotated[bool, typer.Option("--json", help="A list of sources with their explanations.")] = False,
) -> None:
    """Say of each source what it is, what became of it and why, what speaks against it, and how its samples ended.

    Exit code: 0, or 2 where no daemon answers or the source does not exist.
    """
    try:
        sources = _chosen(fetch_status(path)["sources"], source)
    except NtpUsgError as error:
        typer.echo(f"ntp_usg explain: {error}", err=True)
        raise typer.Exit(2) from None
    if as_json:
        typer.echo(json.dumps([explain_source(each) for each in sources], indent=2))
    else:
        typer.echo("\n\n".join("\n".join(paragraph(each)) for each in sources) or "No source is configured.")


def explain_source(source: Document) -> dict[str, Any]:
    """The words for one source of the status document."""
    return {
        "name": source["name"],
        "what": _what(source),
        "tally": source["tally"],
        "meaning": _TALLIES[Tally[source["tally"].upper()]],
        "reason": source["reason"],
        "interval": None if source["dispersion"] is None else [source["offset"], source["dispersion"]],
        "latency": source["message_latency"],
        "latency_origin": source["latency_origin"],
        "spread": source["latencies"].get(source["timed_part"], {}).get("spread"),
        "trust": source["trust"],
        "doubts": [each | {"explanation": Doubt(each["doubt"]).explanation} for each in source["doubts"]],
        "verdicts": [
            {"outcome": outcome, "reason": reason, "count": count, "explanation": Reason(reason).explanation}
            for key, count in sorted(source["verdicts"].items(), key=lambda item: -item[1])
            for outcome, _, reason in [key.partition("/")]
        ],
    }


def paragraph(source: Document) -> Iterator[str]:
    """The same for people, a line each."""
    words = explain_source(source)
    yield f"{words['name']}: {words['what']}."
    mark = Tally[words["tally"].upper()].value.strip()
    yield f"  It {words['meaning']}{f' ({mark})' if mark else ''}. {words['reason']}"
    if words["interval"]:
        offset, dispersion = words["interval"]
        yield f"  By it true time is {format_interval(offset, sign='+')} +- {format_interval(dispersion)} from ours."
    if words["latency"] is not None:
        late = format_interval(words["latency"])
        spread = "" if words["spread"] is None else f", give or take {format_interval(words['spread'])}"
        yield f"  Its messages come {late} late{spread}: {_LATENCY[words['latency_origin']]}."
    yield f"  Trusted to {words['trust']:.0%}{':' if words['doubts'] else ': nothing speaks against it.'}"
    for doubt in words["doubts"]:
        yield f"  - {doubt['text']}{' (severe)' if doubt['severe'] else ''}. {doubt['explanation']}"
    for verdict in words["verdicts"]:
        yield f"  {verdict['count']} {verdict['outcome']}: {verdict['explanation']}"


def _what(source: Document) -> str:
    heard = source["last_heard_age"]
    age = "never heard" if heard is None else f"last heard {heard:.0f} s ago"
    where = f"driver {source['driver']} on {source['device']}"
    if source["kind"] == SourceKind.SERVER:
        path = source["path"]
        where = f"server {path['address']} port {path['port']}" if path else "server without a known address"
    return f"{where} ({source['origin']}), stratum {source['stratum']}, {age}"


def _chosen(sources: list[Document], name: str | None) -> list[Document]:
    if name is None:
        return sources
    found = [each for each in sources if each["name"].lower() == name.lower()]
    if not found:
        names = ", ".join(each["name"] for each in sources) or "none"
        raise NtpUsgError(f"there is no source {name}; the sources are: {names}")
    return found
