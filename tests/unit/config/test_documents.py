import pytest

from ntp_usg.config.documents import MAX_BYTES, Document, key_lines, parse_document
from ntp_usg.core.base.errors import ConfigError

EVERY_KIND_OF_LINE = r'''title = "a # b"            # 1
owner.name = 'x = y'       # 2
"quoted key".'a.b' = 1     # 3

ports = [ # with a comment ]
  1,
  [2,
   3], "]",
  { deep = 4, far.off = [5] },
]
text = """
[not.a.table]
a = 1 \
""""
raw = QQQ
x = 1
QQQ
date = 1979-05-27 07:32:00
half = 0.5

[table]
key = true
  [table.inner]
  key = 1

[[fruit]]
name = 'apple'
[fruit.colour]
red = 1
[[fruit.kind]]
name = 1
[[fruit]]
[[fruit.kind]]
[[fruit.kind]]
"name" = 2
'''.replace("QQQ", "'''")


def test_every_table_key_and_element_has_its_line():
    assert key_lines(EVERY_KIND_OF_LINE) == {
        ("title",): 1,
        ("owner",): 2,
        ("owner", "name"): 2,
        ("quoted key",): 3,
        ("quoted key", "a.b"): 3,
        ("ports",): 5,
        ("ports", 0): 6,
        ("ports", 1): 7,
        ("ports", 1, 0): 7,
        ("ports", 1, 1): 8,
        ("ports", 2): 8,
        ("ports", 3): 9,
        ("ports", 3, "deep"): 9,
        ("ports", 3, "far"): 9,
        ("ports", 3, "far", "off"): 9,
        ("ports", 3, "far", "off", 0): 9,
        ("text",): 11,
        ("raw",): 15,
        ("date",): 18,
        ("half",): 19,
        ("table",): 21,
        ("table", "key"): 22,
        ("table", "inner"): 23,
        ("table", "inner", "key"): 24,
        ("fruit",): 26,
        ("fruit", 0): 26,
        ("fruit", 0, "name"): 27,
        ("fruit", 0, "colour"): 28,
        ("fruit", 0, "colour", "red"): 29,
        ("fruit", 0, "kind"): 30,
        ("fruit", 0, "kind", 0): 30,
        ("fruit", 0, "kind", 0, "name"): 31,
        ("fruit", 1): 32,
        ("fruit", 1, "kind"): 33,
        ("fruit", 1, "kind", 0): 33,
        ("fruit", 1, "kind", 1): 34,
        ("fruit", 1, "kind", 1, "name"): 35,
    }


def test_a_header_moves_a_table_that_was_only_implied_to_its_own_line():
    assert key_lines("[a.b]\n[a]\n") == {("a", "b"): 1, ("a",): 2}


def test_windows_line_ends_count_once():
    assert parse_document("x", b"a = 1\r\nb = 2\r\n").lines == {("a",): 1, ("b",): 2}


def test_the_nearest_line_stands_for_what_has_none():
    document = Document("x", {}, {("a",): 1, ("a", "b"): 2})
    assert [document.line(path) for path in [("a", "b", 7), ("a", "c"), ("d",)]] == [2, 1, 0]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (r'v = "GPS\0"', "GPS"),
        (r'v = "PP\0\0"', "PP"),
        (r'v = "\0\0\0"', ""),
        (r'v = "GPS\u0000"', "GPS\0"),
        (r'v = "C:\\0"', r"C:\0"),
        (r"v = 'GPS\0'", r"GPS\0"),
        (r'''v = "\"#\0" # a "comment\0"''', '"#'),
        (r"""v = '''"GPS\0"'''""", r'"GPS\0"'),
        ('v = """x""""  # "\\0"', 'x"'),
    ],
)
def test_the_guides_nul_is_dropped_from_the_end_of_basic_strings_and_nothing_else_is_touched(text: str, value: str):
    assert parse_document("x", text.encode()).tables["v"] == value


@pytest.mark.parametrize(
    ("data", "line", "message"),
    [
        (b"a = 1\nb = \n", 2, "not valid TOML: Invalid value"),
        (b"a = 1\na = 2\n", 2, "not valid TOML: Cannot overwrite a value"),
        (b"a = 1\n[b]\nc = [1,\n", 3, "not valid TOML: Invalid value"),
        (b'a = 1\nb = "G\\0S"\n', 2, "not valid TOML: Unescaped '\\' in a string"),
        (b'a = "\\0\\0\\0\\0"\n', 1, "not valid TOML: Unescaped '\\' in a string"),
        (b'a = """\n\\0"""\n', 2, "not valid TOML: Unescaped '\\' in a string"),
        (b"a = 1\n# caf\xe9\n", 2, "the file is not UTF-8 text"),
    ],
)
def test_a_fault_is_reported_at_its_line(data: bytes, line: int, message: str):
    with pytest.raises(ConfigError) as caught:
        parse_document("x.toml", data)
    (problem,) = caught.value.problems
    assert (problem.source, problem.line, problem.message) == ("x.toml", line, message)


@pytest.mark.parametrize(
    "data",
    [
        b"a = " + b"[" * 100_000,
        b"a = " + b"9" * 10_000,
        b"#" * (MAX_BYTES + 1),
        b"a." * 500_000 + b"b = 1",
        b'["a"' + b" . 'a'" * 100_000 + b"]",
        b"a = " + b"[" * 33 + b"1," * 400_000 + b"]" * 33,
        b'a = """' + b'\n\\"""' * 200_000,
        b"a = " + b'\\"' * 500_000,
    ],
    ids=["open", "long number", "large", "dotted key", "dotted header", "deep list", "open text", "open string"],
)
def test_a_monstrous_file_is_a_fault_like_any_other(data: bytes):
    with pytest.raises(ConfigError):
        parse_document("x", data)


def test_a_byte_order_mark_is_no_part_of_the_text():
    assert parse_document("x", b"\xef\xbb\xbf[server]\nstratum = 2\n").tables == {"server": {"stratum": 2}}


@pytest.mark.parametrize(
    "text",
    [
        "driftfile /var/lib/ntp/ntp.drift\nserver ntp1.example.net iburst\n",
        "# chrony\npool ntp1.example.net iburst maxsources 4\nmakestep 1.0 3\nrtcsync\n",
        "  server ntp1.example.net\n",
    ],
)
def test_the_file_of_another_time_daemon_is_recognised(text: str):
    with pytest.raises(ConfigError) as caught:
        parse_document("ntp.conf", text.encode())
    assert "looks like an ntp.conf or chrony.conf" in str(caught.value)
    assert '[[source]] and a line address = "ntp1.example.net"' in str(caught.value)


@pytest.mark.parametrize(
    ("line", "hint"),
    [
        ("device = /dev/ttyAMA0", 'texts need quotes: device = "/dev/ttyAMA0"'),
        ("address = ntp.example.net # ours", 'texts need quotes: address = "ntp.example.net"'),
    ],
)
def test_a_text_without_quotes_is_shown_with_them(line: str, hint: str):
    with pytest.raises(ConfigError) as caught:
        parse_document("server.toml", f"[gps]\n{line}\n".encode())
    assert str(caught.value).startswith("server.toml:2: not valid TOML")
    assert hint in str(caught.value)
