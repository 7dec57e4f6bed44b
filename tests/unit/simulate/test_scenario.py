"""Scenario files: units anywhere, and every mistake by its key."""

import pytest

from ntp_usg.core.base.errors import ConfigError
from ntp_usg.simulate.scenario import Scenario, parse_scenario


def problems(text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        parse_scenario(text, "some.toml")
    return [str(problem) for problem in caught.value.problems]


def test_times_are_numbers_of_seconds_or_have_a_unit(network_scenario: Scenario):
    assert network_scenario.duration == 7200.0
    assert network_scenario.link[0].jitter == pytest.approx(50e-6)
    assert network_scenario.host[0].oscillator.offset == -0.02


def test_the_start_may_lie_in_any_era(network: str):
    scenario = parse_scenario(f"start = 2036-02-07T06:28:00Z\n{network}", "some.toml")
    assert scenario.starts_at == 2_085_978_480 * 10**9


def test_every_problem_is_named_by_its_key_at_once(network: str):
    text = network.replace("frequency_ppm", "frequenzy_ppm").replace('jitter = "50us"', 'jitter = "some"')
    found = problems(text)
    assert "some.toml: host.0.oscillator.frequenzy_ppm: unknown key" in found
    assert any(problem.startswith("some.toml: link.0.jitter: ") for problem in found)


@pytest.mark.parametrize(
    ("extra", "problem"),
    [
        ('[[event]]\nat = 1\nwhat = "suspend"\nhost = "server"\nfor = 5', "there is no server, only client"),
        ('[[event]]\nat = 1\nwhat = "claim"\nserver = "client"', "there is no client, only server"),
        ('[[event]]\nat = 1\nwhat = "cut"\nbetween = ["client", "client"]', "no link joins client and client"),
        ('[[event]]\nat = 1\nwhat = "explode"', "event.0: "),
        ('[[event]]\nat = -1\nwhat = "step"\nclock = "client"\nseconds = 1', "event.0.step.at: "),
        ('[[host]]\nname = "server"', "two are called server"),
        ('[[host]]\nname = "other"\nsource = [{ name = "server" }]', "no link joins other and server"),
        ('[[link]]\nbetween = ["client", "nobody"]', "link.1.between: there is no nobody"),
    ],
)
def test_what_does_not_fit_together_is_refused(network: str, extra: str, problem: str):
    text = network.replace('server = [{ name = "server" }]', '[[server]]\nname = "server"', 1)
    text = text.replace('link = [{ between = ["client", "server"], jitter = "50us" }]', "", 1)
    text += '\n[[link]]\nbetween = ["client", "server"]\n'
    # Top-level keys have to come before the first table.
    assert any(problem in each for each in problems(text + extra)), problems(text + extra)


@pytest.mark.parametrize("text", ["", "duration = 1", "duration", "host = 3", "duration = nan\nhost = []", "[" * 9999])
def test_what_is_no_scenario_is_refused(text: str):
    assert problems(text)


@pytest.mark.parametrize(
    ("key", "value"),
    [("link.0.loss", "1.5"), ("link.0.jitter", "-1"), ("link.0.burst_time", "0"), ("link.0.delay", "nan")],
)
def test_numbers_that_make_no_sense_are_refused(network: str, key: str, value: str):
    text = network.replace('jitter = "50us"', f"{key.rpartition('.')[2]} = {value}")
    assert [problem for problem in problems(text) if problem.startswith(f"some.toml: {key}: ")]


def test_a_time_in_an_unknown_unit_is_told_the_known_ones(network: str):
    (problem,) = problems(network.replace('"50us"', '"1 hour"'))
    assert problem == (
        'some.toml: link.0.jitter: must be a number, or one with a unit of time (ns us ms s min h d), not "1 hour"'
    )


def test_engine_settings_may_be_given_as_they_are(network: str):
    scenario = parse_scenario(network + 'engine = { algorithm = "regression", step_threshold = "1s" }', "some.toml")
    assert scenario.host[0].engine_settings().algorithm == "regression"
    assert scenario.host[0].engine_settings().step_threshold == 1.0
    assert scenario.host[0].engine_settings().servers[0].name == "server"
