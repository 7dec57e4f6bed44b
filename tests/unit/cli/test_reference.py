"""The pages of docs/reference are those that the program writes."""

from pathlib import Path

import pytest

from ntp_usg.cli.reference import PAGES

REFERENCE = Path(__file__).parents[3] / "docs" / "reference"


@pytest.mark.parametrize("page", PAGES)
def test_the_committed_page_is_current(page: str):
    assert (REFERENCE / page).read_text(encoding="utf-8") == PAGES[page](), "run script/docs and commit what changes"


def test_commands_are_told_with_usage_flags_and_examples():
    page = PAGES["commands.md"]()
    for part in (
        "\n## ntp_usg query\n",
        "```\nntp_usg query [OPTIONS] {HOST[:PORT]}...\n```\n",
        "| `-w, --watch` | Renew the table every second until Ctrl-C. |\n",
        "```sh\nntp_usg_server --gps-device /dev/ttyAMA0 --pps-device /dev/pps0\n",
    ):
        assert part in page
