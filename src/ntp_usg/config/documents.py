"""A TOML file with the line of every key: tomllib gives values without places, and a problem needs both."""

import re
import tomllib
from codecs import BOM_UTF8
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ntp_usg.config.foreign import foreign_format, missing_quotes
from ntp_usg.core.base.errors import ConfigError, ConfigProblem

KeyPath = tuple[str | int, ...]
"""Where a value stands in a document: table names, keys, and indices of arrays."""

MAX_BYTES = 1 << 20
MAX_DEPTH = 32
"""More than any configuration needs; both bound the work that a file can cause, tomllib's included."""

# A string that is never closed reaches to the end: it is wrong anyway, and looking for its end once must be enough.
_MULTILINE_STRING = r'"""(?:\\.|[^\\])*?(?:"{3,5}|\\?\Z)|' + r"'''.*?(?:'{3,5}|\Z)"
_LITERAL_STRING = r"'[^'\n]*'"
_COMMENT = r"#[^\n]*"

_TRAILING_NULS = re.compile(
    rf'{_COMMENT}|{_MULTILINE_STRING}|{_LITERAL_STRING}|"(?P<text>(?:\\[^\n]|[^"\\\n])*?)(?:\\0){{0,3}}"|"[^\n]*',
    re.DOTALL,
)
_DEEP_KEY = re.compile(rf"""(?<![\w-])(?:(?:[\w-]++|"[^"\n]*+"|'[^'\n]*+')[ \t]*+\.[ \t]*+){{{MAX_DEPTH}}}""")
_TOKENS = re.compile(
    rf'[ \t]+|{_COMMENT}|{_MULTILINE_STRING}|{_LITERAL_STRING}|"(?:\\.|[^"\\])*"'
    r"""|\n|[\[\]{}=,.]|[^\s\[\]{}=,."'#]+""",
    re.DOTALL,
)
_PLACE = re.compile(r" \(at (?:line (?P<line>\d+), column \d+|end of document)\)$")
_TWICE = re.compile(r"^Cannot declare \((?P<keys>.+)\) twice$")


@dataclass(frozen=True, slots=True)
class Document:
    """One parsed source of settings; the command line is one without lines."""

    source: str
    tables: Mapping[str, Any]
    lines: Mapping[KeyPath, int] = field(default_factory=dict)

    def line(self, path: KeyPath) -> int:
        """The line of a value, else that of the nearest thing around it, else 0."""
        return next((self.lines[path[:end]] for end in range(len(path), 0, -1) if path[:end] in self.lines), 0)


def parse_document(source: str, data: bytes) -> Document:
    r"""Parse TOML 1.0 in UTF-8; `"GPS\0"`, as the deployment guide spells it, is accepted and means "GPS".

    Raises ConfigError with the line of the fault.
    """
    if len(data) > MAX_BYTES:
        raise _fault(source, 0, f"the file is larger than {MAX_BYTES} bytes: is this the right file?")
    try:
        text = _readable(data)
        return Document(source, tomllib.loads(text), key_lines(text))
    except UnicodeDecodeError as error:
        raise _fault(source, data.count(b"\n", 0, error.start) + 1, "the file is not UTF-8 text") from error
    except RecursionError as error:
        raise _fault(source, 0, "arrays or tables are nested too deeply") from error
    except ValueError as error:  # TOMLDecodeError, and the plain one of an integer with thousands of digits
        place = _PLACE.search(str(error))
        line = int(place["line"] or text.rstrip("\n").count("\n") + 1) if place else 0
        said = _TWICE.sub(_join, _PLACE.sub("", str(error)))
        what = foreign_format(text) or f"not valid TOML: {said}{missing_quotes(text, line)}"
        raise _fault(source, line, what) from error


def _join(twice: re.Match[str]) -> str:
    table = ".".join(re.findall(r"'([^']*)'", twice["keys"]))
    return f"the table [{table}] is there twice: join the two"


def _fault(source: str, line: int, message: str) -> ConfigError:
    return ConfigError([ConfigProblem(source, line, message)])


def _readable(data: bytes) -> str:
    r"""The text for tomllib: without the `\0`, no TOML escape, with which the guide ends basic strings."""
    text = data.removeprefix(BOM_UTF8).decode().replace("\r\n", "\n")
    if _DEEP_KEY.search(text):
        raise RecursionError
    return _TRAILING_NULS.sub(lambda token: token[0] if token["text"] is None else f'"{token["text"]}"', text)


def key_lines(text: str) -> dict[KeyPath, int]:
    """The line, from 1, of every table, key and array element of a text that tomllib accepts."""
    return _LineScanner(text).scan()


class _LineScanner:
    """Walks the tokens of a text already known to be valid, so it only has to follow the structure."""

    def __init__(self, text: str) -> None:
        self._tokens = [*_numbered_tokens(text), ("", 0)]
        self._at = 0
        self._lines: dict[KeyPath, int] = {}
        self._array_sizes: dict[KeyPath, int] = {}

    def scan(self) -> dict[KeyPath, int]:
        table: KeyPath = ()
        while self._peek():
            if self._take("["):
                table = self._header()
            elif not self._take("\n"):
                self._pair(table)
        return self._lines

    def _peek(self) -> str:
        return self._tokens[self._at][0]

    def _line(self) -> int:
        return self._tokens[self._at][1]

    def _next(self) -> str:
        self._at += 1
        return self._tokens[self._at - 1][0]

    def _take(self, token: str) -> bool:
        found = self._peek() == token
        self._at += found
        return found

    def _keys(self) -> list[str]:
        keys = [_key(self._next())]
        while self._take("."):
            keys.append(_key(self._next()))
        return keys

    def _header(self) -> KeyPath:
        line, in_array = self._line(), self._take("[")
        *parents, last = self._keys()
        path: KeyPath = ()
        for key in parents:
            path = (*path, key)
            self._lines.setdefault(path, line)
            if path in self._array_sizes:  # a header below an array of tables means its latest element
                path = (*path, self._array_sizes[path] - 1)
        path = (*path, last)
        if in_array:
            index = self._array_sizes.get(path, 0)
            self._array_sizes[path] = index + 1
            self._lines.setdefault(path, line)
            path = (*path, index)
        self._lines[path] = line
        while self._take("]"):
            pass
        return path

    def _pair(self, table: KeyPath) -> None:
        line = self._line()
        path = table
        for key in self._keys():
            path = (*path, key)
            self._lines.setdefault(path, line)
        self._take("=")
        self._value(path)

    def _value(self, path: KeyPath) -> None:
        if len(path) > MAX_DEPTH:
            raise RecursionError
        if self._take("["):
            self._array(path)
        elif self._take("{"):
            while self._peek() and not self._take("}"):
                if not (self._take(",") or self._take("\n")):
                    self._pair(path)
        else:
            while self._peek() not in {"", "\n", ",", "]", "}"}:
                self._at += 1

    def _array(self, path: KeyPath) -> None:
        index = 0
        while self._peek() and not self._take("]"):
            if not (self._take(",") or self._take("\n")):
                self._lines[*path, index] = self._line()
                self._value((*path, index))
                index += 1


def _numbered_tokens(text: str) -> Iterator[tuple[str, int]]:
    line = 1
    for match in _TOKENS.finditer(text):
        token = match[0]
        if token[0] not in " \t#":
            yield token, line
        line += token.count("\n")


def _key(token: str) -> str:
    """A key without its quotes and escapes."""
    if token[0] not in "\"'":
        return token
    (key,) = tomllib.loads(f"{token}=0")
    return key
