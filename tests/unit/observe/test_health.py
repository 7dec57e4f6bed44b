from dataclasses import replace

from ntp_usg.core.base.instants import MonoNs
from ntp_usg.core.base.snapshots import Leap, ServingState, SyncPhase, SystemSnapshot
from ntp_usg.observe.health import judge_health

NOW = MonoNs(101_000_000_000)


def test_a_synchronised_daemon_is_healthy_and_says_what_it_promises(locked_snapshot: SystemSnapshot):
    health = judge_health(locked_snapshot, NOW)
    assert health.ok
    assert health.text == "ok: follows PPS(0), stratum 1, error below 3.000 us"


def test_holdover_is_healthy_but_tells_what_is_missing(locked_snapshot: SystemSnapshot):
    health = judge_health(
        replace(locked_snapshot, phase=SyncPhase.HOLDOVER, selected=None, holdover_age=75.4, holdover_left=600.0), NOW
    )
    assert health.ok
    assert health.text.startswith(
        "ok: in holdover for 75 s and for 600 s more, stratum 1, error below 3.000 us; GPS_NMEA(0): "
    )


def test_a_clock_on_its_own_with_a_source_in_reserve_is_healthy_without_alarm(following_snapshot: SystemSnapshot):
    name = following_snapshot.selected
    coasting = replace(following_snapshot, selected=None, reserve=name, holdover_age=75.4)
    assert judge_health(coasting, NOW).text == (
        "ok: the clock runs by itself for 75 s, ntp1.example.net is in reserve, stratum 2, error below 6.503 ms"
    )


def test_an_unsynchronised_daemon_is_not_healthy_and_gives_each_sources_reason(locked_snapshot: SystemSnapshot):
    lost = replace(
        locked_snapshot,
        phase=SyncPhase.LOCKING,
        serving=replace(locked_snapshot.serving, leap=Leap.UNSYNCHRONISED),
        sources=tuple(replace(source, reason="no fix") for source in locked_snapshot.sources),
    )
    health = judge_health(lost, NOW)
    assert (health.ok, health.text) == (False, "locking: GPS_NMEA(0): no fix; PPS(0): no fix")


def test_a_daemon_without_reference_clocks_says_so(locked_snapshot: SystemSnapshot):
    bare = replace(
        locked_snapshot,
        phase=SyncPhase.UNSYNCHRONISED,
        serving=ServingState(expires_at=MonoNs(NOW + 1)),
        sources=(),
    )
    assert judge_health(bare, NOW).text == "unsynchronised: no source is configured"


def test_a_state_that_nobody_renews_is_not_healthy_whatever_it_says(locked_snapshot: SystemSnapshot):
    late = MonoNs(locked_snapshot.serving.expires_at + 1)
    health = judge_health(locked_snapshot, late)
    assert (health.ok, health.text) == (False, "stalled: the engine has published nothing for 10 s")
