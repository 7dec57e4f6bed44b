"""A CI that skips tests in silence proves nothing: these run a tiny suite under our conftest."""

import os
from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

CONFTEST = Path(__file__).parents[1] / "conftest.py"
PASSING = "def test_passes(): pass"
SKIPPED = """
import pytest
@pytest.mark.skip(reason="too hard")
def test_skipped(): pass
"""
SKIPPED_MODULE = """
import pytest
pytest.skip("all of it", allow_module_level=True)
"""
MISSING_PEER = """
def test_peer(require_peer):
    require_peer("no-such-time-daemon")
"""


@pytest.fixture
def suite(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    monkeypatch.setenv("PATH", os.environ["PATH"])  # our conftest changes it: put it back afterwards
    monkeypatch.setenv("CI", "true")
    pytester.makeconftest(CONFTEST.read_text())
    return pytester


@pytest.mark.parametrize(
    ("source", "name"), [(SKIPPED, "test_tiny.py::test_skipped"), (SKIPPED_MODULE, "test_tiny.py")]
)
def test_a_skip_fails_the_run_in_ci_and_is_named(suite: pytest.Pytester, source: str, name: str) -> None:
    suite.makepyfile(test_tiny=source, test_other=PASSING)
    result = suite.runpytest_inprocess()
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*FAILED: in CI no test may be skipped*", name])


def test_ci_passes_when_nothing_was_skipped(suite: pytest.Pytester) -> None:
    suite.makepyfile(PASSING)
    assert suite.runpytest_inprocess().ret == pytest.ExitCode.OK


def test_a_skip_is_no_failure_on_a_developers_machine(suite: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI")
    suite.makepyfile(test_tiny=SKIPPED, test_other=PASSING)
    assert suite.runpytest_inprocess().ret == pytest.ExitCode.OK


def test_a_missing_peer_skips_the_test_and_says_how_to_get_it(suite: pytest.Pytester) -> None:
    suite.makepyfile(MISSING_PEER)
    result = suite.runpytest_inprocess("-rs")
    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines(["*no-such-time-daemon is not installed: run `sudo script/setup --system`*"])
