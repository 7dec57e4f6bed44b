"""The state as one JSON document: what the HTTP API gives and `ntp_usg status` prints."""

import socket
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from math import isfinite

from ntp_usg.core.base.instants import MonoNs, seconds
from ntp_usg.core.base.snapshots import SourceSnapshot, SystemSnapshot
from ntp_usg.core.server.clients import ClientRecord
from ntp_usg.core.server.listing import Question
from ntp_usg.core.wire.reference_id import describe_reference, describe_source
from ntp_usg.observe.health import judge_health
from ntp_usg.observe.view import DaemonView, count_queries

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]


def describe_status(view: DaemonView) -> dict[str, Json]:
    """Everything there is to see; intervals in seconds, unknown values null."""
    now, snapshot, verdicts = view.now(), view.snapshot(), view.verdicts()
    return {
        "version": view.version,
        "uptime": seconds(now - view.started_at),
        "listen": list(view.listen),
        "needs_restart": list(view.needs_restart()),
        "health": plain(judge_health(snapshot, now, view.complaint())),
        "system": _system(snapshot, now),
        "sources": [_source(source) for source in snapshot.sources],
        "queries": {
            "total": count_queries(verdicts),
            "per_second": view.queries_per_second(),
            "clients": view.clients(),
            "verdicts": plain(verdicts),
            "fast_path": plain(view.fast_path()),
        },
    }


def describe_clients(view: DaemonView, question: Question) -> dict[str, Json]:
    """Who asks, as far as the question goes; with `total` the number of all that are remembered."""
    now = view.now()
    return {
        "total": view.clients(),
        "clients": [_client(record, now) for record in view.list_clients(question, now)],
    }


def plain(value: object) -> Json:
    """A snapshot's value in the types of JSON, which has neither NaN nor infinity: those become null."""
    match value:
        case Enum():
            return value.name.lower()
        case float():
            return value if isfinite(value) else None
        case None | bool() | int() | str():
            return value
        case Mapping():
            return {str(key): plain(item) for key, item in value.items()}
        case tuple() | list():
            return [plain(item) for item in value]
    assert is_dataclass(value)
    return {field.name: plain(getattr(value, field.name)) for field in fields(value)}


def _client(record: ClientRecord, now: MonoNs) -> dict[str, Json]:
    known_ns = 0 if record.first_seen is None else record.last_seen - record.first_seen
    family = socket.AF_INET if len(record.address) == 4 else socket.AF_INET6
    return {
        "address": socket.inet_ntop(family, record.address),
        "hits": record.hits,
        "last_seen_age": seconds(max(0, now - record.last_seen)),
        "average_interval": seconds(known_ns) / (record.hits - 1) if known_ns and record.hits > 1 else None,
        "rate_limited": record.rate_limited,
    }


def _system(snapshot: SystemSnapshot, now: MonoNs) -> dict[str, Json]:
    """The snapshot with the part of the serving state that is the server's word to its clients."""
    serving = snapshot.serving
    root_dispersion = serving.root_dispersion_at(now)
    return {
        "phase": snapshot.phase.value,
        "synchronised": serving.synchronised,
        "stratum": serving.stratum,
        "leap": plain(serving.leap),
        "reference_id": describe_reference(serving.reference_id, serving.stratum),
        "reference_time_ns": serving.reference_time or None,
        "selected": snapshot.selected,
        "reserve": snapshot.reserve,
        "offset": plain(snapshot.offset),
        "jitter": plain(snapshot.jitter),
        "frequency_ppm": plain(snapshot.frequency_ppm),
        "precision": serving.precision,
        "root_delay": plain(serving.root_delay),
        "root_dispersion": plain(root_dispersion),
        "root_distance": plain(serving.root_delay / 2 + root_dispersion),
        "holdover_age": plain(snapshot.holdover_age),
        "holdover_left": plain(snapshot.holdover_left),
        "clock": snapshot.clock,
        "host_offset": plain(snapshot.host_offset),
        "epoch": serving.epoch,
    }


def _source(source: SourceSnapshot) -> dict[str, Json]:
    own = {field.name: getattr(source, field.name) for field in fields(source)}
    return {name: plain(value) for name, value in (own | {"reference_id": describe_source(source)}).items()}
