"""`ntp_usg simulate`: a table for people, JSON for programs, a picture, and plain words for what is wrong."""

import json
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from ntp_usg.cli.main import app

EXAMPLES = Path(__file__).parents[3] / "docs/scenarios"

SCENARIO = """
title = "Short"
duration = "20min"
[[server]]
name = "server"
[[host]]
name = "client"
source = [{ name = "server", iburst = true }]
[[link]]
between = ["client", "server"]
jitter = "10us"
[[event]]
at = "10min"
what = "cut"
between = ["client", "server"]
"""


@pytest.fixture
def scenario(tmp_path: Path) -> Path:
    file = tmp_path / "short.toml"
    file.write_text(SCENARIO)
    return file


def simulate(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["simulate", *map(str, arguments)])


def test_a_run_ends_in_a_table_and_the_journal(scenario: Path):
    result = simulate(scenario)
    assert result.exit_code == 0
    assert "Short" in result.stdout
    assert "RMS error" in result.stdout
    assert "600.000  client-server: scenario: cut" in result.stdout


def test_more_hosts_than_fit_beside_each_other_go_below(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("COLUMNS", "80")
    names = [f"client{number}" for number in range(12)]
    hosts = "".join(f'[[host]]\nname = "{name}"\n' for name in names)
    (tmp_path / "crowd.toml").write_text(f'title = "Crowd"\nduration = "10min"\n{hosts}')
    lines = [line.rstrip() for line in simulate(tmp_path / "crowd.toml").stdout.splitlines()]
    assert max(map(len, lines)) <= 80
    assert [name for line in lines for name in line.split() if name in names] == names
    assert sum(line.startswith("RMS error") for line in lines) > 1


def test_several_runs_end_in_means_and_their_spread(scenario: Path):
    result = simulate(scenario, "--runs", "2")
    assert "±" in result.stdout
    assert "scenario: cut" not in result.stdout


def test_json_has_figures_series_and_journal_of_each_seed(scenario: Path):
    result = simulate(scenario, "--json", "--runs", "2", "--seed", "7")
    first, second = json.loads(result.stdout)
    assert (first["seed"], second["seed"]) == (7, 8)
    host = first["hosts"][0]
    assert host["host"] == "client"
    assert host["rms_error"] != second["hosts"][0]["rms_error"]
    assert len(host["series"]) == 75
    assert {"at": 600.0, "host": "client-server", "level": "warning", "text": "scenario: cut"} in first["journal"]


@pytest.mark.parametrize("suffix", ["png", "svg"])
def test_a_picture_is_drawn(scenario: Path, tmp_path: Path, suffix: str):
    picture = tmp_path / f"short.{suffix}"
    assert simulate(scenario, "--picture", picture).exit_code == 0
    assert picture.stat().st_size > 10_000


def test_without_matplotlib_the_table_is_there_and_the_way_to_get_pictures(
    scenario: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    result = simulate(scenario, "--picture", tmp_path / "short.png")
    assert result.exit_code == 69
    assert "RMS error" in result.stdout
    assert "script/setup --dev" in result.stderr


@pytest.mark.parametrize("name", ["missing/short.png", "short.strange"])
def test_a_picture_that_cannot_be_written_is_said_to_be_so(scenario: Path, tmp_path: Path, name: str):
    result = simulate(scenario, "--picture", tmp_path / name)
    assert result.exit_code == 69
    assert "cannot write" in result.stderr


@pytest.mark.parametrize("content", [b"duration = 1", b"\xff\xfe", b"#" * 1_000_001])
def test_a_file_that_is_no_scenario_is_refused_by_name(tmp_path: Path, content: bytes):
    file = tmp_path / "bad.toml"
    file.write_bytes(content)
    result = simulate(file)
    assert result.exit_code == 65
    assert f"{file}: " in result.stderr


def test_a_file_that_is_not_there_is_refused_by_name(tmp_path: Path):
    assert simulate(tmp_path / "none.toml").exit_code == 65


@pytest.mark.parametrize("example", sorted(EXAMPLES.glob("*.toml")), ids=lambda path: path.stem)
def test_the_examples_of_the_documentation_run(example: Path, tmp_path: Path):
    short = tmp_path / example.name
    lines = (line for line in example.read_text().splitlines() if not line.startswith("duration"))
    short.write_text("\n".join(['duration = "1min"', *lines]))
    assert simulate(short).exit_code == 0
