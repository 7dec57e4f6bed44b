import re
import tempfile
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from ntp_usg.config.documents import KeyPath, key_lines
from ntp_usg.config.explain import difference, explain_settings
from ntp_usg.config.loader import load_settings
from ntp_usg.config.models import FLAGS, SHORTCUTS, TABLES, Settings, SourceSettings
from ntp_usg.config.problems import Models
from ntp_usg.core.base.aliases import aliases_of
from ntp_usg.core.base.errors import ConfigError
from ntp_usg.refclocks.nmea import NmeaOptions
from ntp_usg.refclocks.pps import PpsOptions

SECTIONS: Models = {"gps": NmeaOptions, "pps": PpsOptions}

# Scalars are numbers from 1000 up, each used once, so that a value tells the line it stands on.
MARKER = re.compile(r"\b1[0-9]{3}\b")

keys = st.sampled_from(["a", "b", "c-d", '"c d"', "'e.f'", r'"\u0041"', '"#"', '"]"'])
dotted = st.lists(keys, min_size=1, max_size=3).map(" . ".join)
gaps = st.sampled_from(["", " ", "\t"])
breaks = st.sampled_from(["", " ", "\n", " # ] } '\n", "\n\n"])
scalars = st.sampled_from(["N", "+N", "N ", "\tN # [x]"])
strings = st.sampled_from(
    ['"]"', "'}'", '"""\n[a]\n""""', "'''\n\\'''''", '"\\"#"', "1979-05-27 07:32:00", "0.5", "true"]
)


@st.composite
def arrays(draw: st.DrawFn, items: st.SearchStrategy[str]) -> str:
    elements = draw(st.lists(items, max_size=3))
    return "[" + ",".join(f"{draw(breaks)}{item}{draw(breaks)}" for item in elements) + draw(breaks) + "]"


@st.composite
def inline_tables(draw: st.DrawFn, items: st.SearchStrategy[str]) -> str:
    names = draw(st.lists(keys, max_size=3, unique=True))
    return "{" + ", ".join(f"{name}{draw(gaps)}={draw(gaps)}{draw(items)}" for name in names) + "}"


values = st.recursive(
    st.sampled_from(["N", "+N"]) | strings, lambda items: arrays(items) | inline_tables(items), max_leaves=6
)
statements = st.one_of(
    st.builds("{}[{}]{}\n".format, gaps, dotted, gaps),
    st.builds("{}[[{}]]\n".format, gaps, dotted),
    st.builds("{}={}{}\n".format, dotted, gaps, values),
    st.builds("{} = {}\n".format, keys, scalars),
    st.sampled_from(["\n", "# [x] = 'y\n", " \t\n"]),
)


def accepted(text: str) -> bool:
    try:
        tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return False
    return True


@st.composite
def documents(draw: st.DrawFn) -> str:
    """TOML that tomllib accepts: statements that contradict those before them are left out."""
    text, marker = "", 1000
    for statement in draw(st.lists(statements, max_size=12)):
        for _ in range(statement.count("N")):
            statement = statement.replace("N", str(marker), 1)  # noqa: PLW2901 - one marker after the other
            marker += 1
        text += statement if accepted(text + statement) else ""
    return text


def paths(value: Any, path: KeyPath = ()) -> Iterator[tuple[KeyPath, Any]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield (*path, key), inner
        yield from paths(inner, (*path, key))


@given(documents())
def test_the_scanner_finds_what_tomllib_finds_and_on_the_right_line(text: str):
    lines = key_lines(text)
    found = dict(paths(tomllib.loads(text)))
    assert lines.keys() == found.keys()
    line_of_marker = {
        int(marker): number for number, line in enumerate(text.split("\n"), 1) for marker in MARKER.findall(line)
    }
    for path, value in found.items():
        if type(value) is int:
            assert lines[path] == line_of_marker[value]


dotted_keys = st.sampled_from(
    [f"{table}.{key}" for table, model in {**TABLES, **SECTIONS}.items() for key in model.model_fields]
    + list(SourceSettings.model_fields)
    + [f"{table}.{word}" for table, model in SECTIONS.items() for word in aliases_of(model)]
    + [*NmeaOptions.model_fields, "time2", "flag2", "server.nonsense", "nonsense.key", "server"]
)
plain = st.sampled_from(["1", "0", "-1", "1.5", "nan", "1e400", "0x" + "f" * 400, "9" * 5000, "true", "1979-05-27"])
texts = st.sampled_from(['""', '"gps"', '"gps_pps"', '"10ms"', '"::1"', '"a', r'"x\0"', r'"\u0000\u007F\u202e"'])
compound = st.sampled_from(["[]", "[[]]", '["::1"]', '["10.0.0.1/8", 1]', "{}", "{a = {}}", "["])
lines_of_files = st.lists(
    st.builds("{} = {}".format, dotted_keys, plain | texts | compound)
    | st.sampled_from(
        ["[server]", "[gps]", "[[gps]]", "[[pps]]", "[refclock]", "[[source]]", "[source]", "\ufeff", "\x00"]
    ),
    max_size=6,
).map("\n".join)
files = (
    lines_of_files.map(str.encode)
    | st.binary(max_size=60)
    | st.text(max_size=60).map(lambda text: text.encode("utf-8", "replace"))
)
flags = st.dictionaries(
    st.sampled_from([".".join(path) for path in FLAGS]),
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.lists(st.text(max_size=20), max_size=3),
    max_size=3,
)


@given(server=files, gps=files, pps=files, flags=flags)
def test_any_files_and_flags_give_settings_or_problems(server: bytes, gps: bytes, pps: bytes, flags: dict[str, Any]):
    with tempfile.TemporaryDirectory() as directory:
        for name, data in {"server.toml": server, "gps.conf": gps, "pps.conf": pps}.items():
            (Path(directory) / name).write_bytes(data)
        try:
            settings = load_settings(Path(directory) / "server.toml", sections=SECTIONS, overrides=flags)
        except ConfigError as error:
            found, settings = error.problems, Settings()
        else:
            found = []
    assert all(len(problem.message) < 1000 and problem.message.isprintable() for problem in found)
    assert difference(settings, settings) == []
    assert all(str(line).isprintable() for line in explain_settings(settings))


def test_shortcuts_and_flags_stand_for_keys_that_exist():
    models = {**TABLES, **SECTIONS}
    for table, key in [*FLAGS, *SHORTCUTS.values(), *SHORTCUTS]:
        assert key in models[table].model_fields
