"""The pages of docs/reference that the program writes of itself; `script/docs` puts them there, and a test compares."""

import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperGroup

from ntp_usg.cli import main, serve
from ntp_usg.config.reference import configuration_reference, markdown_table
from ntp_usg.daemon.reload import RELOADABLE
from ntp_usg.observe.metrics import metric_families
from ntp_usg.refclocks.driver import load_drivers

_COMMANDS = """\
# Commands

`ntp_usg_server` is the daemon, `ntp_usg` the tool for people. Each explains itself with `--help`.
"""

_METRICS = """\
# Metrics

What `/metrics` gives, in the text format of Prometheus. A gauge of which nothing is known is absent. The words of
`outcome` and `reason` are those of `ntp_usg status`; `source` is the name that it and `ntpq -p` show.
"""


def configuration() -> str:
    """configuration.md: all tables, those of every installed driver too."""
    return configuration_reference({name: driver.Options for name, driver in load_drivers().items()}, RELOADABLE)


def commands() -> str:
    """commands.md: both programs, and each command of `ntp_usg`."""
    tools = {"ntp_usg_server": serve.app, "ntp_usg": main.app}
    return "\n".join(
        [_COMMANDS, *(text for name, app in tools.items() for text in _command(name, typer.main.get_command(app)))]
    )


def _command(
    name: str,
    command: Any,  # noqa: ANN401 - typer does not export what its commands and groups have in common
    parent: typer.Context | None = None,
) -> Iterator[str]:
    context = typer.Context(command, parent=parent, info_name=name, **command.context_settings)
    usage = " ".join([context.command_path, *command.collect_usage_pieces(context)])
    parts = [f"## {context.command_path}\n", f"{command.help}\n", f"```\n{usage}\n```\n"]
    records = [record for each in command.get_params(context) if (record := each.get_help_record(context))]
    parts += [markdown_table(("Argument", "Meaning"), [(f"`{names}`", text) for names, text in records])]
    yield "\n".join([*parts, *_epilog(command.epilog or "")])
    if isinstance(command, TyperGroup):
        for each_name, each in command.commands.items():
            yield from _command(each_name, each, context)


def _epilog(text: str) -> Iterator[str]:
    """Paragraphs as they are; those that are indented are examples."""
    lines = [line for line in text.splitlines() if line]
    if examples := [line.strip() for line in lines if line.startswith("  ")]:
        yield "```sh\n" + "\n".join(examples) + "\n```\n"
    yield from (f"{line}\n" for line in lines if not line.startswith("  ") and line != "Examples:")


def metrics() -> str:
    """metrics.md: every metric there can be."""
    rows = [(f"`{name}`", kind, ", ".join(labels), text) for name, kind, labels, text in metric_families()]
    return f"{_METRICS}\n{markdown_table(('Name', 'Type', 'Labels', 'Meaning'), rows)}"


PAGES: Mapping[str, Callable[[], str]] = {
    "configuration.md": configuration,
    "commands.md": commands,
    "metrics.md": metrics,
}


if __name__ == "__main__":
    for page, write in PAGES.items():
        Path(sys.argv[1], page).write_text(write(), encoding="utf-8")
