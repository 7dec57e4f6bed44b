from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import BaseModel

from ntp_usg.config.loader import load_settings
from ntp_usg.config.models import Settings
from ntp_usg.config.problems import Models
from ntp_usg.core.base.errors import ConfigError
from ntp_usg.core.base.samples import FixQuality
from ntp_usg.refclocks.nmea import NmeaOptions
from ntp_usg.refclocks.pps import PpsOptions

Load = Callable[..., Settings]
Problems = Callable[..., list[str]]

SECTIONS: Models = {"gps": NmeaOptions, "pps": PpsOptions}

# The three files of the deployment guide, letter for letter.
GUIDE_GPS = r"""[gps]
device = "/dev/ttyAMA0"
baud_rate = 9600
min_satellites = 4
min_quality = "Gps"  # Options: NoFix, Gps, DifferentialGps, Pps, Rtk
reference_id = "GPS\0"
poll_interval_secs = 1
"""
GUIDE_PPS = r"""[pps]
device = "/dev/pps0"
capture_mode = "Assert"  # Options: Assert, Clear, Both
reference_id = "PPS\0"
timeout_secs = 2
dispersion = 0.000001  # 1 microsecond
"""
GUIDE_SERVER = """[server]
listen_addr = "0.0.0.0:123"
enable_interleaved = true
max_clients = 100000

[refclock]
type = "gps_pps"  # Use both GPS and PPS
gps_device = "/dev/ttyAMA0"
gps_baud = 9600
pps_device = "/dev/pps0"

# Rate limiting (RFC 8633)
[rate_limit]
enabled = true
packets_per_second = 100
burst_size = 200

# Access control
[access]
allow = [
  "10.0.0.0/8",      # Private networks
  "172.16.0.0/12",
  "192.168.0.0/16"
]
deny = []
"""
GUIDE_HARDWARE_TIMESTAMPS = """[server]
enable_hardware_timestamps = true
timestamp_interface = "eth0"
"""


def test_the_guides_files_mean_what_the_guide_says(load: Load):
    settings = load(GUIDE_SERVER, gps=GUIDE_GPS, pps=GUIDE_PPS)
    assert settings.server.listen_addr == ("0.0.0.0:123",)
    assert settings.server.enable_interleaved is True
    assert settings.server.max_clients == 100_000
    assert settings.server.stratum == 1
    assert settings.rate_limit.model_dump() == {"enabled": True, "packets_per_second": 100.0, "burst_size": 200}
    assert settings.access.allow == ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")
    assert settings.access.deny == ()
    gps, pps = settings.driver("gps"), settings.driver("pps")
    assert isinstance(gps, NmeaOptions)
    assert (gps.device, gps.baud_rate, gps.min_satellites) == ("/dev/ttyAMA0", 9600, 4)
    assert (gps.min_quality, gps.reference_id, gps.poll_interval_secs) == (FixQuality.GPS, "GPS", 1)
    assert isinstance(pps, PpsOptions)
    assert (pps.device, pps.capture_mode.lower(), pps.reference_id) == ("/dev/pps0", "assert", "PPS")
    assert (pps.timeout_secs, pps.dispersion) == (2.0, 1e-6)
    (warning,) = settings.warnings  # its access list leaves this machine out
    assert warning.startswith("[access] does not allow 127.0.0.1")


def test_the_guides_flags_alone_are_a_configuration(tmp_path: Path):
    flags = {
        "server.listen_addr": ["0.0.0.0:123"],
        "gps.device": "/dev/ttyAMA0",
        "gps.baud_rate": 9600,
        "server.stratum": 1,
        "server.enable_interleaved": True,
        "server.max_clients": 10_000,
    }
    settings = load_settings(tmp_path / "server.toml", sections=SECTIONS, overrides=flags, required=False)
    assert settings.server.listen_addr == ("0.0.0.0:123",)
    assert (settings.server.stratum, settings.server.max_clients) == (1, 10_000)
    assert settings.server.enable_interleaved is True
    assert list(settings.drivers) == ["gps"]


@pytest.mark.parametrize("quality", ["NoFix", "Gps", "DGps", "DifferentialGps", "Pps", "Rtk"])
def test_every_quality_of_the_guide_is_known(load: Load, quality: str):
    settings = load("", gps=f'[gps]\ndevice = "/dev/x"\nmin_quality = "{quality}"\n')
    assert list(settings.drivers) == ["gps"]


def test_hardware_timestamps_as_in_the_guide_load_with_a_warning(load: Load):
    settings = load(GUIDE_HARDWARE_TIMESTAMPS, pps=GUIDE_PPS)
    assert settings.server.timestamp_interface == "eth0"
    [warning] = settings.warnings
    assert warning.startswith("server.enable_hardware_timestamps has no effect without eth0 in server.xdp, natively: ")
    assert settings.server.stamping == ()


@pytest.mark.parametrize(
    ("more", "stamping"),
    [
        ('xdp = "eth0"', ("eth0",)),
        ('xdp = ["eth1", "eth0"]', ("eth1", "eth0")),
        ('xdp = ["eth1", "eth0"]\nxdp_mode = "native"\ntimestamp_interface = "eth0"', ("eth0",)),
        ('xdp = "eth1"\ntimestamp_interface = "eth0"', ()),
        ('xdp = "eth0"\nxdp_mode = "generic"', ()),
        ('xdp = "eth0"\nxdp_mode = "offload"', ()),
        ("", ()),
    ],
)
def test_cards_stamp_on_interfaces_with_xdp_in_the_driver_only(load: Load, more: str, stamping: tuple[str, ...]):
    settings = load(f"[server]\nenable_hardware_timestamps = true\n{more}\n", pps=GUIDE_PPS)
    assert settings.server.stamping == stamping
    assert bool(settings.warnings) == (not stamping)


def test_without_being_asked_no_card_stamps(load: Load):
    assert load('[server]\nxdp = "eth0"\ntimestamp_interface = "eth0"\n').server.stamping == ()


def test_nothing_configured_is_a_server_that_warns_of_having_no_clock(load: Load):
    settings = load("")
    assert settings.server.listen_addr == ("0.0.0.0:123", "[::]:123")
    assert settings.drivers == {}
    assert settings.warnings == [
        "neither reference clock nor [[source]] is configured: every answer will say unsynchronised"
    ]


def test_without_an_access_table_everybody_is_answered_and_limited(load: Load):
    settings = load("")
    assert settings.access.allow is None
    assert settings.rate_limit.enabled


def test_an_empty_allow_list_is_not_an_absent_one(load: Load):
    assert load("[access]\nallow = []").access.allow == ()


def test_tables_in_server_toml_win_over_the_files_beside_it_key_by_key(load: Load):
    gps = load('[gps]\ndevice = "/dev/b"', gps='[gps]\ndevice = "/dev/a"\nbaud_rate = 4800').driver("gps")
    assert isinstance(gps, NmeaOptions)
    assert (gps.device, gps.baud_rate) == ("/dev/b", 4800)


def test_refclock_keys_win_over_both_and_flags_win_over_all(load: Load):
    server = '[gps]\ndevice = "/dev/b"\n[refclock]\ngps_device = "/dev/c"\ngps_baud = 19200\n'
    files = {"gps": '[gps]\ndevice = "/dev/a"\nbaud_rate = 4800\nmin_satellites = 7'}
    gps = load(server, **files).driver("gps")
    assert isinstance(gps, NmeaOptions)
    assert (gps.device, gps.baud_rate, gps.min_satellites) == ("/dev/c", 19200, 7)
    flagged = load(server, **files, flags={"gps.device": "/dev/d"}).driver("gps")
    assert isinstance(flagged, NmeaOptions)
    assert (flagged.device, flagged.baud_rate, flagged.min_satellites) == ("/dev/d", 19200, 7)


@pytest.mark.parametrize(
    ("server", "files", "flags", "drivers"),
    [
        ("", {}, {}, []),
        ("", {"gps": GUIDE_GPS}, {}, ["gps"]),
        ("", {"pps": GUIDE_PPS}, {}, ["pps"]),
        ("", {"gps": GUIDE_GPS, "pps": GUIDE_PPS}, {}, ["gps", "pps"]),
        ("[pps]", {}, {}, ["pps"]),
        ('[refclock]\npps_device = "/dev/pps1"', {"gps": GUIDE_GPS}, {}, ["gps", "pps"]),
        ('[refclock]\ntype = "pps"', {}, {}, ["pps"]),
        ('[refclock]\ntype = "gps"', {"gps": GUIDE_GPS, "pps": GUIDE_PPS}, {}, ["gps"]),
        ('[refclock]\ntype = "gps_pps"', {"gps": GUIDE_GPS}, {}, ["gps", "pps"]),
        ('[refclock]\ntype = "pps"', {}, {"gps.device": "/dev/x"}, ["gps", "pps"]),
        ("", {}, {"gps.device": "/dev/x", "pps.device": "/dev/pps0"}, ["gps", "pps"]),
        ('[refclock]\ntype = "pps"\n[gps]\nbaud_rate = 4800', {}, {}, ["pps"]),
    ],
)
def test_which_reference_clocks_are_used(
    load: Load, server: str, files: dict[str, str], flags: dict[str, object], drivers: list[str]
):
    assert list(load(server, **files, flags=flags).drivers) == drivers


def test_a_flag_may_give_one_address_or_several(load: Load):
    assert load("", flags={"server.listen_addr": "::1"}).server.listen_addr == ("[::1]:123",)
    assert load("", flags={"server.listen_addr": ["::1", "lo:0"]}).server.listen_addr == ("[::1]:123", "lo:0")


def test_durations_in_files_are_seconds_in_settings(load: Load):
    assert load('[holdover]\nbudget = "250us"').holdover.budget == pytest.approx(250e-6)
    assert load("[holdover]\nbudget = 1").holdover.budget == 1.0


def test_the_default_path_may_be_missing_but_a_named_file_may_not(tmp_path: Path):
    missing = tmp_path / "server.toml"
    assert load_settings(missing, sections=SECTIONS, required=False).drivers == {}
    with pytest.raises(ConfigError) as caught:
        load_settings(missing, sections=SECTIONS)
    assert str(caught.value) == f"{missing}: cannot be read: No such file or directory"


@pytest.mark.parametrize(("name", "required"), [("server.toml", False), ("server.toml", True), ("gps.conf", False)])
@pytest.mark.parametrize("text", [None, "", "# nothing but a comment\n"])
def test_a_file_that_was_read_before_may_neither_vanish_nor_become_empty(tmp_path, name, required, text):
    (tmp_path / "server.toml").write_text('[access]\ndeny = ["192.0.2.0/24"]\n')
    (tmp_path / "gps.conf").write_text(GUIDE_GPS)
    first = load_settings(tmp_path / "server.toml", sections=SECTIONS, required=required)
    assert first.files == (str(tmp_path / "gps.conf"), str(tmp_path / "server.toml"))
    (tmp_path / name).unlink()
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_settings(tmp_path / "server.toml", sections=SECTIONS, required=required, expected=first.files)
    assert str(caught.value).startswith(f"{tmp_path / name}: ")
    assert str(caught.value).endswith("put back what was there, or restart the daemon to do without it")


def test_a_file_that_never_said_anything_may_vanish(tmp_path):
    (tmp_path / "gps.conf").write_text("# not yet\n")
    first = load_settings(tmp_path / "server.toml", sections=SECTIONS, required=False)
    (tmp_path / "gps.conf").unlink()
    assert load_settings(tmp_path / "server.toml", sections=SECTIONS, required=False, expected=first.files) == first


def test_the_files_beside_a_missing_default_path_count(tmp_path: Path):
    (tmp_path / "gps.conf").write_text(GUIDE_GPS)
    settings = load_settings(tmp_path / "server.toml", sections=SECTIONS, required=False)
    assert list(settings.drivers) == ["gps"]


@pytest.mark.parametrize("path", [Path("/"), Path(), Path("/dev/null/server.toml")])
def test_a_path_that_can_be_no_file_is_a_problem_even_if_not_required(path: Path):
    with pytest.raises(ConfigError, match="cannot be read: "):
        load_settings(path, sections=SECTIONS, required=False)


def test_http_gets_its_address_in_parts(load: Load):
    assert load("[metrics]\nlisten = '::1'").metrics.address == ("::1", 8080)
    assert load("[metrics]\nlisten = '0.0.0.0:9100'").metrics.address == ("0.0.0.0", 9100)


def test_settings_do_not_change():
    with pytest.raises(ValueError, match="frozen"):
        Settings().server = Settings().server


def test_servers_to_ask_come_in_the_order_of_the_file(load: Load):
    settings = load("""
[[source]]
address = "NTP.example.net"
minpoll = 4
maxpoll = 8
prefer = true
[clock]
step_threshold = "1s"
drift_file = ""
[[source]]
address = "[2001:DB8::1]:123"
iburst = false
[[source]]
address = "192.0.2.1:1123"
""")
    first, second, third = settings.sources
    assert (first.address, first.min_poll, first.max_poll, first.prefer, first.iburst) == (
        "ntp.example.net",
        4,
        8,
        True,
        True,
    )
    assert (second.address, second.min_poll, second.max_poll, second.iburst) == ("2001:db8::1", 6, 10, False)
    assert third.address == "192.0.2.1:1123"
    assert (settings.clock.step_threshold, settings.clock.drift_file) == (1.0, "")
    assert settings.warnings == []


def test_sources_may_be_written_in_one_line(load: Load):
    assert [each.address for each in load('source = [{address = "a"}, {address = "b"}]').sources] == ["a", "b"]


def test_without_tables_of_their_own_selection_discipline_and_clock_have_their_defaults(load: Load):
    settings = load("")
    assert settings.selection.model_dump() == {"min_sources": 1, "max_distance": 3.0}
    assert settings.discipline.algorithm == "kalman"
    assert settings.clock.model_dump() == {
        "step_threshold": 0.128,
        "step_limit": -1,
        "panic": 1000.0,
        "max_slew_ppm": 500.0,
        "max_frequency_ppm": 500.0,
        "drift_file": "/var/lib/ntp_usg/drift",
        "leap_file": "/usr/share/zoneinfo/leap-seconds.list",
        "leap_smear": False,
    }


class OtherOptions(BaseModel):
    unit: int = 0


def test_the_type_chooses_between_receiver_and_pulse_and_leaves_other_clocks_alone(tmp_path: Path):
    (tmp_path / "server.toml").write_text('[refclock]\ntype = "gps"\ngps_device = "/dev/x"\n[other]\nunit = 1\n[pps]\n')
    settings = load_settings(tmp_path / "server.toml", sections={**SECTIONS, "other": OtherOptions})
    assert list(settings.drivers) == ["gps", "other"]


@pytest.mark.fault(
    group="Files and settings",
    kind="Beside a configuration named with --config lies a pps.conf of another program.",
    noticed="A warning names the file and says why it is not read.",
    served="What the configuration says.",
)
def test_a_file_of_another_program_beside_the_configuration_is_passed_over(load: Load, tmp_path: Path):
    settings = load('[[source]]\naddress = "ntp.example.net"\n', elsewhere=True, pps="pps-gpio\npps-ldisc\n")
    assert not settings.drivers
    assert settings.warnings == [f"{tmp_path}/pps.conf is not read: there is no table [pps] in it"]


@pytest.mark.parametrize("naming", ['[refclock]\ntype = "pps"', "[pps]", '[refclock]\npps_device = "/dev/pps1"'])
def test_the_file_of_a_driver_that_the_configuration_asks_for_counts_everywhere(problems: Problems, naming: str):
    (problem,) = problems(naming, elsewhere=True, pps="pps-gpio\n")
    assert problem.startswith("pps.conf:1: not valid TOML")


def test_a_drivers_file_with_its_table_counts_beside_any_configuration(load: Load):
    settings = load("", elsewhere=True, pps='[pps]\ndevice = "/dev/pps3"\n')
    assert list(settings.drivers) == ["pps"]


@pytest.mark.parametrize(
    ("access", "warned"),
    [
        ('allow = ["192.0.2.0/24"]', True),
        ('allow = ["192.0.2.0/24", "127.0.0.0/8"]', False),
        ('allow = ["127.0.0.0/8"]\ndeny = ["127.0.0.1"]', True),
        ("allow = []", False),
        ('allow = ["::/0", "0.0.0.0/0"]', False),
    ],
)
def test_an_access_list_without_this_machine_is_mentioned(load: Load, access: str, warned: bool):
    settings = load(f'[access]\n{access}\n[[source]]\naddress = "ntp.example.net"\n')
    assert any("no answer" in warning and "127.0.0.0/8" in warning for warning in settings.warnings) is warned


@pytest.mark.parametrize(("written", "seconds"), [('"2s"', 2.0), ('"1500 ms"', 1.5), ("2", 2.0), ('"1min"', 60.0)])
def test_intervals_of_drivers_may_have_a_unit(load: Load, written: str, seconds: float):
    settings = load(f"[pps]\ntimeout_secs = {written}\n")
    assert settings.driver("pps").timeout_secs == seconds  # type: ignore[attr-defined]


def test_offsets_may_have_a_unit_and_a_sign(load: Load):
    settings = load(
        '[gps]\ndevice = "/dev/x"\noffset_secs = "-250us"\npoll_interval_secs = "16s"\n'
        '[[source]]\naddress = "ntp.example.net"\noffset_secs = "1.5ms"\n'
    )
    assert settings.driver("gps").offset_secs == pytest.approx(-250e-6)  # type: ignore[attr-defined]
    assert settings.driver("gps").poll_interval_secs == 16  # type: ignore[attr-defined]
    assert settings.sources[0].offset_secs == pytest.approx(1.5e-3)
