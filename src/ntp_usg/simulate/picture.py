"""A run as a picture: the error, what was promised of it, and the frequency, with the events that explain them."""

import math
from collections.abc import Sequence
from datetime import timedelta
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from ntp_usg.core.base.actions import Level
from ntp_usg.core.base.errors import NtpUsgError
from ntp_usg.core.base.instants import seconds
from ntp_usg.simulate.recorder import Recorder
from ntp_usg.simulate.simulation import Simulation
from ntp_usg.simulate.world import Entry

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MOST_EVENTS = 16
_LABELS = 40  # so many numbers fit above the picture side by side
_LONGEST_LINE = 150
_TIMES = ((10800, 60, "min"), (172800, 3600, "h"), (float("inf"), 86400, "d"))
_INTERVALS = ((1e-6, 1e-9, "ns"), (1e-3, 1e-6, "µs"), (1.0, 1e-3, "ms"), (float("inf"), 1.0, "s"))
_GREY, _BLUE, _ORANGE, _RED = "#777777", "#1f5fa8", "#d9822b", "#b3261e"


def draw_picture(simulation: Simulation, recorder: Recorder, path: Path) -> None:
    """Write one host's run to a file; its suffix says in which format.

    Raises NtpUsgError without matplotlib, or where the file cannot be written.
    """
    try:
        from matplotlib.figure import Figure  # noqa: PLC0415 - half a second and an extra, for those who want pictures
    except ImportError as error:
        raise NtpUsgError("pictures need matplotlib: run script/setup --dev in the checkout") from error
    events = _worth_drawing(simulation.journal, recorder.host.name)
    figure = Figure(figsize=(10, 7.6 + 0.2 * len(events)), dpi=120, layout="constrained")
    panels = figure.subplots(3, 1, sharex=True, height_ratios=(3, 2, 1.4))
    scale, unit = next((scale, unit) for limit, scale, unit in _TIMES if simulation.scenario.duration <= limit)
    times = [time / scale for time in _with_gaps(recorder.times)]
    settled = simulation.scenario.settled
    _draw_error(panels[0], times, recorder, settled)
    _draw_promise(panels[1], times, recorder)
    _draw_frequency(panels[2], times, recorder, settled)
    title = simulation.scenario.title or "Simulation"
    panels[0].set_title(f"{title}: {recorder.host.name}, seed {simulation.seed}", loc="left", weight="bold", pad=18)
    panels[2].set_xlabel(f"time ({unit})")
    for panel in panels:
        panel.margins(x=0)
        panel.grid(color="#dddddd", linewidth=0.6)
        panel.set_axisbelow(True)
        panel.spines[["top", "right"]].set_visible(False)
        if settled:
            panel.axvspan(0, settled / scale, color="#f2f2f2", zorder=0)
    elapsed = [seconds(event.at - simulation.scenario.starts_at) for event in events]
    _mark(panels, [at / scale for at in elapsed], simulation.scenario.duration / scale)
    if events:
        legend = "\n".join(_line(*item) for item in enumerate(zip(elapsed, events, strict=True), 1))
        figure.supxlabel(legend, x=0.02, ha="left", fontsize=8, color="#444444")
    try:
        figure.savefig(path)
    except (OSError, ValueError) as error:
        raise NtpUsgError(f"cannot write {path}: {error}") from error


def _draw_error(panel: "Axes", times: list[float], recorder: Recorder, settled: float) -> None:
    """In a scale that shows the settled clock: where it was set at first is off the picture."""
    limit = _limit([abs(error) for error in _settled(recorder, recorder.errors, settled)])
    scale, unit = next((scale, unit) for most, scale, unit in _INTERVALS if limit < most)
    panel.fill_between(
        times,
        [-bound / scale for bound in recorder.bounds],
        [bound / scale for bound in recorder.bounds],
        color=_ORANGE,
        alpha=0.13,
        linewidth=0,
        label="promised",
    )
    panel.axhline(0, color=_GREY, linewidth=0.8)
    panel.plot(
        times,
        [error / scale for error in recorder.errors],
        color=_BLUE,
        linewidth=0.9,
        label="error",
    )
    panel.set_ylim(-limit / scale, limit / scale)
    panel.set_ylabel(f"error ({unit})")
    _explain(panel)


def _draw_promise(panel: "Axes", times: list[float], recorder: Recorder) -> None:
    panel.semilogy(
        times, [max(abs(error), 1e-9) for error in recorder.errors], color=_BLUE, linewidth=0.7, label="|error|"
    )
    panel.semilogy(times, list(recorder.bounds), color=_ORANGE, linewidth=1.4, label="promised bound")
    panel.set_ylabel("|error| and bound (s)")
    _explain(panel)


def _explain(panel: "Axes") -> None:
    """Above the panel, where no curve is."""
    panel.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=2, fontsize=8, frameon=False, borderpad=0.2)


def _draw_frequency(panel: "Axes", times: list[float], recorder: Recorder, settled: float) -> None:
    limit = _limit([abs(error) for error in _settled(recorder, recorder.frequency_errors, settled)])
    scale, unit = (1e-9, "ppb") if limit < 1e-6 else (1e-6, "ppm")
    panel.axhline(0, color=_GREY, linewidth=0.8)
    panel.plot(times, [error / scale for error in recorder.frequency_errors], color=_BLUE, linewidth=0.7)
    panel.set_ylim(-limit / scale, limit / scale)
    panel.set_ylabel(f"frequency ({unit})")


def _mark(panels: "list[Axes]", elapsed: list[float], duration: float) -> None:
    """A line for each event, numbered as in the list below; what lies too close to tell apart shares its numbers."""
    for at in elapsed:
        for panel in panels:
            panel.axvline(at, color=_RED, linewidth=0.8, linestyle=(0, (4, 3)), alpha=0.7)
    numbered = enumerate(elapsed, 1)
    for _, group in groupby(numbered, key=lambda item: round(item[1] / duration * _LABELS)):
        (first, at), *more = group
        label = f"{first}-{more[-1][0]}" if more else f"{first}"
        panels[0].annotate(
            label,
            (at, 1.0),
            xycoords=("data", "axes fraction"),
            xytext=(0, 3),
            textcoords="offset points",
            ha="center",
            fontsize=8,
            color=_RED,
        )


def _line(number: int, event: tuple[float, Entry]) -> str:
    """An event in the list: `3  1:20:00  PPS signal lost ...`."""
    elapsed, entry = event
    line = f"{number}  {timedelta(seconds=round(elapsed))}  {entry.text}"
    return line if len(line) <= _LONGEST_LINE else line[: _LONGEST_LINE - 3] + "..."


def _worth_drawing(journal: list[Entry], host: str) -> list[Entry]:
    """What happened to a host or its links; when that is too much, what was most serious."""
    own = [entry for entry in journal if host in entry.host.split("-")]
    if len(own) > _MOST_EVENTS:
        loud = [entry for entry in own if entry.level is not Level.INFO]
        own = (loud or own)[:_MOST_EVENTS]
    return own


def _with_gaps(times: Sequence[float]) -> list[float]:
    """Times at which a curve must not go on from the one before, while the host slept, as NaN."""
    usual = times[0] if times else 0.0  # probes begin one interval after the start
    return [
        math.nan if time - before > 1.5 * usual else time for before, time in zip((0.0, *times), times, strict=False)
    ]


def _settled(recorder: Recorder, values: Sequence[float], settled: float) -> list[float]:
    return [value for time, value in zip(recorder.times, values, strict=True) if time >= settled] or list(values)


def _limit(sizes: list[float]) -> float:
    """A scale that all but the wildest percent fits in."""
    return 1.25 * sorted(sizes)[int(0.99 * (len(sizes) - 1))] or 1e-9
