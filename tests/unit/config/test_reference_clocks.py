"""Tables of reference clocks: several of one kind, and the words that ntpd and chrony have for their keys."""

from collections.abc import Callable
from pathlib import Path

import pytest

from ntp_usg.config.explain import difference, explain_settings
from ntp_usg.config.loader import load_settings
from ntp_usg.config.models import Settings
from ntp_usg.config.problems import Models
from ntp_usg.core.base.errors import ConfigError
from ntp_usg.refclocks.driver import DriverOptions
from ntp_usg.refclocks.local import LocalOptions
from ntp_usg.refclocks.nmea import NmeaOptions
from ntp_usg.refclocks.pps import PpsOptions
from ntp_usg.refclocks.shm import ShmOptions
from ntp_usg.refclocks.ubx import UbxOptions

SECTIONS: Models = {"gps": NmeaOptions, "local": LocalOptions, "pps": PpsOptions, "shm": ShmOptions, "ubx": UbxOptions}

Read = Callable[..., Settings]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    def read(text: str, **beside: str) -> Settings:
        for name, content in {"server.toml": text, **{f"{name}.conf": text for name, text in beside.items()}}.items():
            (tmp_path / name).write_text(content)
        return load_settings(tmp_path / "server.toml", sections=SECTIONS)

    return read


def options(settings: Settings, name: str) -> DriverOptions:
    found = settings.driver(name)
    assert isinstance(found, DriverOptions)
    return found


def problems(read: Read, text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        read(text)
    return [f"{problem.line}: {problem.message}" for problem in caught.value.problems]


def names(settings: Settings) -> list[str]:
    return [options(settings, name).source().name for name in settings.drivers]


def test_several_clocks_of_one_kind_are_numbered_by_their_place(read: Read):
    settings = read("[[shm]]\n[[shm]]\naccuracy_secs = 0.001\n[[shm]]\nunit = 7\n[local]\n")
    assert list(settings.drivers) == ["local", "shm", "shm.1", "shm.2"]
    assert names(settings) == ["LOCAL(0)", "SHM(0)", "SHM(1)", "SHM(7)"]
    assert options(settings, "shm.1").model_dump()["accuracy_secs"] == 0.001


def test_one_table_of_several_is_one(read: Read):
    assert names(read("[[shm]]\n")) == names(read("[shm]\n")) == ["SHM(0)"]


def test_the_first_of_several_is_the_one_of_flags_shortcuts_and_the_file_beside(read: Read, tmp_path: Path):
    text = "[refclock]\ngps_baud = 4800\n[[gps]]\nmin_satellites = 5\n[[gps]]\ndevice = '/dev/b'\n"
    settings = read(text, gps="[gps]\ndevice = '/dev/a'\n")
    first, second = options(settings, "gps").model_dump(), options(settings, "gps.1").model_dump()
    assert (first["device"], first["baud_rate"], first["min_satellites"]) == ("/dev/a", 4800, 5)
    assert (second["device"], second["baud_rate"], second["min_satellites"]) == ("/dev/b", 9600, 4)
    flagged = load_settings(tmp_path / "server.toml", sections=SECTIONS, overrides={"gps.device": "/dev/c"})
    assert [options(flagged, name).device for name in ("gps", "gps.1")] == ["/dev/c", "/dev/b"]


def test_receiver_and_pulse_that_only_refclock_names_are_two_clocks(read: Read):
    settings = read("[refclock]\ntype = 'gps_pps'\ngps_device = '/dev/a'\npps_device = '/dev/pps0'\n")
    assert names(settings) == ["GPS_NMEA(0)", "PPS(0)"]


def test_the_type_chooses_all_of_a_kind(read: Read):
    settings = read("[refclock]\ntype = 'pps'\n[[gps]]\ndevice='/dev/a'\n[[pps]]\n[[pps]]\ndevice = '/dev/pps1'\n")
    assert names(settings) == ["PPS(0)", "PPS(1)"]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("[[shm]]\nunit = 1\n[[shm]]\n", ["3: [[shm]]: unit 1 is there twice"]),
        ("[[local]]\n[[local]]\n", ['2: `local.1`: "host clock" is used by `local` already']),
        (
            "[gps]\ndevice = '/dev/a'\n[ubx]\ndevice = '/dev/a'\n",
            ['3: `ubx`: "/dev/a" is used by `gps` already'],
        ),
        ("[[gps]]\ndevice = '/dev/a'\n[[gps]]\n", ["3: [[gps]] needs `device`"]),
        ("shm = [1]\n", ["1: `shm` may be there up to 100 times: begin each with a line [[shm]]"]),
        ("[[shm]]\n" * 101, ["1: `shm` may be there up to 100 times: begin each with a line [[shm]]"]),
    ],
)
def test_what_is_wrong_with_several_is_said_in_words(read: Read, text: str, found: list[str]):
    assert problems(read, text) == found


def test_what_is_wrong_in_one_of_several_is_said_of_that_one(read: Read):
    said = problems(read, "[[gps]]\ndevice = '/dev/a'\n[[gps]]\nx = 1\ndevice = 1\n")
    assert said[0].startswith("4: unknown key `x` in [[gps]]")
    assert said[1] == "5: `gps.1.device`: must be a text in quotes, not 1"


def test_several_are_shown_below_headings_of_their_own_and_load_again(read: Read):
    settings = read("[[shm]]\n[[shm]]\nunit = 3\nrefid = 'GPS'\n[local]\n")
    lines = [str(line) for line in explain_settings(settings)]
    assert sum(line.startswith("[[shm]]\n") for line in lines) == 2
    assert "unit = 3   # server.toml:3" in lines
    assert 'reference_id = "GPS"   # server.toml:4' in lines
    assert "local.stratum = 10   # default" in lines
    assert difference(settings, read("\n".join(lines))) == []


def test_the_words_of_ntpd_and_chrony_are_understood(read: Read):
    settings = read("""
[gps]
device = "/dev/gps0"
time2 = 0.4
refid = "NMEA"
accuracy = 0.05
minpoll = 4
stratum = 3
[pps]
time1 = 1e-6
flag2 = 1
filter = 16
[shm]
offset = 0.42
""")
    gps, pps, shm = (options(settings, name) for name in ("gps", "pps", "shm"))
    assert (gps.offset_secs, gps.reference_id, gps.poll_interval_secs, gps.stratum) == (0.4, "NMEA", 16, 3)
    assert gps.source().accuracy == 0.05
    assert pps.model_dump(mode="json")["capture_mode"] == "Clear"
    assert (pps.offset_secs, pps.source().filter_length) == (1e-6, 16)
    assert shm.offset_secs == 0.42
    assert settings.origins["shm.offset_secs"] == "server.toml:14"


def test_another_spelling_in_another_file_is_the_same_key(read: Read):
    settings = read("[gps]\ntime2 = 0.1\n", gps="[gps]\ndevice = '/dev/gps0'\noffset_secs = 0.4\n")
    assert options(settings, "gps").offset_secs == 0.1


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            "[shm]\ntime1 = 1.0\noffset_secs = 1.0",
            "3: `shm.offset_secs`: `time1` and `offset_secs` mean the same: give one",
        ),
        ("[shm]\ntime1 = 1.0\noffset = 1.0", "3: `shm.offset`: `time1` and `offset` mean the same: give one"),
        ("[shm]\nflag3 = 1", "2: `shm.flag3`: means nothing to this driver"),
        ("[pps]\nflag2 = 2", "2: `pps.flag2`: is a flag of ntpd: must be 0 or 1"),
        ("[pps]\nminpoll = 'x'", "2: `pps.minpoll`: is an exponent of two: must be a whole number from 0 to 10"),
        ("[shm]\ntime1 = 'late'", '2: `shm.time1`: must be a number of seconds or a text like "2s", not "late"'),
        ("[shm]\nrefid = 'GALILEO'", "2: `shm.refid`: a reference id has 1 to 4 printable ASCII characters"),
        (
            "[[gps]]\ndevice = '/dev/a'\n[[gps]]\ndevice = '/dev/b'\ntime1 = 0.0",
            ("5: `gps.1.time1`: belongs to the pulses: write `offset_secs` in [pps];"
             " that of the messages is `time2`"),
        ),
    ],
)  # fmt: skip
def test_words_that_cannot_be_meant_are_refused_with_advice(read: Read, text: str, problem: str):
    assert problems(read, text) == [problem]


def test_a_fudged_stratum_is_the_sources(read: Read):
    assert options(read("[shm]\nstratum = 4\n"), "shm").source().stratum == 4
    assert options(read("[local]\n"), "local").source().stratum == 10
