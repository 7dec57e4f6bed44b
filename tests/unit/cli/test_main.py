import pytest
from typer.testing import CliRunner

from ntp_usg import __version__
from ntp_usg.cli.main import app


def test_version():
    result = CliRunner().invoke(app, ["--version"])
    assert (result.exit_code, result.stdout) == (0, f"ntp_usg {__version__}\n")


@pytest.mark.parametrize("arguments", [["--help"], ["-h"]])
def test_help_names_every_command_and_gives_examples(arguments: list[str]):
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0
    for word in ("query", "status", "Examples:", "ntp_usg query --ntpdate", "ntp_usg_server"):
        assert word in result.stdout
