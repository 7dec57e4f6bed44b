"""What is promised while every server is out of reach, where the loss is noticed late: after eight polls."""

import pytest


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
