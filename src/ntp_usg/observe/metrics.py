"""The state in Prometheus's exposition format; the HELP texts say what a good value is."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Generic, NamedTuple, TypeVar

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector

from ntp_usg.core.base.doubts import Doubt
from ntp_usg.core.base.instants import seconds
from ntp_usg.core.base.samples import MessageLatency
from ntp_usg.core.base.snapshots import FAST_PATH_MODES, FastPathSnapshot, SourceSnapshot, SystemSnapshot
from ntp_usg.observe.view import DaemonView

Seen = TypeVar("Seen")


class _Gauge(NamedTuple, Generic[Seen]):
    name: str
    help: str
    read: Callable[[Seen], float | None]
    """None where there is nothing to report."""


_SYSTEM: tuple[_Gauge[SystemSnapshot], ...] = (
    _Gauge(
        "ntp_usg_synchronised",
        "1 while clients get good time from here (holdover included), 0 while the server says that it has none.",
        lambda system: system.serving.synchronised,
    ),
    _Gauge(
        "ntp_usg_stratum",
        "Distance from a reference clock in servers: 1 = has one, 16 = not synchronised.",
        lambda system: system.serving.stratum,
    ),
    _Gauge(
        "ntp_usg_clock_offset_seconds",
        "What the time served is still to be corrected by: below 1e-6 with a pulse. It is not the error bound: "
        "that is ntp_usg_root_dispersion_seconds plus half of ntp_usg_root_delay_seconds. Absent while nobody leads.",
        lambda system: system.offset,
    ),
    _Gauge(
        "ntp_usg_clock_jitter_seconds",
        "How much the measurements of the clock scatter. Below 1e-4, with a pulse far below.",
        lambda system: system.jitter,
    ),
    _Gauge(
        "ntp_usg_clock_frequency_ppm",
        "How much faster than true time the host's clock runs by itself. Steady is good; it follows the temperature.",
        lambda system: system.frequency_ppm,
    ),
    _Gauge(
        "ntp_usg_host_offset_seconds",
        "How far the time served is ahead of the host's own clock; large values are normal with the virtual clock.",
        lambda system: system.host_offset,
    ),
    _Gauge(
        "ntp_usg_root_delay_seconds",
        "Round trip to the reference, as told to clients; 0 at stratum 1.",
        lambda system: system.serving.root_delay,
    ),
    _Gauge(
        "ntp_usg_clock_steps",
        "How often the clock has jumped since the start: once at the first synchronisation, then it should stay.",
        lambda system: system.serving.epoch,
    ),
    _Gauge(
        "ntp_usg_holdover_age_seconds",
        "How long the clock has run on its own since the last good reference; absent while it follows one.",
        lambda system: system.holdover_age,
    ),
    _Gauge(
        "ntp_usg_holdover_left_seconds",
        "How long the clock may go on by itself before the server is unsynchronised; absent while it follows a source.",
        lambda system: system.holdover_left,
    ),
)

_SOURCES: tuple[_Gauge[SourceSnapshot], ...] = (
    _Gauge(
        "ntp_usg_reference_clock_healthy",
        "1 while the reference clock can be used; `ntp_usg status` gives the reason when it cannot.",
        lambda source: source.healthy,
    ),
    _Gauge(
        "ntp_usg_reference_clock_reach",
        "How many of its last eight polls the reference clock has answered with something usable.",
        lambda source: source.reach.bit_count(),
    ),
    _Gauge(
        "ntp_usg_reference_clock_offset_seconds",
        "Latest measurement: positive means that the reference is ahead of the time served.",
        lambda source: source.offset,
    ),
    _Gauge(
        "ntp_usg_reference_clock_jitter_seconds",
        "How much this reference's own measurements scatter.",
        lambda source: source.jitter,
    ),
    _Gauge(
        "ntp_usg_reference_clock_dispersion_seconds",
        "Half width of what one measurement of this reference may be off by.",
        lambda source: source.dispersion,
    ),
    _Gauge(
        "ntp_usg_reference_clock_last_heard_age_seconds",
        "How long the reference clock has been silent.",
        lambda source: source.last_heard_age,
    ),
    _Gauge(
        "ntp_usg_source_trust",
        "How far the source is believed: 1 fully, below 0.5 it is only watched; `ntp_usg explain` says why.",
        lambda source: source.trust,
    ),
    _Gauge(
        "ntp_usg_gps_fix_quality",
        "Field 6 of GGA: 0 none, 1 GPS, 2 differential, 3 PPS, 4 RTK, 5 float RTK, 6 dead reckoning, 7 manual.",
        lambda source: source.fix.quality if source.fix else None,
    ),
    _Gauge(
        "ntp_usg_gps_satellites_used",
        "Satellites in the fix: 4 or more for good time.",
        lambda source: source.fix.satellites_used if source.fix else None,
    ),
    _Gauge(
        "ntp_usg_gps_satellites_in_view",
        "Satellites above the horizon. Many in view but few used: look at the antenna.",
        lambda source: source.fix.satellites_in_view if source.fix else None,
    ),
    _Gauge(
        "ntp_usg_gps_message_latency_seconds",
        "How long after its second a message arrives, by pulses, configuration or memory; it is taken off.",
        lambda source: source.message_latency,
    ),
    _Gauge(
        "ntp_usg_pps_pulse_rate_hz",
        "Pulses per second that arrived of late: 1, or the signal is disturbed.",
        lambda source: source.pulse_rate_hz,
    ),
)


_DAEMON: tuple[_Gauge[DaemonView], ...] = (
    _Gauge(
        "ntp_usg_root_dispersion_seconds",
        "Error bound of the time served, as told to clients; it grows until the next good measurement.",
        lambda view: view.snapshot().serving.root_dispersion_at(view.now()),
    ),
    _Gauge("ntp_usg_uptime_seconds", "Since the daemon started.", lambda view: seconds(view.now() - view.started_at)),
    _Gauge("ntp_usg_clients", "Clients in the table that rate limits use.", lambda view: view.clients()),
    _Gauge(
        "ntp_usg_query_rate_hz",
        "Requests a second over the last few seconds; what you watch for a flood.",
        lambda view: view.queries_per_second(),
    ),
)


_FAST_PATH = (
    "ntp_usg_xdp",
    "1 for each interface on which plain requests are answered within the kernel, 0 where that was asked for in vain.",
)
_FAST_ANSWERS = (
    "ntp_usg_xdp_answers",
    "Requests answered within the kernel; they are among ntp_usg_queries_total as well.",
)
_CARD_STAMPS = (
    "ntp_usg_xdp_card_stamps",
    "Those of ntp_usg_xdp_answers_total that tell when the network card received the request.",
)
_BUILD = ("ntp_usg_build", "What runs here.")
_QUERIES = ("ntp_usg_queries", "Requests by how they ended.")
_DOUBT = ("ntp_usg_source_doubt", "1 while there is a doubt of this kind about the source, 0 while there is none.")
_SAMPLES = ("ntp_usg_reference_clock_samples", "Messages and pulses of reference clocks by how they ended.")


_LATENCIES: tuple[_Gauge[MessageLatency], ...] = (
    _Gauge(
        "ntp_usg_message_latency_seconds",
        "How long after its second each part of a receiver's burst comes, as pulses show. Below 0.4; steady is good.",
        lambda latency: latency.median,
    ),
    _Gauge(
        "ntp_usg_message_latency_spread_seconds",
        "How far single messages stray from that, one standard deviation.",
        lambda latency: latency.spread,
    ),
    _Gauge(
        "ntp_usg_message_latency_uncertainty_seconds",
        "How far that itself may be off, one standard deviation.",
        lambda latency: latency.uncertainty,
    ),
)


def metric_families() -> Iterator[tuple[str, str, tuple[str, ...], str]]:
    """Every metric there can be, as name, type, labels and help: for the reference documentation."""
    yield f"{_BUILD[0]}_info", "info", ("version", "clock"), _BUILD[1]
    yield from ((gauge.name, "gauge", (), gauge.help) for gauge in _SYSTEM)
    yield from ((gauge.name, "gauge", (), gauge.help) for gauge in _DAEMON)
    yield from ((gauge.name, "gauge", ("source",), gauge.help) for gauge in _SOURCES)
    yield _DOUBT[0], "gauge", ("source", "doubt"), _DOUBT[1]
    yield from ((gauge.name, "gauge", ("source", "part"), gauge.help) for gauge in _LATENCIES)
    yield _FAST_PATH[0], "gauge", ("interface", "mode"), _FAST_PATH[1]
    yield f"{_FAST_ANSWERS[0]}_total", "counter", (), _FAST_ANSWERS[1]
    yield f"{_CARD_STAMPS[0]}_total", "counter", (), _CARD_STAMPS[1]
    yield f"{_QUERIES[0]}_total", "counter", ("outcome", "reason"), _QUERIES[1]
    yield f"{_SAMPLES[0]}_total", "counter", ("source", "outcome", "reason"), _SAMPLES[1]


def render_metrics(view: DaemonView) -> bytes:
    """The body of /metrics; its type is prometheus_client's CONTENT_TYPE_LATEST."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_ViewCollector(view))
    return generate_latest(registry)


class _ViewCollector(Collector):
    """Reads the view again at every scrape: there is no second copy of the state to keep up to date."""

    def __init__(self, view: DaemonView) -> None:
        self.view = view

    def collect(self) -> Iterator[Metric]:
        view, snapshot = self.view, self.view.snapshot()
        yield InfoMetricFamily(*_BUILD, {"version": view.version, "clock": snapshot.clock})
        yield from _gauges(_SYSTEM, snapshot)
        yield from _gauges(_DAEMON, view)
        yield from _source_gauges(snapshot.sources)
        if fast_path := view.fast_path():
            yield from _fast_path(fast_path)
        yield _doubts(snapshot.sources)
        yield from _latency_gauges(snapshot.sources)
        yield _verdicts(*_QUERIES, [], [([], view.verdicts())])
        yield _verdicts(
            *_SAMPLES,
            ["source"],
            [([source.name], source.verdicts) for source in snapshot.sources],
        )


def _gauges(gauges: Iterable[_Gauge[Seen]], seen: Seen) -> Iterator[Metric]:
    for gauge in gauges:
        if (value := gauge.read(seen)) is not None:
            yield GaugeMetricFamily(gauge.name, gauge.help, value)


def _source_gauges(sources: Iterable[SourceSnapshot]) -> Iterator[Metric]:
    for gauge in _SOURCES:
        family = GaugeMetricFamily(gauge.name, gauge.help, labels=["source"])
        for source in sources:
            if (value := gauge.read(source)) is not None:
                family.add_metric([source.name], value)
        if family.samples:
            yield family


def _doubts(sources: Iterable[SourceSnapshot]) -> Metric:
    """All kinds for each source, so that an alert sees a doubt end."""
    family = GaugeMetricFamily(*_DOUBT, labels=["source", "doubt"])
    for source in sources:
        present = {trouble.doubt for trouble in source.doubts}
        for doubt in Doubt:
            family.add_metric([source.name, doubt], doubt in present)
    return family


def _latency_gauges(sources: Iterable[SourceSnapshot]) -> Iterator[Metric]:
    for gauge in _LATENCIES:
        family = GaugeMetricFamily(gauge.name, gauge.help, labels=["source", "part"])
        for source in sources:
            for part, latency in source.latencies.items():
                if (value := gauge.read(latency)) is not None:
                    family.add_metric([source.name, part], value)
        if family.samples:
            yield family


def _fast_path(seen: FastPathSnapshot) -> Iterator[Metric]:
    family = GaugeMetricFamily(*_FAST_PATH, labels=["interface", "mode"])
    for interface, mode in seen.interfaces.items():
        works = mode in FAST_PATH_MODES
        family.add_metric([interface, mode.partition(",")[0] if works else "none"], works)
    yield family
    yield CounterMetricFamily(*_FAST_ANSWERS, seen.answered)
    yield CounterMetricFamily(*_CARD_STAMPS, seen.stamped)


def _verdicts(
    name: str, text: str, labels: list[str], counted: Iterable[tuple[list[str], Mapping[str, int]]]
) -> CounterMetricFamily:
    """Counters by `outcome/reason`, under the labels of who counted."""
    family = CounterMetricFamily(name, text, labels=[*labels, "outcome", "reason"])
    for values, counts in counted:
        for verdict, count in counts.items():
            outcome, _, reason = verdict.partition("/")
            family.add_metric([*values, outcome, reason], count)
    return family
