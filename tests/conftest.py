"""What every test may ask for: real peers to talk to, and a CI that does not believe a skipped test."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

PEERS = Path(__file__).parents[1] / ".peers"  # where `script/setup --system` unpacks Debian's time daemons

# PATH, because a peer must find its own helpers too (ntpdate is a shell script around ntpdig), and a user's PATH lacks
# the sbin directories.
os.environ["PATH"] = os.pathsep.join(
    [str(PEERS / "usr/sbin"), str(PEERS / "usr/bin"), os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"]
)


def find_peer(name: str) -> Path:
    """The program `name` of Debian's own; where it is not installed, the test is skipped with the way to get it."""
    path = shutil.which(name)
    if path is None:
        pytest.skip(f"{name} is not installed: run `sudo script/setup --system`")
    return Path(path)


@pytest.fixture(scope="session")
def require_peer() -> Callable[[str], Path]:
    """As `chronyd = require_peer("chronyd")`, in a test marked `peer`."""
    return find_peer


def tests_skipped_in_ci(config: pytest.Config) -> list[str]:
    """The names of the tests that CI counts as failed: a skipped test proves nothing."""
    if os.environ.get("CI") != "true":
        return []
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    assert isinstance(reporter, pytest.TerminalReporter)
    return sorted({report.nodeid for report in reporter.stats.get("skipped", ())})


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    if exitstatus == pytest.ExitCode.OK and tests_skipped_in_ci(session.config):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if skipped := tests_skipped_in_ci(config):
        terminalreporter.section("FAILED: in CI no test may be skipped", red=True)
        for nodeid in skipped:
            terminalreporter.line(nodeid)
