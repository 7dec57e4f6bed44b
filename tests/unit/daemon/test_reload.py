"""SIGHUP takes over what it can, never forgets what it cannot, and changes nothing where the files are wrong."""

import pytest

from ntp_usg.config.loader import load_settings
from ntp_usg.daemon.reload import Configuration

FIRST = '[access]\ndeny = ["192.0.2.0/24"]\n'


class Files:
    """A configuration file, the daemon's view of it, and all that the daemon has adopted."""

    def __init__(self, folder, required):
        self.path = folder / "server.toml"
        self._required = required
        self.write(FIRST)
        self.configuration = Configuration(self.load(), self.load)
        self.adopted = []

    def load(self, *, expected=()):
        return load_settings(self.path, sections={}, required=self._required, expected=expected)

    def write(self, text):
        self.path.write_text(text)

    def reload(self, text=None):
        if text is not None:
            self.write(text)
        self.configuration.reload(self.adopted.append)


@pytest.fixture(params=[True, False], ids=["named file", "default path"])
def files(tmp_path, request):
    return Files(tmp_path, request.param)


def test_what_can_be_changed_is_adopted(files, caplog):
    caplog.set_level("INFO")
    files.reload('[access]\ndeny = ["198.51.100.0/24"]\n[server]\nenable_interleaved = true\n')
    [adopted] = files.adopted
    assert adopted.access.deny == ("198.51.100.0/24",)
    assert adopted.server.enable_interleaved
    assert files.configuration.running == adopted
    assert files.configuration.needs_restart() == []
    assert "Reloaded: server.enable_interleaved, access.deny" in caplog.text


def test_what_needs_a_restart_stays_visible_until_it_is_taken_back(files, caplog):
    moved = '[server]\nlisten_addr = ["127.0.0.1:1123"]\n' + FIRST
    for _ in range(2):
        caplog.clear()
        files.reload(moved)
        assert "These need a restart: server.listen_addr" in caplog.text
        assert files.configuration.needs_restart() == ["server.listen_addr"]
        assert files.adopted[-1].server.listen_addr != ("127.0.0.1:1123",)
    files.reload(FIRST)
    assert files.configuration.needs_restart() == []


@pytest.mark.fault(
    group="Files and settings",
    kind="A configuration file is gone, empty or wrong when the daemon is told to reload.",
    noticed="The log names the file and the line; nothing is adopted.",
    served="Answers under the access lists and limits that were in force.",
)
@pytest.mark.parametrize("text", [None, "", "[access]\ndeny = 7\n", "[acess]\n", "[access"])
def test_a_reload_of_wrong_files_changes_nothing(files, caplog, text):
    before = files.configuration.running
    files.path.unlink()
    files.reload(text)
    assert files.adopted == []
    assert files.configuration.running == before
    assert f"Not reloaded, everything stays as it was:\n{files.path}" in caplog.text
    files.reload(FIRST + "[rate_limit]\nenabled = false\n")
    assert files.configuration.running.access.deny == ("192.0.2.0/24",)


def test_what_nobody_can_follow_is_not_taken_for_adopted(files, caplog):
    def refuse(_):
        raise ValueError("no such network")

    files.write("[access]\n")
    files.configuration.reload(refuse)
    assert files.configuration.running.access.deny == ("192.0.2.0/24",)
    assert "no such network" in caplog.text
