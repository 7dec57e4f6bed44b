from dataclasses import replace

import pytest
from prometheus_client.parser import text_string_to_metric_families

from ntp_usg.core.base.doubts import Doubt, Trouble
from ntp_usg.core.base.snapshots import FastPathSnapshot, ServingState, SyncPhase
from ntp_usg.observe.metrics import metric_families, render_metrics
from ntp_usg.observe.view import DaemonView


def samples(view: DaemonView) -> dict[tuple[str, ...], float]:
    """(name, label values ...) -> value, as Prometheus itself would read them."""
    families = text_string_to_metric_families(render_metrics(view).decode())
    return {
        (sample.name, *(sample.labels[label] for label in sorted(sample.labels))): sample.value
        for family in families
        for sample in family.samples
    }


@pytest.mark.parametrize(
    ("sample", "value"),
    [
        (("ntp_usg_build_info", "virtual", "1.2.3"), 1),
        (("ntp_usg_synchronised",), 1),
        (("ntp_usg_stratum",), 1),
        (("ntp_usg_clock_offset_seconds",), -20e-9),
        (("ntp_usg_clock_jitter_seconds",), 45e-9),
        (("ntp_usg_clock_frequency_ppm",), 12.5),
        (("ntp_usg_host_offset_seconds",), 1.5),
        (("ntp_usg_root_delay_seconds",), 0),
        (("ntp_usg_root_dispersion_seconds",), pytest.approx(3e-6)),
        (("ntp_usg_clock_steps",), 1),
        (("ntp_usg_reference_clock_healthy", "GPS_NMEA(0)"), 1),
        (("ntp_usg_reference_clock_reach", "PPS(0)"), 8),
        (("ntp_usg_reference_clock_offset_seconds", "PPS(0)"), -123e-9),
        (("ntp_usg_reference_clock_jitter_seconds", "GPS_NMEA(0)"), 1.5e-6),
        (("ntp_usg_reference_clock_dispersion_seconds", "GPS_NMEA(0)"), 0.2),
        (("ntp_usg_reference_clock_last_heard_age_seconds", "PPS(0)"), 0.5),
        (("ntp_usg_source_trust", "GPS_NMEA(0)"), 1),
        (("ntp_usg_source_doubt", "moved", "GPS_NMEA(0)"), 0),
        (("ntp_usg_gps_fix_quality", "GPS_NMEA(0)"), 1),
        (("ntp_usg_gps_satellites_used", "GPS_NMEA(0)"), 8),
        (("ntp_usg_gps_satellites_in_view", "GPS_NMEA(0)"), 12),
        (("ntp_usg_gps_message_latency_seconds", "GPS_NMEA(0)"), 0.125),
        (("ntp_usg_message_latency_seconds", "RMC", "GPS_NMEA(0)"), 0.125),
        (("ntp_usg_message_latency_uncertainty_seconds", "RMC", "GPS_NMEA(0)"), 0.0005),
        (("ntp_usg_pps_pulse_rate_hz", "PPS(0)"), 1),
        (("ntp_usg_queries_total", "answered", "basic"), 1000),
        (("ntp_usg_queries_total", "dropped", "rate_limited"), 7),
        (("ntp_usg_reference_clock_samples_total", "rejected", "bad_checksum", "GPS_NMEA(0)"), 3),
        (("ntp_usg_query_rate_hz",), 12.5),
        (("ntp_usg_clients",), 42),
        (("ntp_usg_uptime_seconds",), 100),
    ],
)
def test_a_metric_has_the_value_of_the_view(view: DaemonView, sample: tuple[str, ...], value: float):
    assert samples(view)[sample] == value


def test_what_is_not_known_is_absent_and_not_zero(view: DaemonView):
    found = samples(view)
    assert ("ntp_usg_holdover_age_seconds",) not in found
    assert ("ntp_usg_gps_fix_quality", "PPS(0)") not in found
    assert ("ntp_usg_pps_pulse_rate_hz", "GPS_NMEA(0)") not in found


def test_no_digit_of_a_nanosecond_is_lost(view: DaemonView):
    view.shown = replace(view.snapshot(), offset=1.23456789e-10)  # type: ignore[attr-defined]
    assert b"ntp_usg_clock_offset_seconds 1.23456789e-10" in render_metrics(view)


def test_every_metric_explains_itself(view: DaemonView):
    families = list(text_string_to_metric_families(render_metrics(view).decode()))
    assert len(families) > 25
    assert [family.name for family in families if not family.documentation] == []


def test_an_unsynchronised_daemon_without_sources_has_metrics_too(view: DaemonView):
    view.shown = replace(  # type: ignore[attr-defined]
        view.snapshot(), serving=ServingState(), phase=SyncPhase.STARTING, selected=None, sources=()
    )
    found = samples(view)
    assert (found["ntp_usg_synchronised",], found["ntp_usg_stratum",]) == (0, 16)


def test_answering_within_the_kernel_has_metrics_where_it_was_asked_for(view: DaemonView):
    assert ("ntp_usg_xdp_answers_total",) not in samples(view)
    view.fast = FastPathSnapshot({"eth0": "native", "eth1": "no interface eth1 here"}, 900)  # type: ignore[attr-defined]
    found = samples(view)
    assert found["ntp_usg_xdp", "eth0", "native"] == 1
    assert found["ntp_usg_xdp", "eth1", "none"] == 0
    assert (found["ntp_usg_xdp_answers_total",], found["ntp_usg_xdp_card_stamps_total",]) == (900, 0)


def test_answers_that_a_card_stamped_are_counted_and_the_mode_keeps_its_name(view: DaemonView):
    view.fast = FastPathSnapshot({"eth0": "native, stamped by the card"}, 900, stamped=850)  # type: ignore[attr-defined]
    found = samples(view)
    assert found["ntp_usg_xdp", "eth0", "native"] == 1
    assert (found["ntp_usg_xdp_answers_total",], found["ntp_usg_xdp_card_stamps_total",]) == (900, 850)


def test_the_reference_knows_every_metric_with_its_type_labels_and_help(view: DaemonView):
    view.fast = FastPathSnapshot({"eth0": "native"}, 900)  # type: ignore[attr-defined]
    known = {name: (kind, labels, text) for name, kind, labels, text in metric_families()}
    for family in text_string_to_metric_families(render_metrics(view).decode()):
        for sample in family.samples:
            kind, labels, text = known[sample.name]
            assert (set(labels), text) == (set(sample.labels), family.documentation)
            assert kind == family.type or (kind, family.type) == ("info", "gauge")  # this format has no type for it


def test_a_doubt_is_seen_in_the_metrics_by_its_kind(view_of, locked_snapshot):
    gps = replace(locked_snapshot.sources[0], trust=0.4, doubts=(Trouble(Doubt.MOVED, "moved by 312 m", severe=True),))
    seen = samples(view_of(replace(locked_snapshot, sources=(gps,))))
    assert seen["ntp_usg_source_trust", "GPS_NMEA(0)"] == 0.4
    assert seen["ntp_usg_source_doubt", "moved", "GPS_NMEA(0)"] == 1
    assert seen["ntp_usg_source_doubt", "spoofing", "GPS_NMEA(0)"] == 0
