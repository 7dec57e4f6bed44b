"""`ntp_usg simulate`: a world in virtual time, with the real engine and responder in it."""

import json
import math
import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from ntp_usg.cli.application import print_report
from ntp_usg.core.base.errors import ConfigError, ConfigProblem, NtpUsgError
from ntp_usg.core.base.instants import seconds
from ntp_usg.observe.units import format_interval
from ntp_usg.simulate.picture import draw_picture
from ntp_usg.simulate.recorder import Figures
from ntp_usg.simulate.scenario import Scenario, parse_scenario
from ntp_usg.simulate.simulation import Simulation

Result = tuple[Simulation, list[Figures]]

EX_DATA_ERROR = 65
EX_UNAVAILABLE = 69
_LONGEST_FILE = 1_000_000
_GAP = 2
"""Characters between two columns."""
_ROWS: dict[str, tuple[str, Callable[[float], str]]] = {
    "RMS error": ("rms_error", format_interval),
    "RMS error of the clock": ("clock_error", format_interval),
    "mean error": ("mean_error", lambda value: format_interval(value, sign="+")),
    "largest error": ("maximum_error", format_interval),
    "RMS frequency error": ("rms_frequency_error", lambda value: f"{value * 1e9:.1f} ppb"),
    "time to lock": ("time_to_lock", lambda value: f"{value:.0f} s"),
    "synchronised": ("synchronised", lambda value: f"{value * 100:.2f} %"),
    "outside the error bound": ("bound_violated", lambda value: f"{value * 100:.3f} %"),
    "largest error / bound": ("worst_ratio", lambda value: f"{value:.2f}"),
    "median bound / error": ("bound_ratio", lambda value: f"{value:.1f}"),
    "requests per hour": ("packets_per_hour", lambda value: f"{value:.1f}"),
    "steps": ("steps", lambda value: f"{value:g}"),
}


def simulate(
    file: Annotated[Path, typer.Argument(metavar="FILE.toml", help="The scenario; docs/scenarios has examples.")],
    *,
    seed: Annotated[int | None, typer.Option(help="Seed of all random numbers; else the scenario's own.")] = None,
    runs: Annotated[int, typer.Option(min=1, max=10_000, help="Number of runs, each with the next seed.")] = 1,
    picture: Annotated[
        Path | None, typer.Option(metavar="FILE.png", help="Draw the last run of the first host: png, svg or pdf.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Figures, journal and time series of each run.")] = False,
) -> None:
    """Run a scenario in virtual time and show how well each host kept the time.

    Exit code: 0 when it ran, 65 when the scenario is wrong, 69 when the picture could not be made.
    """
    try:
        scenario = parse_scenario(_read(file), str(file))
    except ConfigError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(EX_DATA_ERROR) from None
    results = _run(scenario, scenario.seed if seed is None else seed, runs)
    if as_json:
        typer.echo(json.dumps([_document(*result) for result in results], indent=2))
    else:
        _show(scenario, results)
    if picture is not None:
        last, _ = results[-1]
        try:
            draw_picture(last, last.recorders[0], picture)
        except NtpUsgError as error:
            typer.echo(f"ntp_usg simulate: {error}", err=True)
            raise typer.Exit(EX_UNAVAILABLE) from None


def _run(scenario: Scenario, first_seed: int, runs: int) -> list[Result]:
    """Each run with its own seed, and with progress on standard error that is gone when all is done."""
    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(scenario.title, total=runs)

        def one(number: int) -> Result:
            simulation = Simulation(scenario, first_seed + number)
            return simulation, simulation.run(lambda share: progress.update(task, completed=number + share))

        return [one(number) for number in range(runs)]


def _read(file: Path) -> str:
    try:
        with file.open(encoding="utf-8") as stream:
            text = stream.read(_LONGEST_FILE + 1)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise ConfigError([ConfigProblem(str(file), 0, f"cannot be read: {why}")]) from error
    if len(text) > _LONGEST_FILE:
        raise ConfigError([ConfigProblem(str(file), 0, f"has more than {_LONGEST_FILE} characters")])
    return text


def _show(scenario: Scenario, results: Sequence[Result]) -> None:
    """Tables side by side as far as they fit, the rest of the hosts below; then what happened."""
    columns = [(host.name, _column(results, index)) for index, host in enumerate(scenario.host)]
    for number, group in enumerate(_in_groups(columns, Console().width, _heading_width(scenario.title))):
        table = Table(box=None, pad_edge=False, header_style="bold")
        table.add_column("" if number else scenario.title)
        for name, _ in group:
            table.add_column(name, justify="right", no_wrap=True)
        for row, heading in enumerate(_ROWS):
            table.add_row(heading, *(cells[row] for _, cells in group))
        print_report(*([""] if number else []), table)
    if len(results) == 1:
        print_report("", *_journal(results[0][0]))


Column = tuple[str, list[str]]
"""The name of a host, and its figures in the order of _ROWS."""


def _column(results: Sequence[Result], index: int) -> list[str]:
    """One host's figures."""
    cells = []
    for attribute, form in _ROWS.values():
        values = [getattr(figures[index], attribute) for _, figures in results]
        cells.append(_cell([value for value in values if value is not None and not math.isnan(value)], form))
    return cells


def _heading_width(title: str) -> int:
    return max(len(text) for text in (title, *_ROWS))


def _in_groups(columns: Sequence[Column], width: int, used: int) -> Iterator[list[Column]]:
    """As many hosts to a table as fit into so many characters beside the headings, at least one."""
    group: list[Column] = []
    taken = used
    for name, cells in columns:
        needed = _GAP + max(len(text) for text in (name, *cells))
        if group and taken + needed > width:
            yield group
            group, taken = [], used
        group.append((name, cells))
        taken += needed
    yield group


def _cell(values: list[float], form: Callable[[float], str]) -> str:
    """One value, or the mean of several and their standard deviation."""
    if not values:
        return "-"
    text = form(statistics.mean(values))
    return text if len(values) == 1 else f"{text} ± {form(statistics.stdev(values)).lstrip('+')}"


def _journal(simulation: Simulation) -> Iterator[Text]:
    for entry in simulation.journal:
        elapsed = seconds(entry.at - simulation.scenario.starts_at)
        yield Text(f"{elapsed:12.3f}  {entry.host}: {entry.text}")


def _document(simulation: Simulation, figures: list[Figures]) -> dict[str, Any]:
    """A run as JSON has it: no NaN, but null."""
    starts_at = simulation.scenario.starts_at
    return {
        "seed": simulation.seed,
        "hosts": [
            {key: _number(value) for key, value in asdict(each).items()}
            | {"series": [[_number(value) for value in point] for point in recorder.points()]}
            for each, recorder in zip(figures, simulation.recorders, strict=True)
        ],
        "journal": [
            {"at": seconds(entry.at - starts_at), "host": entry.host, "level": entry.level, "text": entry.text}
            for entry in simulation.journal
        ],
    }


def _number(value: Any) -> Any:  # noqa: ANN401 - what JSON can hold
    return None if isinstance(value, float) and math.isnan(value) else value
