"""docs/explanation/faults.md, from the tests marked `fault`: no line of the page outlives the test that shows it."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path

TESTS = Path(__file__).parent
PAGE = TESTS.parent / "docs/explanation/faults.md"
GROUPS = ("Time", "Receivers", "Pulses", "Servers", "Service", "Attacks", "Files and settings")
INTRODUCTION = """\
# Faults

What goes wrong, how the daemon notices and tells it, and what clients get meanwhile. `script/docs` makes this page from
the tests: each line is shown by the test that it names. [Trust](trust.md) explains how sources are judged,
[holdover](holdover.md) what follows when none is left.
"""


@dataclass(frozen=True, slots=True)
class Fault:
    """One line of the page: the keywords of `pytest.mark.fault`, and the test that carries it."""

    group: str
    kind: str
    noticed: str
    served: str
    test: str


def faults(path: Path) -> Iterator[Fault]:
    """The faults shown in one file of tests. Raises ValueError where a mark lacks a keyword or invents a group."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            for mark in (part for each in node.decorator_list for part in ast.walk(each) if _is_fault(part)):
                yield _fault(mark, f"{path.relative_to(TESTS)}::{node.name}")


def _is_fault(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.mark.fault"


def _fault(mark: ast.AST, test: str) -> Fault:
    assert isinstance(mark, ast.Call)
    said = {str(each.arg): str(ast.literal_eval(each.value)) for each in mark.keywords}
    wanted = {each.name for each in fields(Fault)} - {"test"}
    if said.keys() != wanted or said["group"] not in GROUPS or mark.args:
        raise ValueError(f"{test}: `fault` takes the keywords {sorted(wanted)}, and a group of {GROUPS}")
    return Fault(**said, test=test)


def page(found: list[Fault]) -> str:
    """The page in Markdown."""
    parts = [INTRODUCTION]
    for group in GROUPS:
        lines = sorted(
            (each.kind, each.noticed, each.served, _link(each.test)) for each in found if each.group == group
        )
        if lines:
            head = [
                f"## {group}\n",
                "| What goes wrong | How it is noticed | What is served | Test |",
                "| --- | --- | --- | --- |",
            ]
            parts.append("\n".join([*head, *(f"| {' | '.join(line)} |" for line in lines)]) + "\n")
    return "\n".join(parts)


def _link(test: str) -> str:
    path, name = test.split("::")
    return f"[{name.removeprefix('test_').replace('_', ' ')}](../../tests/{path})"


def current_page() -> str:
    """The page as the tests of this checkout have it."""
    return page([fault for path in sorted(TESTS.rglob("test_*.py")) for fault in faults(path)])


if __name__ == "__main__":
    PAGE.write_text(current_page(), encoding="utf-8")
