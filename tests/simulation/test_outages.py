"""What is promised while every server is out of reach, where the loss is noticed late: after eight polls."""

import pytest

from ntp_usg.core.base.durations import format_duration
from ntp_usg.core.base.instants import seconds


@pytest.mark.parametrize("jitter", [10e-6, 1e-3])
@pytest.mark.parametrize("wander", [1, 10])
def test_four_hours_alone_stay_within_the_bound(follow, jitter, wander):
    cut = {"at": 30_000, "what": "cut", "between": ["client", "a"], "for": 14_400}
    for seed in (1, 2, 3):
        figures, _ = follow(
            clock={"wander_ppb": wander},
            link={"jitter": jitter},
            source={"iburst": True},
            event=[cut],
            duration=50_000,
            settled=20_000,
            seed=seed,
        )
        assert figures.bound_violated == 0


@pytest.mark.parametrize("least_dispersion", [0.0, 15e-6])
def test_the_time_that_is_left_at_the_loss_runs_down_as_time_passes(follow, least_dispersion):
    cut = {"at": 10_000, "what": "cut", "between": ["client", "a"]}
    engine = {"least_dispersion": least_dispersion}
    _, simulation = follow(source={"iburst": True}, engine=engine, event=[cut], duration=30_000)
    (said,) = [each for each in simulation.journal if each.text.startswith("Holdover")]
    left = simulation.host("client").engine.snapshot().holdover_left + seconds(simulation.now - said.at)
    assert f"Unsynchronised in {format_duration(left)}, when" in said.text
