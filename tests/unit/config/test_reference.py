"""What the reference page says of a table, and that it leaves nothing out."""

from enum import StrEnum
from typing import Annotated

import pytest
from pydantic import BaseModel, Field

from ntp_usg.config.models import ARRAYS, TABLES, Table
from ntp_usg.config.reference import configuration_reference
from ntp_usg.config.values import Seconds
from ntp_usg.refclocks.driver import load_drivers


class Edge(StrEnum):
    """Which edge counts."""

    UP = "Up"
    DOWN = "Down"


class General(Table):
    """What the table of a driver can inherit."""

    name: str
    """Its name."""
    late: Seconds = 0.5
    """How late,
    at the most."""


class Options(General):
    """A driver's table."""

    name: str = "a|b"
    level: Annotated[int, Field(ge=1, lt=8)] = 2
    """How loud."""
    share: Annotated[float | None, Field(gt=0)] = None
    """How much of it."""
    edge: Edge = Edge.UP
    told: bool = Field(default=False, description="In pydantic's own way.")
    place: tuple[float, int] | None = None
    """Where."""


@pytest.fixture(scope="module")
def page() -> str:
    return configuration_reference({"loud": Options, "plain": General}, ("access.",))


@pytest.mark.parametrize(
    "row",
    [
        "| `address` | text | *required* | Host name or IP address; a port where it is not 123. Of several ",
        '| `algorithm` | `"kalman"`, `"regression"` or `"pll"` |',
        '| `listen_addr` | text or list of texts | `["0.0.0.0:123", "[::]:123"]` |',
        "| `stratum` | integer from 1 to 15 | `1` |",
        "| `step_threshold` | duration | `0.128` |",
        "| `allow` | list of texts | not set |",
        r'| `name` | text | `"a\|b"` | Its name. |',
        "| `name` | text | *required* | Its name. |",
        "| `late` | duration | `0.5` | How late, at the most. |",
        "| `level` | integer from 1 below 8 | `2` | How loud. |",
        "| `share` | number above 0 | not set | How much of it. |",
        '| `edge` | `"Up"` or `"Down"` | `"Up"` | Which edge counts. |',
        "| `place` | list of number, integer | not set | Where. |",
        "| `told` | `true` or `false` | `false` | In pydantic's own way. |",
    ],
)
def test_a_key_is_told_with_type_default_and_meaning(page: str, row: str):
    assert row in page


def test_flags_and_the_names_of_ntp_conf_are_told(page: str):
    rows = {line.split("`")[1]: line for line in page.splitlines() if line.startswith("| `")}
    assert rows["listen_addr"].endswith("Flag: `--listen`. |")
    assert rows["gps_baud"].endswith("Flag: `--gps-baud`. |")
    assert rows["min_poll"].endswith("| `minpoll` |")


def test_what_a_reload_takes_over_is_told(page: str):
    assert "keys that begin with `access.`,\nwhole or not at all" in page


def test_every_table_has_a_section_with_its_purpose(page: str):
    for name, model in {**TABLES, **ARRAYS}.items():
        heading = f"## [[{name}]]" if name in ARRAYS else f"## [{name}]"
        purpose = page.partition(f"{heading}\n\n")[2].partition("\n")[0]
        assert purpose, heading
        assert purpose.lower() in (model.__doc__ or "").lower()
    assert f"## [loud]\n\n{__doc__}\n" in page


DRIVERS = {name: driver.Options for name, driver in load_drivers().items()}


@pytest.mark.parametrize("name", [*TABLES, *ARRAYS, *DRIVERS])
def test_no_key_is_without_a_meaning(name: str):
    model: type[BaseModel] = {**TABLES, **ARRAYS, **DRIVERS}[name]
    rows = [line for line in configuration_reference({name: model}, ()).splitlines() if line.startswith("| `")]
    assert [row for row in rows if row.split(" | ")[3].lstrip().startswith(("|", "Flag:"))] == []


def test_the_words_of_ntpd_and_chrony_are_told_beside_the_keys_and_those_that_are_refused_below():
    page = configuration_reference({"pps": DRIVERS["pps"]}, ())
    rows = {line.split("`")[1]: line for line in page.partition("## [pps]")[2].splitlines() if line.startswith("| `")}
    assert rows["offset_secs"].endswith("| `offset`, `time1` |")
    assert rows["poll_interval_secs"].endswith("| `poll = 4` for `16`, `minpoll = 4` for `16` |")
    assert rows["capture_mode"].endswith('| `flag2 = 1` for `"Clear"` |')
    assert "\n- `maxpoll`: a reference clock has one poll interval" in page
