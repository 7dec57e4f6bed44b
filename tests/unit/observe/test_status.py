import json
from dataclasses import replace
from math import inf, nan

import pytest

from ntp_usg.core.base.doubts import Doubt, Trouble
from ntp_usg.core.base.samples import FixQuality, Position
from ntp_usg.core.base.snapshots import FastPathSnapshot, ServingState, SyncPhase
from ntp_usg.core.server.listing import Order, Question
from ntp_usg.observe.status import describe_clients, describe_status, plain
from ntp_usg.observe.view import DaemonView


def test_the_document_holds_everything_there_is_to_see(view: DaemonView):
    status = describe_status(view)
    assert status["version"] == "1.2.3"
    assert status["uptime"] == 100.0
    assert status["listen"] == ["127.0.0.1:123", "[::1]:123"]
    assert status["needs_restart"] == []
    assert status["health"] == {"ok": True, "text": "ok: follows PPS(0), stratum 1, error below 3.000 us"}
    assert status["queries"] == {
        "total": 1007,
        "per_second": 12.5,
        "clients": 42,
        "verdicts": {"answered/basic": 1000, "dropped/rate_limited": 7, "handed_up/not_for_worker": 3},
        "fast_path": None,
    }
    assert status["system"] == {
        "phase": "synchronised",
        "synchronised": True,
        "stratum": 1,
        "leap": "none",
        "reference_id": "PPS",
        "reference_time_ns": 1_771_243_199_000_000_000,
        "selected": "PPS(0)",
        "reserve": None,
        "offset": -20e-9,
        "jitter": 45e-9,
        "frequency_ppm": 12.5,
        "precision": -20,
        "root_delay": 0.0,
        "root_dispersion": pytest.approx(3e-6),
        "root_distance": pytest.approx(3e-6),
        "holdover_age": None,
        "holdover_left": None,
        "clock": "virtual",
        "host_offset": 1.5,
        "epoch": 1,
    }
    assert isinstance(status["sources"], list)
    assert status["sources"][0] == {
        "association": 1,
        "name": "GPS_NMEA(0)",
        "kind": "clock",
        "driver": "nmea",
        "unit": 0,
        "path": None,
        "origin": "server.toml:7",
        "device": "/dev/ttyAMA0",
        "reference_id": "GPS",
        "stratum": 0,
        "tally": "selected",
        "healthy": True,
        "reason": "numbers the seconds of PPS(0)",
        "reach": 255,
        "poll_interval": 16.0,
        "last_heard_age": 1.0,
        "offset": 123.4e-6,
        "delay": 0.0,
        "root_delay": 0.0,
        "root_dispersion": 0.0,
        "leap": "none",
        "reference_time": 1_771_243_199_000_000_000,
        "jitter": 1.5e-6,
        "dispersion": 0.2,
        "fix": {
            "quality": "gps",
            "satellites_used": 8,
            "satellites_in_view": 12,
            "hdop": 0.9,
            "pdop": None,
            "tdop": None,
            "dimensions": None,
            "position": None,
        },
        "pulse_rate_hz": None,
        "message_latency": 0.125,
        "latency_origin": "pulses",
        "timed_part": "RMC",
        "latencies": {"RMC": {"median": 0.125, "spread": 0.004, "uncertainty": 0.0005, "count": 600}},
        "verdicts": {"accepted/used": 100, "rejected/bad_checksum": 3, "rejected/stale": 2},
        "trust": 1.0,
        "doubts": [],
    }


def test_a_daemon_that_knows_nothing_yet_still_has_a_document(view: DaemonView):
    view.shown = replace(  # type: ignore[attr-defined]
        view.snapshot(), serving=ServingState(), phase=SyncPhase.STARTING, selected=None, jitter=nan, sources=()
    )
    status = json.loads(json.dumps(describe_status(view), allow_nan=False))
    assert status["system"]["jitter"] is None
    assert status["system"]["reference_time_ns"] is None
    assert status["sources"] == []


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (nan, None),
        (inf, None),
        (0.1, 0.1),
        (True, True),
        ((1, "a", None), [1, "a", None]),
        ({"k": inf}, {"k": None}),
        (FixQuality.FLOAT_RTK, "float_rtk"),
        (Position(1.0, 2.0), {"latitude_deg": 1.0, "longitude_deg": 2.0, "height_m": 0.0}),
        ((Trouble(Doubt.MOVED, "by 3 m"),), [{"doubt": "moved", "text": "by 3 m", "severe": False}]),
    ],
)
def test_values_become_types_of_json(value: object, expected: object):
    assert plain(value) == expected


def test_the_document_says_where_requests_are_answered_within_the_kernel(view: DaemonView):
    view.fast = FastPathSnapshot({"eth0": "native", "eth1": "no interface eth1 here"}, 900)  # type: ignore[attr-defined]
    queries = describe_status(view)["queries"]
    assert isinstance(queries, dict)
    assert queries["fast_path"] == {
        "interfaces": {"eth0": "native", "eth1": "no interface eth1 here"},
        "answered": 900,
        "stamped": 0,
    }


def test_clients_are_told_with_ages_and_intervals(view: DaemonView):
    second = 1_000_000_000
    table = view.table  # type: ignore[attr-defined]
    for at in (view.now() - 9 * second, view.now() - 5 * second, view.now() - 1 * second):
        place = table.visit(bytes([192, 0, 2, 1]), at)
    table.due[place] = view.now() + 1000 * second
    table.visit(bytes(15) + b"\1", view.now())
    assert describe_clients(view, Question(Order.HITS)) == {
        "total": 42,
        "clients": [
            {
                "address": "192.0.2.1",
                "hits": 3,
                "last_seen_age": 1.0,
                "average_interval": 4.0,
                "rate_limited": True,
            },
            {"address": "::1", "hits": 1, "last_seen_age": 0.0, "average_interval": None, "rate_limited": False},
        ],
    }
