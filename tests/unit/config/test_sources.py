"""Sources that cannot be witnesses of the time are errors of the configuration."""

import pytest

from ntp_usg.config.loader import load_settings
from ntp_usg.core.base.errors import ConfigError
from ntp_usg.refclocks.local import LocalOptions
from ntp_usg.refclocks.shm import ShmOptions


def load(tmp_path, text: str):
    path = tmp_path / "server.toml"
    path.write_text(text)
    return load_settings(path, sections={"shm": ShmOptions, "local": LocalOptions}, required=True)


def complaint(tmp_path, text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, text)
    [problem] = caught.value.problems
    return f"{problem.line}: {problem.message}"


def source(address: str, more: str = "") -> str:
    return f'[[source]]\naddress = "{address}"\n{more}'


@pytest.mark.parametrize(
    "address",
    ["0.0.0.0", "0.1.2.3", "::", "255.255.255.255", "224.0.1.1", "ff05::101", "240.0.0.1", "::ffff:224.0.1.1"],
)
def test_an_address_that_no_server_can_have_is_an_error(tmp_path, address):
    assert "2: `source.1.address`: no server can have the address" in complaint(tmp_path, source(address))


@pytest.mark.fault(
    group="Files and settings",
    kind="A [[source]] is the address on which the server itself answers.",
    noticed="`--check` and the start name the line: the server cannot confirm its own time.",
    served="Nothing: the daemon does not start with such a configuration.",
)
@pytest.mark.parametrize(
    ("listen", "address"),
    [
        ("192.0.2.7:123", "192.0.2.7"),
        ("192.0.2.7:1123", "192.0.2.7:1123"),
        ("192.0.2.7:123", "::ffff:192.0.2.7"),
        ("[2001:db8::7]:123", "2001:db8:0::7"),
        ("0.0.0.0:123", "127.0.0.1"),
        ("[::]:123", "::1"),
        ("0.0.0.0:123", "localhost"),
        ("127.0.0.1:123", "localhost"),
    ],
)
def test_our_own_address_is_an_error(tmp_path, listen, address):
    text = f'[server]\nlisten_addr = "{listen}"\n{source(address)}'
    assert "4: `source.1.address`: " in (found := complaint(tmp_path, text))
    assert "is this server itself (server.listen_addr)" in found


@pytest.mark.parametrize(
    ("listen", "address"),
    [
        ("192.0.2.7:123", "192.0.2.8"),
        ("192.0.2.7:123", "192.0.2.7:1123"),
        ("127.0.0.1:123", "127.0.0.2"),
        ("0.0.0.0:123", "::1"),
        ("eth0:123", "192.0.2.7"),
        ("0.0.0.0:123", "192.0.2.7"),
        ("192.0.2.7:123", "localhost"),
    ],
)
def test_any_other_address_may_be_asked(tmp_path, listen, address):
    assert load(tmp_path, f'[server]\nlisten_addr = "{listen}"\n{source(address)}').sources


def test_one_address_in_two_spellings_is_there_twice(tmp_path):
    assert "is there twice" in complaint(tmp_path, source("192.0.2.1") + source("::ffff:192.0.2.1"))


@pytest.mark.parametrize(
    "sources",
    [
        "",
        source("a.example"),
        source("a.example") + source("b.example", "noselect = true\n"),
        source("a.example") + "[shm]\nnoselect = true\n",
    ],
)
def test_more_sources_than_may_be_followed_cannot_be_asked_for(tmp_path, sources):
    found = complaint(tmp_path, f"[selection]\nmin_sources = 2\n{sources}")
    assert found.startswith("2: `selection.min_sources`: 2 sources must agree, but only ")


@pytest.mark.parametrize("sources", [source("a.example") + source("b.example"), source("a.example") + "[shm]\n"])
def test_as_many_as_there_are_can(tmp_path, sources):
    assert load(tmp_path, f"[selection]\nmin_sources = 2\n{sources}").selection.min_sources == 2
