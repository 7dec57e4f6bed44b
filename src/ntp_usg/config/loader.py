"""From files and flags to Settings: read all, lay one over the other, check everything, and only then complain."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from pydantic import BaseModel, ValidationError

from ntp_usg.config.documents import MAX_BYTES, Document, KeyPath, parse_document
from ntp_usg.config.models import ARRAYS, SHORTCUTS, SPELLINGS, TABLES, Settings
from ntp_usg.config.problems import COMMAND_LINE, Entry, Models, is_array, kind, table_problems, validation_problems
from ntp_usg.config.values import server_address, shown
from ntp_usg.core.base.errors import ConfigError, ConfigProblem

DEFAULT_PATH = Path("/etc/ntp_usg/server.toml")

Tables = Mapping[str, Mapping[str, Entry]]

_DRIVERS_OF_TYPE = {"gps": {"gps"}, "pps": {"pps"}, "gps_pps": {"gps", "pps"}}


def load_settings(
    path: Path,
    *,
    sections: Models,
    overrides: Mapping[str, object] = MappingProxyType({}),
    required: bool = True,
) -> Settings:
    """Settings from flags, else from the file at `path`, else from the drivers' files beside it (`gps.conf` ...).

    `sections` has the model of each driver's table, `overrides` the flags that were given, as dotted keys.
    `path` may be missing where it is not `required`: the default path. Raises ConfigError with all problems at once.
    """
    problems: list[ConfigProblem] = []
    models = {**TABLES, **ARRAYS, **sections}
    files = {name: f"{name}.conf or {path.name}" if name in sections else path.name for name in models}
    documents = [
        *(_read(path.parent / f"{name}.conf", {name: model}, files, problems) for name, model in sections.items()),
        _read(path, models, files, problems, required=required),
        _command_line(overrides),
    ]
    complete = not problems  # otherwise what seems missing may stand where we could not read
    *covered, tables = _layers(documents)
    for layer in covered:  # what another source covers up is no less wrong
        _check({name: entries for name, entries in layer.items() if entries is not tables[name]}, models, {}, problems)
    in_use = _drivers_in_use(tables, sections)
    sources = [name for name in tables if kind(name) == "source"]
    homes = {name: _home(name, documents) for name in [*sources, *(in_use if complete else ())]}
    final = {name: tables.get(name, {}) for name in {**TABLES, **tables, **dict.fromkeys(in_use)}}
    checked = _check(final, models, homes, problems)
    problems += _repeated([tables[name]["address"] for name in sources if name in checked])
    if problems:
        order = [document.source for document in documents]
        raise ConfigError(
            sorted(dict.fromkeys(problems), key=lambda problem: (order.index(problem.source), problem.line))
        )
    return Settings.model_validate(
        {
            **{name: checked[name] for name in TABLES if name in Settings.model_fields},
            "sources": tuple(checked[name] for name in sources),
            "drivers": {name: checked[name] for name in in_use},
            "origins": {f"{table}.{key}": entry.origin for table in tables for key, entry in tables[table].items()},
        }
    )


def _read(
    path: Path, accepted: Models, files: Mapping[str, str], problems: list[ConfigProblem], *, required: bool = False
) -> Document:
    """One file's accepted tables; what is wrong with it as a whole joins `problems`."""
    source = str(path)
    try:
        with path.open("rb") as file:
            document = parse_document(source, file.read(MAX_BYTES + 1))
    except OSError as error:
        if required or not isinstance(error, FileNotFoundError):
            problems.append(ConfigProblem(source, 0, f"cannot be read: {error.strerror}"))
    except ConfigError as error:
        problems += error.problems
    else:
        problems += table_problems(document, accepted, files)
        return _flattened(document, accepted)
    return Document(source, {})


def _flattened(document: Document, accepted: Models) -> Document:
    """The accepted tables alone; each of an array is a table with a name of its own: `source.1`, `source.2` ..."""
    tables: dict[str, Mapping[str, object]] = {}
    for name in accepted.keys() & document.tables.keys():
        content = document.tables[name]
        if is_array(name, content):
            tables |= {f"{name}.{number}": table for number, table in enumerate(content, 1)}
        elif isinstance(content, dict) and name not in ARRAYS:
            tables[name] = content
    return Document(document.source, tables, {_flat(path): line for path, line in document.lines.items()})


def _flat(path: KeyPath) -> KeyPath:
    match path:
        case (str(name), int(index), *inside) if name in ARRAYS:
            return (f"{name}.{index + 1}", *inside)
    return path


def _repeated(addresses: Sequence[Entry]) -> Iterator[ConfigProblem]:
    """Whatever is said twice would count for two when sources outvote each other."""
    seen = set()
    for entry in addresses:
        if (address := server_address(str(entry.value))) in seen:
            yield entry.problem(f"`{entry.name}`: {shown(address)} is there twice")
        seen.add(address)


def _command_line(overrides: Mapping[str, object]) -> Document:
    tables: dict[str, dict[str, object]] = {}
    for dotted, value in overrides.items():
        table, key = dotted.split(".")
        tables.setdefault(table, {})[key] = value
    return Document(COMMAND_LINE, tables)


def _layers(documents: Sequence[Document]) -> Iterator[Tables]:
    """What holds after each source: later ones win key by key, and a shortcut over the key that it stands for."""
    tables: Tables = {}
    for document in documents:
        for name, table in document.tables.items():
            entries = {_canonical(key, table): Entry(value, document, (name, key)) for key, value in table.items()}
            tables = {**tables, name: {**tables.get(name, {}), **entries}}
        yield tables
        for (short_table, short_key), (name, key) in SHORTCUTS.items():
            remaining = dict(tables.get(short_table, {}))
            if entry := remaining.pop(short_key, None):
                tables = {**tables, short_table: remaining, name: {**tables.get(name, {}), key: entry}}
        yield tables


def _canonical(key: str, table: Mapping[str, object]) -> str:
    """A key as its model calls it; in a table that has both spellings the other one stays, and is unknown."""
    canonical = SPELLINGS.get(key, key)
    return key if canonical in table else canonical


def _check(
    tables: Tables, models: Models, homes: Mapping[str, Entry], problems: list[ConfigProblem]
) -> dict[str, BaseModel]:
    """The tables that are right, as their models; what is wrong with the others joins `problems`."""
    checked = {}
    for name, entries in tables.items():
        try:
            checked[name] = models[kind(name)].model_validate({key: entry.value for key, entry in entries.items()})
        except ValidationError as error:
            problems += validation_problems(name, error, entries, homes.get(name), models)
    return checked


def _drivers_in_use(tables: Tables, sections: Models) -> list[str]:
    """All that are configured, but of receiver and pulse only those of `refclock.type`; a flag means using it."""
    chosen = tables.get("refclock", {}).get("type")
    wanted = set(tables)
    if chosen:
        wanted = wanted - _DRIVERS_OF_TYPE["gps_pps"] | _DRIVERS_OF_TYPE.get(str(chosen.value), set())
    flagged = {name for name, entries in tables.items() if any(entry.from_command_line for entry in entries.values())}
    return [name for name in sections if name in wanted | flagged]


def _home(name: str, documents: Sequence[Document]) -> Entry:
    """Whom to blame for what is missing from a table: the table itself, else the [refclock] that asks for it."""
    for document in reversed(documents):
        if name in document.tables:
            return Entry(None, document, (name,))
    asking = next(document for document in documents if "refclock" in document.tables)
    return Entry(None, asking, ("refclock", "type"))
