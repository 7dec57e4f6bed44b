"""What is wrong, where, and what would be right: the words for people who have a file open in an editor."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from ntp_usg.config.documents import Document, KeyPath
from ntp_usg.config.models import ARRAYS, FLAGS, MAX_TABLES, SHORTCUTS, TABLES, kind
from ntp_usg.config.values import shown
from ntp_usg.core.base.aliases import aliases_of
from ntp_usg.core.base.durations import is_interval
from ntp_usg.core.base.errors import ConfigProblem

COMMAND_LINE = "command line"

Models = Mapping[str, type[BaseModel]]

_EXPECTED = {
    "bool": "true or false",
    "int": "a whole number",
    "float": "a number",
    "string": "a text in quotes",
    "tuple": "a list",
}
"""By the first word of pydantic's error types: `int_type`, `int_parsing`, `int_from_float` ..."""

_BOUNDS = {"ge": "at least", "gt": "more than", "le": "at most", "lt": "less than"}


@dataclass(frozen=True, slots=True)
class Entry:
    """A value that was set, and where."""

    value: object
    document: Document
    path: tuple[str, ...]

    @property
    def name(self) -> str:
        """The flag that set it, or the dotted key."""
        dotted = ".".join(self.path)
        return FLAGS.get(self.path, dotted) if self.from_command_line else dotted

    @property
    def origin(self) -> str:
        """The flag, or file and line: `server.toml:3`."""
        if self.from_command_line:
            return self.name
        return f"{Path(self.document.source).name}:{self.document.line(self.path)}"

    @property
    def from_command_line(self) -> bool:
        return self.document.source == COMMAND_LINE

    def problem(self, message: str, inside: KeyPath = ()) -> ConfigProblem:
        """A problem at this value, or at something inside it."""
        return ConfigProblem(self.document.source, self.document.line((*self.path, *inside)), message)


def is_array(name: str, content: object) -> bool:
    """Whether these are several tables of a kind that may be there several times."""
    return (
        name not in TABLES
        and isinstance(content, list)
        and len(content) <= MAX_TABLES
        and all(isinstance(table, dict) for table in content)
    )


def table_problems(document: Document, accepted: Models, files: Mapping[str, str]) -> Iterator[ConfigProblem]:
    """Whatever stands at the top of a file and is not one of its tables; `files` says where all tables belong."""
    for name, content in document.tables.items():
        entry = Entry(content, document, (name,))
        if name in accepted and name not in TABLES and (name in ARRAYS or isinstance(content, list)):
            if not is_array(name, content):
                yield entry.problem(
                    f"`{name}` may be there up to {MAX_TABLES} times: begin each with a line [[{name}]]"
                )
        elif name == "server" and name in accepted and isinstance(content, list):
            yield entry.problem("[server] is how we answer, and is there once; write servers to ask as [[source]]")
        elif name in accepted and not isinstance(content, dict):
            yield entry.problem(f"`{name}` is a table: write its keys in lines of their own below [{name}]")
        elif name not in accepted and name in files:
            yield entry.problem(f"[{name}] belongs in {files[name]}")
        elif name not in accepted:
            what = (
                f"unknown table [{_name(name)}]"
                if isinstance(content, dict | list)
                else f"`{_name(name)}` is in no table"
            )
            yield entry.problem(what + _advice(name, accepted, accepted))


def validation_problems(
    table: str, error: ValidationError, entries: Mapping[str, Entry], home: Entry | None, models: Models
) -> Iterator[ConfigProblem]:
    """The findings of a table's model in plain words, each at its line; `home` is blamed for what is missing."""
    for detail in error.errors(include_url=False):
        key, *inside = detail["loc"] or ("",)
        entry = entries.get(str(key), home)
        if entry is None:
            continue
        fields = models[kind(table)].model_fields
        if detail["type"] == "extra_forbidden" and not inside:
            advice = _advice(str(key), fields, models, aliases_of(models[kind(table)]))
            yield entry.problem(f"unknown key `{_name(entry.path[-1])}` in {_heading(table)}{advice}")
        elif detail["type"] == "missing" and not inside:
            yield entry.problem(f"{_heading(table)} needs {_spellings(table, str(key))}")
        else:
            yield entry.problem(f"`{entry.name}`: {_plain(detail, fields.get(str(key)))}", tuple(inside))


def _plain(detail: ErrorDetails, field: FieldInfo | None) -> str:
    """Pydantic's finding, nearer to the words of the file."""
    if detail["type"] == "value_error":
        return str(detail["ctx"]["error"])[:400]
    expected = detail["msg"].removeprefix("Input should be ")
    if expected == detail["msg"]:
        return expected
    kind = detail["type"].partition("_")[0]
    if kind in {"int", "float"} and is_interval(str(detail["loc"][0])):
        return f'must be a number of seconds or a text like "2s", not {shown(detail["input"])}'
    if kind in {"greater", "less"} and field:
        expected = _range(field) or expected
    return f"must be {_EXPECTED.get(kind, expected)}, not {shown(detail['input'])}"


def _range(field: FieldInfo) -> str:
    """Both ends, where pydantic names the one that was passed."""
    limits = [(word, getattr(item, name, None)) for item in field.metadata for name, word in _BOUNDS.items()]
    return " and ".join(f"{word} {limit}" for word, limit in limits if limit is not None)


def _advice(key: str, accepted: Collection[str], models: Models, aliases: Collection[str] = ()) -> str:
    homes = [_heading(table) for table, model in models.items() if key in {**model.model_fields, **aliases_of(model)}]
    if homes:
        return f"; it belongs to {' or '.join(homes)}"
    # Two of three letters, as in gps and pps, are not close.
    near = get_close_matches(key, [*accepted, *aliases], n=1, cutoff=0.7)
    return (f"; did you mean `{near[0]}`?" if near else ".") + f" Accepted: {', '.join(accepted)}"


def _heading(table: str) -> str:
    return f"[[{kind(table)}]]" if table in ARRAYS or table != kind(table) else f"[{table}]"


def _spellings(table: str, key: str) -> str:
    """Every way to set a key."""
    shortcuts = [f"`{'.'.join(short)}`" for short, long in SHORTCUTS.items() if long == (table, key)]
    return " or ".join([f"`{key}`", *shortcuts, *filter(None, [FLAGS.get((table, key))])])


def _name(key: str) -> str:
    """A key from a file, safe to print."""
    return shown(key)[1:-1]
