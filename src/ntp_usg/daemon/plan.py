"""Settings -> what the parts want to hear: the engine's sources and promises, the responder's policy."""

import logging
from collections.abc import Mapping
from dataclasses import replace

from ntp_usg.clocks.drift_file import SavedState
from ntp_usg.config.models import Settings, SourceSettings, numbered
from ntp_usg.core.algorithms.holdover import HoldoverModel
from ntp_usg.core.algorithms.leap_list import LeapTable
from ntp_usg.core.algorithms.selection import SelectionSettings
from ntp_usg.core.associations.settings import AssociationSettings
from ntp_usg.core.base.errors import ClockError
from ntp_usg.core.base.samples import MessageLatency
from ntp_usg.core.engine.settings import (
    ClockSettings,
    EngineSettings,
    NetworkSettings,
    PulseSettings,
    ReceiverSettings,
)
from ntp_usg.core.server.policy import ServerPolicy
from ntp_usg.refclocks.driver import DriverOptions

log = logging.getLogger(__name__)

LEAST_SAVED_DEVIATION_PPM = 0.1
"""A restart takes time, in which a crystal cools down: what was saved is not believed more closely."""


def engine_settings(
    settings: Settings,
    precision: int,
    saved: SavedState | None,
    leap_table: LeapTable | None,
    saved_latencies: Mapping[str, Mapping[str, MessageLatency]],
) -> EngineSettings:
    """What the engine must know; `precision` is the measured exponent of the clock."""
    clocks = [
        replace(options.source(), origin=_origin(settings, name))
        for name, options in settings.drivers.items()
        if isinstance(options, DriverOptions)
    ]
    servers = [
        replace(
            _server(each, precision, settings.selection.max_distance),
            origin=_origin(settings, numbered("source", index)),
        )
        for index, each in enumerate(settings.sources)
    ]
    return EngineSettings(
        receivers=tuple(each for each in clocks if isinstance(each, ReceiverSettings)),
        pulse_lines=tuple(each for each in clocks if isinstance(each, PulseSettings)),
        clocks=tuple(each for each in clocks if isinstance(each, ClockSettings)),
        servers=tuple(servers),
        algorithm=settings.discipline.algorithm,
        selection=SelectionSettings(
            min_sources=settings.selection.min_sources, max_distance=settings.selection.max_distance
        ),
        stratum=settings.server.stratum,
        precision=precision,
        holdover_budget=settings.holdover.budget,
        least_dispersion=settings.discipline.least_dispersion_ppm * 1e-6,
        step_threshold=settings.clock.step_threshold,
        step_limit=settings.clock.step_limit,
        panic_threshold=settings.clock.panic,
        max_slew_rate=settings.clock.max_slew_ppm * 1e-6,
        max_rate=settings.clock.max_frequency_ppm * 1e-6,
        leap_table=leap_table,
        leap_smear=settings.clock.leap_smear,
        saved_frequency=_saved_frequency(saved),
        saved_latencies=saved_latencies,
    )


def _origin(settings: Settings, table: str) -> str:
    """Where a table stands: the origin of the first of its keys that was written."""
    return next((origin for key, origin in settings.origins.items() if key.rpartition(".")[0] == table), "default")


def server_policy(settings: Settings) -> ServerPolicy:
    """Who is answered, how often and how."""
    return ServerPolicy(
        allow=settings.access.allow,
        deny=settings.access.deny,
        monitor=settings.access.monitor,
        rate_limit=settings.rate_limit.enabled,
        packets_per_second=settings.rate_limit.packets_per_second,
        burst_size=settings.rate_limit.burst_size,
        interleaved=settings.server.enable_interleaved,
        max_clients=settings.server.max_clients,
    )


def _saved_frequency(saved: SavedState | None) -> tuple[float, float] | None:
    """As a rate of true time against the raw clock, which is the other way round than a clock's error."""
    if saved is None:
        return None
    return -saved.frequency_ppm * 1e-6, max(saved.deviation_ppm, LEAST_SAVED_DEVIATION_PPM) * 1e-6


def holdover_model(saved: SavedState | None) -> HoldoverModel | None:
    """What was learned of the oscillator before the restart."""
    try:
        return HoldoverModel.from_dict(saved.holdover) if saved else None
    except ClockError as error:
        log.warning("The holdover state in the drift file cannot be used, it is learned again: %s", error)
        return None


def _server(source: SourceSettings, precision: int, max_distance: float) -> NetworkSettings:
    return NetworkSettings(
        name=source.address,
        driver="ntp",
        device=source.address,
        reference_id=b"",
        prefer=source.prefer,
        trust=source.trust,
        require=source.require,
        noselect=source.noselect,
        offset=source.offset_secs,
        association=AssociationSettings(
            name=source.address,
            version=source.version,
            min_poll=source.min_poll,
            max_poll=source.max_poll,
            iburst=source.iburst,
            burst=source.burst,
            precision=precision,
            max_distance=max_distance,
        ),
    )
