"""The log stays small and readable, whatever receivers, peers and broken parts have to say."""

import io
import logging

import pytest

from ntp_usg.daemon.logs import (
    BURST,
    LINE_LENGTH,
    MOST_LINES,
    MOST_SHAPES,
    MOST_TOPICS,
    REFILL_SECONDS,
    REPORT_SECONDS,
    BoundedHandler,
    FloodLimiter,
    JournalFormatter,
    SafeFormatter,
    printable,
)


def record(text, *args, logger="ntp_usg.daemon.runner", level=logging.WARNING):
    return logging.LogRecord(logger, level, "", 0, text, args, None)


def written(limiter, lines, now=0.0, step=0.0):
    """What the limiter lets through of `lines`, each `step` seconds after the one before."""
    return [
        each.getMessage() for index, line in enumerate(lines) for each in limiter.take(record(line), now + index * step)
    ]


def reported(limiter, now):
    return [each.getMessage() for each in limiter.due(now)]


def test_few_lines_pass_as_they_are():
    lines = [f"gps: satellite {number}" for number in range(BURST)]
    limiter = FloodLimiter()
    assert written(limiter, lines) == lines
    assert reported(limiter, 1e9) == []


@pytest.mark.fault(
    group="Attacks",
    kind="A receiver or a server makes the daemon log thousands of lines.",
    noticed="The log shows the first twenty lines, then one line a minute that counts the others.",
    served="Time as before.",
)
def test_a_flood_is_summed_up_and_its_last_state_is_told():
    limiter = FloodLimiter()
    flood = [f"gps: antenna {'open' if number % 2 else 'shorted'}" for number in range(10_001)]
    passed = written(limiter, flood)
    assert passed == flood[:BURST]
    assert reported(limiter, REPORT_SECONDS - 1) == []
    assert reported(limiter, REPORT_SECONDS) == [
        "gps: antenna open (4,989 more like this in the last minute)",
        "gps: antenna shorted (4,990 more like this in the last minute)",
    ]


def test_a_flood_of_hours_costs_a_few_lines_a_minute():
    limiter = FloodLimiter()
    lines = written(limiter, ["gps: antenna open"] * 7200, step=1.0)
    assert len(lines) <= BURST + 120 * (1 + REPORT_SECONDS / REFILL_SECONDS)


def test_a_report_comes_before_any_later_line_of_its_topic():
    limiter = FloodLimiter()
    written(limiter, ["gps: lost"] * (BURST + 2))
    assert written(limiter, ["gps: found"], now=REPORT_SECONDS) == [
        "gps: lost (1 more like this in the last minute)",
        "gps: found",
    ]


def test_a_single_line_held_back_is_told_as_it_was():
    limiter = FloodLimiter()
    written(limiter, ["gps: antenna open"] * BURST + ["gps: lost after 3.0 s"])
    assert reported(limiter, REPORT_SECONDS) == ["gps: lost after 3.0 s"]


def test_one_sources_flood_silences_no_other():
    limiter = FloodLimiter()
    written(limiter, ["gps: antenna open"] * 1000)
    assert written(limiter, ["192.0.2.1: lost"]) == ["192.0.2.1: lost"]


def test_a_topic_that_is_quiet_again_gets_its_burst_back():
    limiter = FloodLimiter()
    written(limiter, ["gps: antenna open"] * 1000)
    reported(limiter, REPORT_SECONDS)
    later = REPORT_SECONDS + BURST * REFILL_SECONDS
    assert len(written(limiter, ["gps: antenna open"] * 1000, now=later)) == BURST


def test_made_up_topics_and_shapes_are_bounded():
    limiter = FloodLimiter()
    topics = written(limiter, [f"{number}{'x' * number}: hello" for number in range(5000)])
    assert len(topics) <= MOST_TOPICS + BURST
    limiter = FloodLimiter()
    written(limiter, [f"gps: says {'x' * number}" for number in range(1000)])
    assert len(reported(limiter, REPORT_SECONDS)) <= MOST_SHAPES + 1


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b]0;evil\x07", r"\x1b]0;evil\x07"),
        ("a\rb\tc\x00", r"a\rb\tc\x00"),
        ("\u202egps", r"\u202egps"),
        ("one\n<0>kernel panic", "one\n    <0>kernel panic"),
        ("Ünïcode µs", "Ünïcode µs"),
        ("\udcff", r"\udcff"),
    ],
)
def test_text_from_outside_can_not_steer_a_terminal_or_forge_a_line(text, shown):
    assert printable(text) == shown


def test_long_lines_and_long_texts_keep_their_ends_in_bounds():
    assert printable("x" * 5000) == "x" * LINE_LENGTH + "... 4,000 characters left out"
    lines = printable("\n".join(map(str, range(1000)))).split("\n    ")
    assert len(lines) == MOST_LINES + 1
    assert (lines[0], lines[-1]) == ("0", "999")
    assert "... 960 lines left out ..." in lines


def test_each_line_of_a_message_has_its_priority_for_journald():
    formatter = JournalFormatter("%(message)s")
    assert formatter.format(record("%s", "one\n<0>two", level=logging.ERROR)) == "<3>one\n<3>    <0>two"


def test_what_is_held_back_at_the_end_is_written():
    stream = io.StringIO()
    handler = BoundedHandler(stream)
    handler.setFormatter(SafeFormatter("%(message)s"))
    for number in range(BURST + 7):
        handler.handle(record("gps: antenna open %d", number))
    handler.close()
    assert stream.getvalue().splitlines()[-1] == "gps: antenna open 26 (6 more like this in the last minute)"


def test_a_line_that_can_not_be_formatted_ends_nobody(capsys):
    stream = io.StringIO()
    handler = BoundedHandler(stream)
    handler.handle(record("gps: %d satellites", "no"))
    handler.handle(record("gps: fix lost"))
    assert stream.getvalue() == "gps: fix lost\n"
    assert "no" in capsys.readouterr().err


def test_a_held_record_keeps_no_traceback_alive():
    limiter = FloodLimiter()
    written(limiter, ["gps: failed"] * BURST)
    held = record("gps: failed")
    held.exc_info = (ValueError, ValueError(), None)
    list(limiter.take(held, 0.0))
    [kept] = limiter.due(REPORT_SECONDS)
    assert kept.exc_info is None
