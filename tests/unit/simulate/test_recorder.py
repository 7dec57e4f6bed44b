"""Figures are taken where there is something to take them from, and pictures show where there was nothing."""

import math

import pytest

from ntp_usg.simulate.picture import _with_gaps
from ntp_usg.simulate.scenario import Scenario
from ntp_usg.simulate.simulation import Simulation


def test_figures_begin_where_the_clock_had_to_be_settled(station_scenario: Scenario):
    simulation = Simulation(station_scenario)
    simulation.run()
    recorder = simulation.recorders[0]
    assert len(recorder.times) == 120
    assert recorder.figures(0.0).maximum_error == pytest.approx(1.5, rel=1e-3)
    assert recorder.figures(60.0).maximum_error < 1e-6
    assert recorder.figures(60.0).rms_error == pytest.approx(
        math.sqrt(sum(error**2 for time, error, _, _ in recorder.points() if time >= 60) / 61)
    )


def test_the_bound_is_measured_by_its_worst_and_its_usual_distance(station_scenario: Scenario):
    simulation = Simulation(station_scenario)
    simulation.run()
    recorder = simulation.recorders[0]
    figures = recorder.figures(60.0)
    points = [point for point in recorder.points() if point[0] >= 60]
    assert figures.worst_ratio == pytest.approx(max(abs(error) / bound for _, error, bound, _ in points))
    assert figures.bound_ratio > 1 / figures.worst_ratio


def test_without_probes_there_are_no_figures(station_scenario: Scenario):
    simulation = Simulation(station_scenario)
    figures = simulation.recorders[0].figures(0.0)
    assert math.isnan(figures.rms_error)
    assert math.isnan(figures.synchronised)
    assert figures.time_to_lock is None


def test_a_sleeping_machine_is_not_probed(station_scenario: Scenario):
    simulation = Simulation(station_scenario)
    simulation.host("station").suspend()
    simulation.run()
    assert not simulation.recorders[0].times


def test_a_curve_breaks_where_probes_are_missing():
    drawn = _with_gaps([1.0, 2.0, 5.0, 6.0])
    assert drawn[:2] == [1.0, 2.0]
    assert math.isnan(drawn[2])
    assert drawn[3] == 6.0
