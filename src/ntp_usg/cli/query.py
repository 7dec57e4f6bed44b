"""`ntp_usg query`: the time that servers give, and how good it is."""

import asyncio
import json
from dataclasses import dataclass
from typing import Annotated

import typer
from rich.console import JustifyMethod
from rich.table import Table
from rich.text import Text

from ntp_usg.cli.application import print_report
from ntp_usg.cli.client import Answer, NoAnswerError, ask
from ntp_usg.core.base.addresses import ServerAddress, parse_server_address
from ntp_usg.core.base.snapshots import Leap
from ntp_usg.core.base.verdicts import Reason
from ntp_usg.core.wire.reference_id import describe_reference
from ntp_usg.observe.status import Json
from ntp_usg.observe.units import format_interval

PAUSE = 1.0
"""Seconds between questions to one server: faster ones are taken for a flood by many."""

GOOD, REFUSED = "good", "refused"
_FAULTS = {
    Reason.KISS_RATE: (REFUSED, "asks us to slow down (kiss code RATE): wait a few minutes, then ask less often"),
    Reason.KISS_DENY: (REFUSED, "refuses this address (kiss code DENY): its operator must allow it"),
    Reason.KISS_RSTR: (REFUSED, "refuses this address (kiss code RSTR): its operator must allow it"),
    Reason.UNSYNCHRONISED_SERVER: ("not set", "says that its own clock is not set ({code}): do not use its time"),
    Reason.TOO_DISTANT: (
        "too far",
        "may be off by {bound}: it has not heard from its reference for long, or over a bad path",
    ),
    Reason.TOO_LATE: ("too late", "its answer was on its way for {delay}: it says too little about the time"),
    Reason.BAD_TIMESTAMPS: (
        "bad times",
        "its timestamps are missing or contradict each other: do not use its time, unless a clock was just set",
    ),
}
"""Verdict and explanation of what the daemon would not follow."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What one server was found to be: the best of its answers, and the verdict on it."""

    server: ServerAddress
    ok: bool
    verdict: str
    explanation: str
    best: Answer | None = None
    answers: int = 0

    @property
    def has_time(self) -> bool:
        """Whether there are figures to show."""
        return self.best is not None and self.best.has_time


def query(
    servers: Annotated[
        list[str], typer.Argument(metavar="HOST[:PORT]", help="Names or addresses; IPv6 with a port as [::1]:123.")
    ],
    *,
    count: Annotated[
        int, typer.Option("--count", "-n", min=1, max=100, help="Requests to each server; the best answer counts.")
    ] = 1,
    timeout: Annotated[float, typer.Option(min=0.05, max=60.0, help="Seconds to wait for each answer.")] = 2.0,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document; intervals in seconds.")] = False,
    ntpdate: Annotated[
        bool, typer.Option("--ntpdate", help="A line for each server as `ntpdate -q` prints it.")
    ] = False,
) -> None:
    """Ask NTP servers for the time; this machine's clock is compared, never changed.

    A positive offset means that the server is ahead of this machine.

    Exit code: 0 all are synchronised, 1 some are not, 2 none answered.
    """
    if as_json and ntpdate:
        raise typer.BadParameter("--json and --ntpdate exclude each other")
    try:
        targets = [parse_server_address(text) for text in servers]
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    findings = asyncio.run(_examine_all(targets, count, timeout))
    if as_json:
        typer.echo(json.dumps({"servers": [_document(finding) for finding in findings]}, indent=2, allow_nan=False))
    elif ntpdate:
        _print_ntpdate(findings)
    else:
        _print_table(findings)
    raise typer.Exit(_exit_code(findings))


def judge(answer: Answer) -> tuple[str, str]:
    """Verdict and explanation; the only one without fault is GOOD."""
    header = answer.header
    code = describe_reference(header.reference_id, header.stratum)
    if answer.fault is None:
        return GOOD, f"follows {code} at stratum {header.stratum}"
    verdict, explanation = _FAULTS[answer.fault]
    bound, delay = format_interval(answer.root_distance), format_interval(answer.delay)
    return verdict, explanation.format(code=code or "no reason given", bound=bound, delay=delay)


async def _examine_all(servers: list[ServerAddress], count: int, deadline: float) -> list[Finding]:
    return list(await asyncio.gather(*(_examine(server, count, deadline) for server in servers)))


async def _examine(server: ServerAddress, count: int, deadline: float) -> Finding:
    """The answer with the shortest round trip is the most exact one (RFC 5905 section 10)."""
    answers: list[Answer] = []
    failure = ""
    for turn in range(count):
        if turn:
            await asyncio.sleep(PAUSE)
        try:
            answers.append(await ask(server, deadline))
        except NoAnswerError as error:
            failure = str(error)
        else:
            if judge(answers[-1])[0] == REFUSED:
                break
    if not answers:
        return Finding(server, ok=False, verdict="no answer", explanation=failure)
    # A refusal carries no time, and what came before it does not count against it.
    refused = judge(answers[-1])[0] == REFUSED
    best = answers[-1] if refused else min(answers, key=lambda answer: (answer.fault is not None, answer.delay))
    verdict, explanation = judge(best)
    return Finding(server, verdict == GOOD, verdict, explanation, best, len(answers))


def _exit_code(findings: list[Finding]) -> int:
    if all(finding.ok for finding in findings):
        return 0
    return 1 if any(finding.best for finding in findings) else 2


def _document(finding: Finding) -> dict[str, Json]:
    document: dict[str, Json] = {
        "server": str(finding.server),
        "ok": finding.ok,
        "verdict": finding.verdict,
        "explanation": finding.explanation,
        "answers": finding.answers,
    }
    if finding.best:
        header = finding.best.header
        document |= {
            "address": finding.best.address,
            "version": header.version,
            "stratum": header.stratum,
            "leap": header.leap.name.lower(),
            "reference_id": describe_reference(header.reference_id, header.stratum),
            "precision": header.precision,
        }
    if finding.best and finding.has_time:
        document |= {
            "offset": finding.best.offset,
            "delay": finding.best.delay,
            "root_delay": header.root_delay,
            "root_dispersion": header.root_dispersion,
            "root_distance": finding.best.root_distance,
        }
    return document


def _print_ntpdate(findings: list[Finding]) -> None:
    for finding in findings:
        if (best := finding.best) and finding.has_time:
            figures = f"offset {best.offset:.6f}, delay {best.delay:.5f}"
            typer.echo(f"server {best.address}, stratum {best.header.stratum}, {figures}")
        if not finding.ok:
            typer.echo(f"{finding.server}: {finding.explanation}", err=True)


def _print_table(findings: list[Finding]) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("server", "st", "ref id", "leap", "offset", "delay", "distance", "verdict"):
        justify: JustifyMethod = "right" if heading in {"st", "offset", "delay", "distance"} else "left"
        table.add_column(heading, justify=justify, no_wrap=heading != "server", overflow="fold")
    for finding in findings:
        verdict = Text(finding.verdict, style="green" if finding.ok else "red")
        table.add_row(Text(str(finding.server)), *map(Text, _cells(finding)), verdict)
    explanations = (Text(f"{each.server}: {each.explanation}", style="dim" if each.ok else "") for each in findings)
    print_report(table, *explanations)


def _cells(finding: Finding) -> tuple[str, ...]:
    if finding.best is None:
        return ("-",) * 6
    best, header = finding.best, finding.best.header
    intervals = (
        format_interval(best.offset, sign="+"),
        format_interval(best.delay),
        format_interval(best.root_distance),
    )
    return (
        str(header.stratum),
        describe_reference(header.reference_id, header.stratum),
        "alarm" if header.leap is Leap.UNSYNCHRONISED else header.leap.name.lower(),
        *(intervals if finding.has_time else ("-",) * 3),
    )
