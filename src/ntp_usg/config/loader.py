"""From files and flags to Settings: read all, lay one over the other, check everything, and only then complain."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

from pydantic import BaseModel, ValidationError

from ntp_usg.config.documents import MAX_BYTES, Document, KeyPath, parse_document
from ntp_usg.config.models import ARRAYS, SHORTCUTS, TABLES, Settings, kind, numbered
from ntp_usg.config.problems import COMMAND_LINE, Entry, Models, is_array, table_problems, validation_problems
from ntp_usg.config.sources import ourselves, repeated, too_few
from ntp_usg.config.values import shown
from ntp_usg.core.base.aliases import Alias, aliases_of
from ntp_usg.core.base.errors import ConfigError, ConfigProblem

DEFAULT_PATH = Path("/etc/ntp_usg/server.toml")

Tables = Mapping[str, Mapping[str, Entry]]

_PUT_BACK = "put back what was there, or restart the daemon to do without it"
_DRIVERS_OF_TYPE = {"gps": {"gps"}, "pps": {"pps"}, "gps_pps": {"gps", "pps"}}


def load_settings(
    path: Path,
    *,
    sections: Models,
    overrides: Mapping[str, object] = MappingProxyType({}),
    required: bool = True,
    expected: Collection[str] = (),
) -> Settings:
    """Settings from flags, else from the file at `path`, else from the drivers' files beside it (`gps.conf` ...).

    Beside another path than the default one they may be anybody's: those without the driver's table are passed over,
    unless the configuration asks for that driver.
    `sections` has the model of each driver's table, `overrides` the flags that were given, as dotted keys.
    `path` may be missing where it is not `required`: the default path. The `expected` files, which an earlier load has
    read, may be neither missing nor empty. Raises ConfigError with all problems at once.
    """
    problems: list[ConfigProblem] = []
    models = {**TABLES, **ARRAYS, **sections}
    files = {name: f"{name}.conf or {path.name}" if name in sections else path.name for name in models}
    main, flags = _read(path, models, files, problems, required=required, expected=expected), _command_line(overrides)
    beside = {name: path.parent / f"{name}.conf" for name in sections}
    asked = sections if path == DEFAULT_PATH or not required else _named(main) | _named(flags)
    read = [name for name, file in beside.items() if name in asked or str(file) in expected or _has_table(file, name)]
    documents = [
        *(_read(beside[name], {name: sections[name]}, files, problems, expected=expected) for name in read),
        main,
        flags,
    ]
    complete = not problems  # otherwise what seems missing may stand where we could not read
    *covered, tables = _layers(documents, models, problems)
    for layer in covered:  # what another source covers up is no less wrong
        _check({name: entries for name, entries in layer.items() if entries is not tables[name]}, models, {}, problems)
    in_use = _drivers_in_use(tables, sections)
    sources = [name for name in tables if kind(name) == "source"]
    homes = {name: _home(name, documents) for name in [*sources, *(in_use if complete else ())]}
    final = {name: tables.get(name, {}) for name in {**TABLES, **tables, **dict.fromkeys(in_use)}}
    checked = _check(final, models, homes, problems)
    problems += _about_witnesses(tables, sources, in_use, checked)
    problems += _contested([(name, homes[name], checked[name]) for name in in_use if name in checked and name in homes])
    if problems:
        order = [document.source for document in documents]
        raise ConfigError(
            sorted(dict.fromkeys(problems), key=lambda problem: (order.index(problem.source), problem.line))
        )
    return Settings.model_validate(
        {
            **{name: checked[name] for name in TABLES if name in Settings.model_fields},
            "sources": tuple(checked[name] for name in sources),
            "passed_over": _passed_over({name: file for name, file in beside.items() if name not in read}),
            "drivers": {name: checked[name] for name in in_use},
            "origins": {f"{table}.{key}": entry.origin for table in tables for key, entry in tables[table].items()},
            "files": tuple(each.source for each in documents if each.tables and each.source != COMMAND_LINE),
        }
    )


def _about_witnesses(
    tables: Tables, sources: Sequence[str], in_use: Collection[str], checked: Mapping[str, BaseModel]
) -> list[ConfigProblem]:
    """Servers that are there twice or are this server, and more sources wanted than there are."""
    addresses = [tables[name]["address"] for name in sources if name in checked]
    problems = [*repeated(addresses), *ourselves(addresses, checked.get("server"))]
    if all(name in checked for name in (*sources, *in_use)):
        wanted = tables.get("selection", {}).get("min_sources")
        problems += too_few(checked.get("selection"), wanted, {name: checked[name] for name in (*sources, *in_use)})
    return problems


def _passed_over(files: Mapping[str, Path]) -> tuple[str, ...]:
    """What to tell of files beside ours that are somebody else's."""
    return tuple(
        f"{file} is not read: there is no table [{name}] in it" for name, file in files.items() if file.is_file()
    )


def _read(
    path: Path,
    accepted: Models,
    files: Mapping[str, str],
    problems: list[ConfigProblem],
    *,
    required: bool = False,
    expected: Collection[str] = (),
) -> Document:
    """One file's accepted tables; what is wrong with it as a whole joins `problems`."""
    source = str(path)
    try:
        with path.open("rb") as file:
            document = parse_document(source, file.read(MAX_BYTES + 1))
    except OSError as error:
        if not isinstance(error, FileNotFoundError) or required or source in expected:
            advice = f": {_PUT_BACK}" if source in expected else ""
            problems.append(ConfigProblem(source, 0, f"cannot be read: {error.strerror}{advice}"))
    except ConfigError as error:
        problems += error.problems
    else:
        if source in expected and not document.tables:
            problems.append(ConfigProblem(source, 0, f"is empty now: {_PUT_BACK}"))
        problems += table_problems(document, accepted, files)
        return _flattened(document, accepted)
    return Document(source, {})


def _named(document: Document) -> set[str]:
    """The drivers that a document has a table for, or asks for in [refclock]."""
    refclock = document.tables.get("refclock", {})
    asked = {home for (table, key), (home, _) in SHORTCUTS.items() if table == "refclock" and key in refclock}
    return {kind(name) for name in document.tables} | asked | _DRIVERS_OF_TYPE.get(str(refclock.get("type")), set())


def _has_table(file: Path, name: str) -> bool:
    try:
        with file.open("rb") as stream:
            return name in parse_document(str(file), stream.read(MAX_BYTES + 1)).tables
    except (OSError, ConfigError):
        return False


def _flattened(document: Document, accepted: Models) -> Document:
    """The accepted tables alone; each of several is a table with a name of its own: `source.1`, `source.2` ..."""
    tables: dict[str, Mapping[str, object]] = {}
    for name in accepted.keys() & document.tables.keys():
        content = document.tables[name]
        if is_array(name, content):
            tables |= {numbered(name, index): table for index, table in enumerate(content)}
        elif isinstance(content, dict) and name not in ARRAYS:
            tables[name] = content
    return Document(document.source, tables, {_flat(path): line for path, line in document.lines.items()})


def _flat(path: KeyPath) -> KeyPath:
    match path:
        case (str(name), int(index), *inside) if name not in TABLES:
            return (numbered(name, index), *inside)
    return path


def _command_line(overrides: Mapping[str, object]) -> Document:
    tables: dict[str, dict[str, object]] = {}
    for dotted, value in overrides.items():
        table, key = dotted.split(".")
        tables.setdefault(table, {})[key] = value
    return Document(COMMAND_LINE, tables)


def _contested(drivers: Sequence[tuple[str, Entry, BaseModel]]) -> Iterator[ConfigProblem]:
    """Two reference clocks of one name, or on one device."""
    units: dict[tuple[str, int], str] = {}
    devices: dict[str, str] = {}
    for name, home, options in drivers:
        unit, device = getattr(options, "unit", None), getattr(options, "occupies", None)
        if unit is not None and units.setdefault((kind(name), unit), name) != name:
            yield home.problem(f"[[{kind(name)}]]: unit {unit} is there twice")
        elif device is not None and (other := devices.setdefault(device, name)) != name:
            yield home.problem(f"`{name}`: {shown(device)} is used by `{other}` already")


def _layers(documents: Sequence[Document], models: Models, problems: list[ConfigProblem]) -> Iterator[Tables]:
    """What holds after each source: later ones win key by key, and a shortcut over the key that it stands for."""
    tables: Tables = {}
    for document in documents:
        for name, table in document.tables.items():
            written = [Entry(value, document, (name, key)) for key, value in table.items()]
            entries = _translated(written, aliases_of(models[kind(name)]), problems)
            tables = {**tables, name: {**tables.get(name, {}), **entries}}
        yield tables
        for (short_table, short_key), (name, key) in SHORTCUTS.items():
            remaining = dict(tables.get(short_table, {}))
            if entry := remaining.pop(short_key, None):
                tables = {**tables, short_table: remaining, name: {**tables.get(name, {}), key: entry}}
        yield tables


def _translated(
    written: Sequence[Entry], aliases: Mapping[str, Alias], problems: list[ConfigProblem]
) -> dict[str, Entry]:
    """The entries of a table by the names and with the values that its model has for them."""
    entries: dict[str, Entry] = {}
    for entry in written:
        _, word = entry.path
        alias = aliases.get(word, Alias(word))
        try:
            meant = replace(entry, value=alias.translate(entry.value))
        except ValueError as error:
            problems.append(entry.problem(f"`{entry.name}`: {error}"))
            continue
        if alias.advice:
            problems.append(entry.problem(f"`{entry.name}`: {alias.advice}"))
            continue
        if other := entries.get(alias.key):
            text = f"`{other.path[-1]}` and `{word}` mean the same: give one"
            problems.append(entry.problem(f"`{entry.name}`: {text}"))
        entries[alias.key] = meant
    return entries


def _check(
    tables: Tables, models: Models, homes: Mapping[str, Entry], problems: list[ConfigProblem]
) -> dict[str, BaseModel]:
    """The tables that are right, as their models; what is wrong with the others joins `problems`."""
    checked = {}
    for name, entries in tables.items():
        try:
            values = {key: entry.value for key, entry in entries.items()}
            checked[name] = models[kind(name)].model_validate({**_position(name, models), **values})
        except ValidationError as error:
            problems += validation_problems(name, error, entries, homes.get(name), models)
    return checked


def _position(name: str, models: Models) -> dict[str, int]:
    """Of several reference clocks of one kind each has the unit of its place, where it does not say another."""
    _, _, number = name.partition(".")
    return {"unit": int(number)} if number and "unit" in models[kind(name)].model_fields else {}


def _drivers_in_use(tables: Tables, sections: Models) -> list[str]:
    """All that are configured, but of receiver and pulse only those of `refclock.type`; a flag means using it."""
    chosen = tables.get("refclock", {}).get("type")
    wanted = {kind(name) for name in tables}
    if chosen:
        wanted = wanted - _DRIVERS_OF_TYPE["gps_pps"] | _DRIVERS_OF_TYPE.get(str(chosen.value), set())
    flagged = {name for name, entries in tables.items() if any(entry.from_command_line for entry in entries.values())}
    chosen_kinds = [name for name in sections if name in wanted | flagged]
    return [table for name in chosen_kinds for table in [each for each in tables if kind(each) == name] or [name]]


def _home(name: str, documents: Sequence[Document]) -> Entry:
    """Whom to blame for what is missing from a table: the table itself, else the [refclock] that asks for it."""
    for document in reversed(documents):
        if name in document.tables:
            return Entry(None, document, (name,))
    asking = next(document for document in documents if "refclock" in document.tables)
    return Entry(None, asking, ("refclock", "type"))
