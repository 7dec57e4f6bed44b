"""What the documentation promises and a program can check: links lead somewhere, examples load."""

import re
from pathlib import Path

import pytest

from ntp_usg.config.loader import load_settings
from ntp_usg.refclocks.driver import load_drivers

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md")])
LINK = re.compile(r"\]\(([^)\s#]+)[^)]*\)")
EXAMPLE = re.compile(r"^```toml\n(.*?)^```$", re.DOTALL | re.MULTILINE)
CONFIGURATIONS = [
    pytest.param(example, id=f"{page.relative_to(ROOT)}-{number}")
    for page in PAGES
    if page.name != "simulation.md"  # its examples are scenarios
    for number, example in enumerate(EXAMPLE.findall(page.read_text(encoding="utf-8")), 1)
]


def links(page: Path) -> list[Path]:
    """The files and directories of this checkout to which a page leads."""
    targets = LINK.findall(page.read_text(encoding="utf-8"))
    return [(page.parent / target).resolve() for target in targets if "://" not in target]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path):
    assert [target for target in links(page) if not target.exists()] == []


def test_the_index_leads_to_every_page():
    assert set(DOCS.rglob("*.md")) - {DOCS / "README.md"} <= set(links(DOCS / "README.md"))


def test_the_first_page_leads_to_the_index():
    assert DOCS / "README.md" in links(ROOT / "README.md")


@pytest.mark.parametrize("example", CONFIGURATIONS)
def test_every_configuration_that_is_shown_loads(example: str, tmp_path: Path):
    path = tmp_path / "server.toml"
    path.write_text(example, encoding="utf-8")
    load_settings(path, sections={name: driver.Options for name, driver in load_drivers().items()})
