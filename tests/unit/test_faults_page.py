"""docs/explanation/faults.md says what the tests show, and nothing else."""

from pathlib import Path

import pytest
from tests import faults_page
from tests.faults_page import PAGE, Fault, current_page, faults, page

MARKED = """
@pytest.mark.fault(group="{group}", kind="It breaks.", noticed="A log line."{more})
def test_it_holds(): ...
"""


def marked(folder: Path, monkeypatch: pytest.MonkeyPatch, group: str, more: str) -> Path:
    monkeypatch.setattr(faults_page, "TESTS", folder)
    path = folder / "test_it.py"
    path.write_text(MARKED.format(group=group, more=more))
    return path


def test_the_page_is_what_the_tests_say_now():
    assert PAGE.read_text(encoding="utf-8") == current_page(), "run script/docs"


def test_a_marked_test_is_a_line_of_its_group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = marked(tmp_path, monkeypatch, "Time", ', served="Time."')
    found = list(faults(path))
    assert found == [Fault("Time", "It breaks.", "A log line.", "Time.", "test_it.py::test_it_holds")]
    assert "## Time\n" in page(found)
    assert "| It breaks. | A log line. | Time. | [it holds](../../tests/test_it.py) |" in page(found)


@pytest.mark.parametrize(("group", "more"), [("Time", ""), ("Weather", ', served="Time."')])
def test_a_mark_that_says_too_little_or_has_an_unknown_group_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, group: str, more: str
):
    path = marked(tmp_path, monkeypatch, group, more)
    with pytest.raises(ValueError, match="test_it_holds"):
        list(faults(path))
