"""The drift file: what is saved comes back, and nothing that stands there can do harm."""

import contextlib
import math
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ntp_usg.clocks.drift_file import (
    MAXIMUM_BYTES,
    MOST_PARTS,
    SavedState,
    keep_latencies,
    load,
    parse_latencies,
    save,
)
from ntp_usg.core.base.errors import ClockError
from ntp_usg.core.base.samples import MessageLatency

STATE = SavedState(
    frequency_ppm=-12.345678901234,
    deviation_ppm=0.0012,
    stability_ppm=0.01,
    saved_at=datetime(2026, 2, 16, 12, tzinfo=UTC),
    holdover={"ageing": 1.5e-9, "steps": [60, 3600], "slope": None},
)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "drift"


@pytest.mark.parametrize("state", [STATE, SavedState(frequency_ppm=0.0, deviation_ppm=0.0)])
def test_what_was_saved_is_loaded(path, state):
    save(path, state)
    assert load(path) == state


NOON = datetime(2026, 2, 16, 12, tzinfo=UTC)
LATENCY = MessageLatency(median=0.08, spread=0.004, uncertainty=0.0005, count=600)


def with_latencies(content: object) -> SavedState:
    return SavedState.model_validate({"frequency_ppm": 1.0, "deviation_ppm": 0.1, "latencies": content})


def test_latencies_that_were_saved_are_loaded(path):
    kept = {"nmea /dev/ttyAMA0 9600 baud": keep_latencies({"RMC": LATENCY}, NOON)}
    save(path, with_latencies({key: each.model_dump(mode="json") for key, each in kept.items()}))
    state = load(path)
    assert state is not None
    assert parse_latencies(state) == kept


def test_latencies_that_would_not_be_believed_are_not_kept():
    wild = {"A": replace(LATENCY, median=7.0), "B": replace(LATENCY, spread=math.nan), "C" * 99: LATENCY}
    assert keep_latencies(wild | {"RMC": LATENCY}, NOON).parts.keys() == {"RMC"}


def test_more_parts_than_a_receiver_sends_are_not_kept():
    assert len(keep_latencies({f"P{number}": LATENCY for number in range(99)}, NOON).parts) == MOST_PARTS


PART = {"median": 0.08, "spread": 0.004, "uncertainty": 0.0005, "count": 600}


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ({"key": 1}, "key: "),
        ({"key": {"measured_at": "noon", "parts": {}}}, "measured_at"),
        ({"key": {"measured_at": "2026-02-16T12:00:00Z", "parts": {"RMC": {"median": 0.1}}}}, "Field required"),
        ({"key": {"measured_at": "2026-02-16T12:00:00Z", "parts": {"RMC": PART | {"median": 99}}}}, "less than"),
        ({"key": {"measured_at": "2026-02-16T12:00:00Z", "parts": {"RMC": PART | {"count": 0}}}}, "greater than"),
        ({str(number): {"measured_at": NOON, "parts": {}} for number in range(99)}, "at most 8"),
    ],
)
def test_latencies_that_make_no_sense_are_refused_with_the_reason_and_spoil_nothing_else(path, content, complaint):
    save(path, with_latencies(content))
    state = load(path)
    assert state is not None
    with pytest.raises(ClockError, match="receivers' latencies") as refusal:
        parse_latencies(state)
    assert complaint in str(refusal.value)


def test_people_can_read_it(path):
    save(path, STATE)
    assert '  "frequency_ppm": -12.345678901234,\n' in path.read_text()
    assert '"2026-02-16T12:00:00Z"' in path.read_text()


def test_a_file_that_is_too_long_is_not_read(path):
    path.write_bytes(b"1" * (MAXIMUM_BYTES + 1))
    with pytest.raises(ClockError, match="cannot be used: it is longer than"):
        load(path)


def test_a_receivers_name_may_have_any_letters(path):
    state = with_latencies({"nmea /dev/empfänger": keep_latencies({"RMC": LATENCY}, NOON).model_dump(mode="json")})
    save(path, state)
    loaded = load(path)
    assert loaded is not None
    assert parse_latencies(loaded).keys() == {"nmea /dev/empfänger"}


def test_where_nothing_was_saved_nothing_is_known(path):
    assert load(path) is None


def test_saving_replaces_and_leaves_nothing_else_behind(path):
    path.write_text("12.5\n")
    save(path, STATE)
    assert load(path) == STATE
    assert list(path.parent.iterdir()) == [path]


def test_a_save_that_was_cut_off_is_no_obstacle(path):
    path.with_name("drift.new").write_text('{"frequency')
    save(path, STATE)
    assert load(path) == STATE


def test_a_link_in_the_way_is_not_written_through(path, tmp_path):
    victim = tmp_path / "victim"
    victim.write_text("precious")
    path.with_name("drift.new").symlink_to(victim)
    save(path, STATE)
    assert victim.read_text() == "precious"


def test_the_old_state_survives_a_save_that_fails(path):
    save(path, STATE)
    path.with_name("drift.new").mkdir()
    with pytest.raises(ClockError):
        save(path, SavedState(frequency_ppm=1.0, deviation_ppm=1.0))
    assert load(path) == STATE


def test_ntpds_file_says_what_must_be_added_to_the_frequency(path):
    path.write_text("-23.456\n")
    assert load(path) == SavedState(frequency_ppm=23.456, deviation_ppm=1.0)


def test_chronyds_file_says_how_fast_the_clock_is_and_how_sure_that_is(path):
    path.write_text("           23.456000             0.012000\n")
    assert load(path) == SavedState(frequency_ppm=23.456, deviation_ppm=0.012)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "neither ours"),
        (b"1 2 3", "neither ours"),
        (b"nan", "frequency_ppm: Input should be a finite number"),
        (b"-1e9", "frequency_ppm: Input should be less than"),
        (b"1 -2", "deviation_ppm: Input should be greater"),
        (b"twelve", "neither ours"),
        (b"1 two", "neither ours"),
        (b"\xff\xfe", "no text"),
        (b"{", "Invalid JSON"),
        (b'{"frequency_ppm": 1}', "deviation_ppm: Field required"),
        (b'{"frequency_ppm": 1, "deviation_ppm": 1, "more": 1}', "more: Extra inputs"),
        (b'{"frequency_ppm": 1, "deviation_ppm": 1, "saved_at": "noon"}', "saved_at"),
        (b'{"a":' * 10_000, "Invalid JSON"),
    ],
)
def test_a_file_that_makes_no_sense_is_refused_with_the_reason(path, content, complaint):
    path.write_bytes(content)
    with pytest.raises(ClockError, match="delete it") as refusal:
        load(path)
    assert complaint in str(refusal.value)


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_whatever_stands_there_is_a_state_or_a_clear_error(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "any"
    path.write_bytes(content)
    with contextlib.suppress(ClockError):
        assert isinstance(load(path), SavedState)


def test_a_directory_in_its_place_is_refused(path):
    path.mkdir()
    with pytest.raises(ClockError, match="cannot be used: it is not a regular file"):
        load(path)


def test_where_there_is_no_directory_the_error_says_what_to_do():
    with pytest.raises(ClockError, match=r"cannot be written: No such file.*StateDirectory=ntp_usg"):
        save(Path("/nonexistent/drift"), STATE)
