"""The reference page of the configuration, written from the models: what is checked is what is documented."""

import ast
import inspect
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from textwrap import dedent
from typing import Any

from pydantic import BaseModel

from ntp_usg.config.explain import toml_value
from ntp_usg.config.models import ARRAYS, FLAGS, SHORTCUTS, TABLES
from ntp_usg.config.problems import Models
from ntp_usg.config.values import toml_scalar
from ntp_usg.core.base.aliases import Alias, aliases_of

_INTRODUCTION = """\
# Configuration

The daemon reads `/etc/ntp_usg/server.toml`, or the file that `--config` names, in [TOML](https://toml.io/en/v1.0.0).
It may be missing where everything needed is given as a flag. Tables of reference clocks may stand in a file of their
own beside it, named after the table: `gps.conf`, `pps.conf` ... Flags win over server.toml, which wins over those
files, key by key.

A table of a reference clock that is there, even an empty one, puts that clock to use; `type` in [refclock] narrows the
choice. Of several clocks of one kind each is begun by a line of its own, like `[[shm]]`; they are numbered by their
place, and flags and files beside server.toml mean the first. [Reference clocks](refclocks/README.md) says which driver
is for which hardware.

`ntp_usg_server --check` prints every value in force and where it comes from, or every mistake at once (exit code 78).
Keys that do not exist are mistakes.

SIGHUP (`systemctl reload`) takes over keys that begin with RELOADABLE,
whole or not at all. The others need a restart; the daemon logs which.

A *duration* is a text with a unit (`"250us"`, `"10 ms"`, `"5s"`, `"2h"`; ns, us, ms, s, min or h), or a number of
seconds. Durations are shown in seconds below. A value marked *required* has no default.

The last column has the words of ntpd (`server` and `fudge`) and chrony (`refclock`) that are understood in place of the
key, so that a configuration can be brought along; of two that mean the same, give one.
"""

_WORDS = {"string": "text", "integer": "integer", "number": "number", "boolean": "`true` or `false`"}
_LIMITS = {"minimum": "from", "exclusiveMinimum": "above", "maximum": "to", "exclusiveMaximum": "below"}

Schema = Mapping[str, Any]
"""A part of a JSON schema as pydantic makes it."""


def configuration_reference(sections: Models, reloadable: tuple[str, ...]) -> str:
    """The page in Markdown; `sections` are the tables of the drivers, `reloadable` how keys begin that SIGHUP takes."""
    prefixes = ", ".join(f"`{prefix}`" for prefix in reloadable)
    parts = [_INTRODUCTION.replace("RELOADABLE", prefixes)]
    parts += [_table(name, model, _purpose(model)) for name, model in TABLES.items()]
    parts += [_table(name, model, _purpose(model)) for name, model in ARRAYS.items()]
    parts += [_table(name, sections[name], _module_purpose(sections[name])) for name in sorted(sections)]
    return "\n".join(parts)


def _table(name: str, model: type[BaseModel], purpose: str) -> str:
    heading = f"[[{name}]]" if name in ARRAYS else f"[{name}]"
    headings, aliases = ["Key", "Value", "Default", "Meaning"], aliases_of(model)
    if any(alias.key for alias in aliases.values()):
        headings.append("In ntpd, chrony")
    table = markdown_table(headings, (row[: len(headings)] for row in _rows(name, model)))
    return f"## {heading}\n\n{purpose}\n\n{table}{_absent(aliases)}"


def _absent(aliases: Mapping[str, Alias]) -> str:
    """The words of other programs that are refused, and why."""
    advices = dict.fromkeys(alias.advice for alias in aliases.values() if alias.advice)
    words = {advice: [f"`{word}`" for word, alias in aliases.items() if alias.advice == advice] for advice in advices}
    lines = [f"- {', '.join(each)}: {advice}\n" for advice, each in words.items()]
    return "".join(["\nOther words of theirs are refused:\n\n", *lines]) if lines else ""


def _elsewhere(model: type[BaseModel], key: str) -> Iterator[str]:
    """What other programs call a key, and which value of theirs is which of ours."""
    for word, alias in aliases_of(model).items():
        if alias.key == key and alias.example is None:
            yield f"`{word}`"
        elif alias.key == key:
            yield f"`{word} = {alias.example}` for `{toml_value(alias.translate(alias.example))}`"


def markdown_table(heading: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown, where a bar in a cell has to be escaped."""
    lines = [[cell.replace("|", "\\|") for cell in line] for line in (heading, ["---"] * len(heading), *rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _purpose(model: type[BaseModel]) -> str:
    """The docstring without the name of the table, which is in the heading."""
    text = _paragraph(model.__doc__).partition("]: ")[2]
    return text[:1].upper() + text[1:]


def _module_purpose(model: type[BaseModel]) -> str:
    """A driver's module says what device it is for."""
    return _paragraph(getattr(inspect.getmodule(model), "__doc__", None))


def _paragraph(text: str | None) -> str:
    """The first paragraph on one line."""
    return " ".join(inspect.cleandoc(text or "").partition("\n\n")[0].split())


def _rows(table: str, model: type[BaseModel]) -> Iterator[tuple[str, str, str, str, str]]:
    schema, meanings = model.model_json_schema(), field_docstrings(model)
    definitions = schema.get("$defs", {})
    defaults = model.model_construct().model_dump(mode="json", warnings=False)  # without what is required
    for key, field in schema["properties"].items():
        default = toml_value(defaults[key]) if key in defaults else "*required*"
        definition = definitions.get(field.get("$ref", "").rpartition("/")[2], {})
        meaning = [model.model_fields[key].description or meanings.get(key) or definition.get("description", "")]
        if flag := FLAGS.get((table, key)) or FLAGS.get(SHORTCUTS.get((table, key), ("", ""))):
            meaning.append(f"Flag: `{flag}`.")
        shown = default if default in {None, "*required*"} else f"`{default}`"
        told = " ".join(meaning), ", ".join(_elsewhere(model, key))
        yield f"`{key}`", _words(field, definitions), shown or "not set", *told


def _words(field: Schema, definitions: Schema) -> str:
    """What may be written, in words."""
    match field:
        case {"$ref": str(reference)}:
            return _words(definitions[reference.rpartition("/")[2]], definitions)
        case {"anyOf": [*choices]}:
            return " or ".join(_words(each, definitions) for each in choices if each.get("type") != "null")
        case {"enum": [*values]}:
            *others, last = (f"`{toml_scalar(value)}`" for value in values)
            return f"{', '.join(others)} or {last}" if others else last
        case {"type": "array", **array}:
            items = [_words(each, definitions) for each in array.get("prefixItems", ())]
            return f"list of {', '.join(items) or _words(array['items'], definitions) + 's'}"
        case {"type": str(kind)}:
            limits = [f"{_LIMITS[key]} {field[key]:.15g}" for key in _LIMITS if key in field]
            return " ".join([field.get("format", _WORDS[kind]), *limits])
    return "as there"  # a shortcut, which the model of another table checks


def field_docstrings(model: type[BaseModel]) -> dict[str, str]:
    """The text below each field, also of the classes that it inherits from; the model itself does not keep them."""
    found = {}
    for part in reversed(model.__mro__):
        if issubclass(part, BaseModel) and part is not BaseModel:
            (definition,) = ast.parse(dedent(inspect.getsource(part))).body
            for statement, following in pairwise(getattr(definition, "body", ())):
                match statement, following:
                    case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                        found[name] = _paragraph(text)
    return found
