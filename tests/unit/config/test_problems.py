from collections.abc import Callable
from pathlib import Path

import pytest

from ntp_usg.config.loader import load_settings
from ntp_usg.config.models import AccessSettings, ServerSettings
from ntp_usg.core.base.errors import ConfigError
from ntp_usg.refclocks.nmea import NmeaOptions

Problems = Callable[..., list[str]]

SERVER_KEYS = ", ".join(ServerSettings.model_fields)
ACCESS_KEYS = ", ".join(AccessSettings.model_fields)
TABLES = "server, refclock, selection, discipline, clock, rate_limit, access, metrics, holdover, log, source, gps, pps"


@pytest.mark.parametrize(
    ("server", "problem"),
    [
        (
            '[server]\nlisten_adr = ""',
            f"2: unknown key `listen_adr` in [server]; did you mean `listen_addr`? Accepted: {SERVER_KEYS}",
        ),
        ("[access]\n\nzzz = 1", f"3: unknown key `zzz` in [access]. Accepted: {ACCESS_KEYS}"),
        ("[server]\nburst_size = 1", "2: unknown key `burst_size` in [server]; it belongs to [rate_limit]"),
        ("access.\"z\\nz\" = 1", rf"1: unknown key `z\nz` in [access]. Accepted: {ACCESS_KEYS}"),
        ("[sever]\nx = 1", f"1: unknown table [sever]; did you mean `server`? Accepted: {TABLES}"),
        ("# top\n\n[[zzz]]\n", f"3: unknown table [zzz]. Accepted: {TABLES}"),
        ("max_clients = 1", "1: `max_clients` is in no table; it belongs to [server]"),
        ("zzz = 1", f"1: `zzz` is in no table. Accepted: {TABLES}"),
        ("log = 'debug'", "1: `log` is a table: write its keys in lines of their own below [log]"),
        ("[[log]]\nlevel = 'debug'", "1: `log` is a table: write its keys in lines of their own below [log]"),
        ("[server]\nmax_clients = 'many'", '2: `server.max_clients`: must be a whole number, not "many"'),
        ("[server]\nxdp = 'eth 0'", '2: `server.xdp`: "eth 0" is not a valid name of a network interface'),
        ("[server]\n[log]\n[server]\n", "3: not valid TOML: the table [server] is there twice: join the two"),
        ("[server]\nxdp = ['eth0', 'eth0']", '2: `server.xdp`: "eth0" is there twice'),
        (
            "[metrics]\nhosts = 'ntp1.org:80'",
            '2: `metrics.hosts`: "ntp1.org:80" is not a host name; write one like "ntp1.example.org", without a port',
        ),
        ("[server]\nmax_clients = true", "2: `server.max_clients`: must be a whole number, not true"),
        ("[server]\nmax_clients = 1.5", "2: `server.max_clients`: must be a whole number, not 1.5"),
        (
            f"[server]\nmax_clients = 0x{'f' * 10_000}",
            "2: `server.max_clients`: must be at least 1 and at most 10000000, not a number that is far too large",
        ),
        ("[server]\nstratum = 16", "2: `server.stratum`: must be at least 1 and at most 15, not 16"),
        ("[server]\nstratum = 0", "2: `server.stratum`: must be at least 1 and at most 15, not 0"),
        ("[server]\ndscp = 64", "2: `server.dscp`: must be at least 0 and at most 63, not 64"),
        ("[server]\nenable_interleaved = 1", "2: `server.enable_interleaved`: must be true or false, not 1"),
        (
            "[server]\nworkers = 65",
            "2: `server.workers`: must be at least 0 and at most 64, not 65",
        ),
        ("[server]\nclock = 'sys'", "2: `server.clock`: must be 'auto', 'system' or 'virtual', not \"sys\""),
        ("[server]\nuser = ''", '2: `server.user`: must be a text, neither empty nor with control characters, not ""'),
        (
            f"[server]\ncontrol_socket = '/{'x' * 107}'",
            "2: `server.control_socket`: is longer than the 107 bytes that the kernel allows a unix socket's path",
        ),
        ("[server]\nlisten_addr = 123", "2: `server.listen_addr`: must be a list, not 123"),
        ("[server]\nlisten_addr = []", "2: `server.listen_addr`: must name at least one address"),
        ("[server]\nlisten_addr = [\n'::1',\n'::1']", '2: `server.listen_addr`: "[::1]:123" is there twice'),
        ("[server]\nlisten_addr = [\n'::1',\n1]", "4: `server.listen_addr`: must be a text in quotes, not 1"),
        (
            "[server]\nlisten_addr = [\n'::1',\n'1.2.3']",
            ('4: `server.listen_addr`: "1.2.3" is neither an IP address nor an interface name'
            ' (host names are not looked up); write it like "0.0.0.0:123", "[::]:123" or "eth0:123"'),
        ),
        ("[refclock]\ntype = 'gsp'", "2: `refclock.type`: must be 'gps', 'pps' or 'gps_pps', not \"gsp\""),
        ("[refclock]\ntype = ['gps']", "2: `refclock.type`: must be 'gps', 'pps' or 'gps_pps', not a list"),
        ("[refclock]\ntype = 'gps'", "2: [gps] needs `device` or `refclock.gps_device` or --gps-device"),
        ("[refclock]\n\ngps_baud = 1200", "1: [gps] needs `device` or `refclock.gps_device` or --gps-device"),
        ("\n[gps]\nbaud_rate = 1200", "2: [gps] needs `device` or `refclock.gps_device` or --gps-device"),
        ("[refclock]\ngps_device = 1", "2: `refclock.gps_device`: must be a text in quotes, not 1"),
        ("[refclock]\npps_device = [1]", "2: `refclock.pps_device`: must be a text in quotes, not a list"),
        ("[access]\nallow = '::1'", "2: `access.allow`: must be a list, not \"::1\""),
        ("[access]\ndeny = [\n {a = 1} ]", "3: `access.deny`: must be a text in quotes, not a table"),
        (
            "[rate_limit]\npackets_per_second = nan",
            "2: `rate_limit.packets_per_second`: must be more than 0 and at most 1000000, not nan",
        ),
        ("[rate_limit]\npackets_per_second = true", "2: `rate_limit.packets_per_second`: must be a number, not true"),
        ("[metrics]\nlisten = 'localhost:1'", ('2: `metrics.listen`: "localhost" is not an IP address;'
         ' write one like "127.0.0.1:8080" or "[::1]:8080"')),
        (
            "[holdover]\nbudget = '10'",
            ("2: `holdover.budget`: must be a duration above zero,"
            ' like "250us", "10ms", "5s" or a number of seconds'),
        ),
        ("[log]\nlevel = 1979-05-27", "2: `log.level`: must be 'debug', 'info', 'warning' or 'error', not 1979-05-27"),
        ("[server]\nstratum = 1\nstratum = 1", "3: not valid TOML: Cannot overwrite a value"),
        ("[[server]]\naddress = 'x'", ("1: [server] is how we answer, and is there once;"
         " write servers to ask as [[source]]")),
        ("[source]\naddress = 'x'", "1: `source` may be there up to 100 times: begin each with a line [[source]]"),
        ("source = [1]", "1: `source` may be there up to 100 times: begin each with a line [[source]]"),
        ("[[source]]\n" * 101, "1: `source` may be there up to 100 times: begin each with a line [[source]]"),
        ("['source.1']\naddress = 'x'", f"1: unknown table [source.1]; did you mean `source`? Accepted: {TABLES}"),
        ("[[source]]\naddress = 'a'\n[[source]]\n", "3: [[source]] needs `address`"),
        (
            "[[source]]\naddress = 'a'\n[[source]]\naddress = 'A:123'",
            '4: `source.2.address`: "a" is there twice',
        ),
        ("[[source]]\naddress = 'a:0'", "2: `source.1.address`: port 0 cannot be used: name a port from 1 to 65535"),
        ("[[source]]\naddress = 'a b'", '2: `source.1.address`: "a b" is neither a host name nor an IP address'),
        (
            "[[source]]\naddress = 'a:b:c:d'",
            ('2: `source.1.address`: "a:b:c:d" is neither a host name nor an IP address: write IPv6 with a port '
            "like [2001:db8::1]:123"),
        ),
        (
            "[[source]]\naddress = ''",
            '2: `source.1.address`: must be a server like "ntp.example.net", "192.0.2.1:123" or "[2001:db8::1]:123"',
        ),
        (
            "[[source]]\naddress = 'a'\nmaxpoll = 18",
            "3: `source.1.maxpoll`: must be at least -7 and at most 17, not 18",
        ),
        ("[[source]]\naddress = 'a'\nmaxpoll = 5", "3: `source.1.maxpoll`: max_poll, 5, is below min_poll, 6"),
        ("[[source]]\naddress = 'a'\nmin_poll = 11", "1: `source.1`: max_poll, 10, is below min_poll, 11"),
        (
            "[[source]]\naddress = 'a'\nmin_poll = 4\nminpoll = 4",
            "4: `source.1.minpoll`: `min_poll` and `minpoll` mean the same: give one",
        ),
        (
            "[[source]]\naddress = 'a'\nprefer = true\nnoselect = true",
            "4: `source.1.noselect`: contradicts `prefer`: it means never to follow this source",
        ),
        ("[log]\nminpoll = 4", "2: unknown key `minpoll` in [log]; it belongs to [[source]] or [gps] or [pps]"),
        ("[selection]\nmin_sources = 0", "2: `selection.min_sources`: must be at least 1 and at most 100, not 0"),
        (
            "[discipline]\nalgorithm = 'magic'",
            "2: `discipline.algorithm`: must be 'kalman', 'regression' or 'pll', not \"magic\"",
        ),
        ("[clock]\nstep_limit = -2", "2: `clock.step_limit`: must be at least -1 and at most 1000000, not -2"),
        (
            '[clock]\nleap_file = "a\\u0007"',
            ("2: `clock.leap_file`: must be a path without control characters, or empty for none, not "
             r'"a\u0007"'),
        ),
        ("[server\n", "1: not valid TOML: Expected ']' at the end of a table declaration"),
    ],
)  # fmt: skip
def test_each_mistake_is_named_with_its_line_and_what_would_be_right(problems: Problems, server: str, problem: str):
    assert problems(server) == [f"server.toml:{problem}"]


@pytest.mark.parametrize(
    ("gps", "problem"),
    [
        ("[pps]", "1: [pps] belongs in pps.conf or server.toml"),
        ("\n[server]\nstratum = 99", "2: [server] belongs in server.toml"),
        ("log = 'debug'", "1: [log] belongs in server.toml"),
        ("[xps]", "1: unknown table [xps]. Accepted: gps"),
        ("[gpss]", "1: unknown table [gpss]; did you mean `gps`? Accepted: gps"),
    ],
)
def test_a_table_in_a_drivers_file_is_told_where_it_belongs(problems: Problems, gps: str, problem: str):
    assert problems("", gps=gps) == [f"gps.conf:{problem}"]


def test_the_file_that_a_table_belongs_in_is_called_by_its_own_name(tmp_path: Path):
    (tmp_path / "our.toml").touch()
    (tmp_path / "gps.conf").write_text("[gps]\n[server]\n")
    with pytest.raises(ConfigError, match=r"\[server\] belongs in our\.toml$"):
        load_settings(tmp_path / "our.toml", sections={"gps": NmeaOptions})


def test_host_bits_name_the_line_of_the_element_and_the_network_meant(problems: Problems):
    (problem,) = problems('[access]\nallow = [\n  "10.0.0.0/8",\n  "172.16.0.1/12",\n]\n')
    assert problem.startswith("server.toml:4: `access.allow`: ")
    assert problem.endswith('"172.16.0.1/12" lies in 172.16.0.0/12')


def test_the_quality_that_is_not_one_is_told_the_accepted_ones(problems: Problems):
    (problem,) = problems("", gps='[gps]\ndevice = "/dev/x"\nmin_quality = "Good"\n')
    assert problem.startswith("gps.conf:3: `gps.min_quality`: ")
    assert all(name in problem for name in ("NoFix", "Gps", "DGps", "DifferentialGps", "Pps", "Rtk"))


@pytest.mark.parametrize(
    ("setting", "problem"),
    [
        ("baud_rate = '9600'", '`gps.baud_rate`: must be a number from 50 to 4000000, or "auto"'),
        ("baud_rate = 9600.0", '`gps.baud_rate`: must be a number from 50 to 4000000, or "auto"'),
        (
            "poll_interval_secs = true",
            '`gps.poll_interval_secs`: must be a number of seconds or a text like "2s", not true',
        ),
        ("timeout_secs = '5'", '`gps.timeout_secs`: must be a number of seconds or a text like "2s", not "5"'),
        ("offset_secs = false", '`gps.offset_secs`: must be a number of seconds or a text like "2s", not false'),
        ("min_quality = 1", "`gps.min_quality`: must be one of NoFix, Gps, DGps, DifferentialGps, Pps, Rtk, FloatRtk"),
    ],
)
def test_values_of_drivers_keep_their_type_like_all_others(problems: Problems, setting: str, problem: str):
    assert problems("", gps=f'[gps]\ndevice = "/dev/x"\n{setting}\n') == [f"gps.conf:3: {problem}"]


def test_all_problems_of_all_sources_come_at_once(problems: Problems):
    assert problems(
        "[server]\nstratum = 99\n[log]\nlevel = 'loud'\n",
        gps="[pps]\n[gps]\nbaud_rate = 'fast'\n",
        pps="[pps\n",
        flags={"server.max_clients": 0, "gps.baud_rate": 7},
    ) == [
        "gps.conf:1: [pps] belongs in pps.conf or server.toml",
        'gps.conf:3: `gps.baud_rate`: must be a number from 50 to 4000000, or "auto"',
        "pps.conf:1: not valid TOML: Expected ']' at the end of a table declaration",
        "server.toml:2: `server.stratum`: must be at least 1 and at most 15, not 99",
        "server.toml:4: `log.level`: must be 'debug', 'info', 'warning' or 'error', not \"loud\"",
        "command line: `--max-clients`: must be at least 1 and at most 10000000, not 0",
        'command line: `--gps-baud`: must be a number from 50 to 4000000, or "auto"',
    ]


def test_a_wrong_value_is_a_problem_even_where_another_source_covers_it(problems: Problems):
    assert problems(
        "[refclock]\ngps_device = 2\n[gps]\ndevice = 1\n",
        gps="[gps]\ndevice = 0\n",
        flags={"gps.device": "/dev/x"},
    ) == [
        "gps.conf:2: `gps.device`: must be a text in quotes, not 0",
        "server.toml:2: `refclock.gps_device`: must be a text in quotes, not 2",
        "server.toml:4: `gps.device`: must be a text in quotes, not 1",
    ]


def test_what_may_stand_in_an_unreadable_file_is_not_called_missing(problems: Problems):
    assert problems("[refclock]\ntype = 'gps'\n", gps="[gps\ndevice = 1\n") == [
        "gps.conf:1: not valid TOML: Expected ']' at the end of a table declaration"
    ]


def test_a_flag_without_its_device_is_blamed_itself(problems: Problems):
    assert problems("", flags={"gps.baud_rate": 9600}) == [
        "command line: [gps] needs `device` or `refclock.gps_device` or --gps-device"
    ]


def test_a_key_without_its_header_in_a_drivers_file_is_told_the_header(problems: Problems):
    assert problems("", pps='device = "/dev/pps0"\n') == ["pps.conf:1: `device` is in no table; it belongs to [pps]"]
