from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import BaseModel

from ntp_usg.config.explain import difference, explain_settings
from ntp_usg.config.models import Settings

Load = Callable[..., Settings]


def shown_and_loaded_again(settings: Settings, load: Load) -> Settings:
    return load("\n".join(str(line) for line in explain_settings(settings)))


def test_every_value_is_shown_with_its_origin(load: Load):
    settings = load(
        '[refclock]\npps_device = "/dev/pps1"\n[access]\ndeny = [\n "10.0.0.0/8",\n "192.0.2.1" ]\n',
        gps='[gps]\ndevice = "/dev/ttyAMA0"\n',
        flags={"server.listen_addr": ["[::1]:11123"], "gps.baud_rate": 4800},
    )
    lines = {line.key: str(line) for line in explain_settings(settings)}
    assert lines["gps.device"] == 'gps.device = "/dev/ttyAMA0"   # gps.conf:2'
    assert lines["gps.baud_rate"] == "gps.baud_rate = 4800   # --gps-baud"
    assert lines["pps.device"] == 'pps.device = "/dev/pps1"   # server.toml:2'
    assert lines["access.deny"] == 'access.deny = ["10.0.0.0/8", "192.0.2.1/32"]   # server.toml:4'
    assert lines["server.listen_addr"] == 'server.listen_addr = ["[::1]:11123"]   # --listen'
    assert lines["server.enable_interleaved"] == "server.enable_interleaved = false   # default"
    assert lines["clock.step_threshold"] == "clock.step_threshold = 0.128   # default"
    assert lines["access.allow"] == "# access.allow is not set   # default"


def test_what_is_shown_can_be_loaded_again(load: Load):
    settings = load("", gps='[gps]\ndevice = "/dev/\\"µ"\n', flags={"pps.device": "/dev/pps0"})
    assert difference(settings, shown_and_loaded_again(settings, load)) == []


@pytest.mark.parametrize(
    ("table", "key", "spellings"),
    [
        ("gps", "min_quality", ("NoFix", "Gps", "DGps", "Pps", "Rtk", "FloatRtk")),
        ("pps", "capture_mode", ("Assert", "Clear", "Both")),
    ],
)
def test_words_are_shown_as_the_guide_spells_them_and_load_again(load: Load, table, key, spellings):
    for word in spellings:
        settings = load(f'[{table}]\ndevice = "/dev/x"\n{key} = "{word.lower()}"\n')
        lines = {line.key: line.value for line in explain_settings(settings)}
        assert lines[f"{table}.{key}"] == f'"{word}"'
        assert difference(settings, shown_and_loaded_again(settings, load)) == []


def test_a_value_without_a_type_of_its_own_in_toml_is_shown_as_its_model_writes_it():
    class Options(BaseModel):
        firmware: Path = Path("/lib/firmware")

    lines = [str(line) for line in explain_settings(Settings(drivers={"third": Options()}))]
    assert lines[-1] == 'third.firmware = "/lib/firmware"   # default'


def test_only_drivers_in_use_are_shown(load: Load):
    settings = load('[refclock]\ntype = "pps"', gps='[gps]\ndevice = "/dev/ttyAMA0"\n')
    tables = {line.key.partition(".")[0] for line in explain_settings(settings)}
    assert "pps" in tables
    assert "gps" not in tables


def test_a_difference_names_the_keys_that_changed(load: Load):
    old = load('[access]\ndeny = ["10.0.0.0/8"]\n[rate_limit]\nburst_size = 5\n', gps='[gps]\ndevice = "/dev/a"\n')
    new = load(
        '[rate_limit]\nburst_size = 5\n[access]\ndeny = ["10.0.0.0/8", "::1"]\nallow = []\n',
        gps='[gps]\ndevice = "/dev/b"\n',
    )
    assert difference(old, new) == ["access.allow", "access.deny", "gps.device"]
    assert difference(old, old) == []


def test_a_driver_that_came_or_went_is_a_difference(load: Load):
    without, with_pps = load(""), load("[pps]")
    came = difference(without, with_pps)
    assert "pps.device" in came
    assert difference(with_pps, without) == came


def test_servers_to_ask_are_shown_last_below_headings_of_their_own_and_load_again(load: Load):
    settings = load('[[source]]\naddress = "a"\nmaxpoll = 8\n[[source]]\naddress = "b:1123"\n[log]\nlevel = "debug"\n')
    lines = [str(line) for line in explain_settings(settings)]
    start = lines.index('[[source]]\naddress = "a"   # server.toml:2')
    assert lines[start + 2] == "max_poll = 8   # server.toml:3"
    assert '[[source]]\naddress = "b:1123"   # server.toml:5' in lines[start:]
    assert all("source" in line.key for line in explain_settings(settings)[start:])
    assert difference(settings, shown_and_loaded_again(settings, load)) == []


def test_a_source_that_changed_or_came_is_a_difference(load: Load):
    old = load('[[source]]\naddress = "a"\n')
    new = load('[[source]]\naddress = "a"\nprefer = true\n[[source]]\naddress = "b"\n')
    assert difference(old, new)[:2] == ["source.1.prefer", "source.2.address"]
