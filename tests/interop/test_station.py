"""The deployment guide's own checks, with Debian's real tools, against the whole daemon and a simulated receiver."""

import re
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

pytestmark = pytest.mark.peer


@pytest.fixture(scope="module")
def station(start_station: Callable[..., Any]) -> Iterator[Any]:
    """One whose truth is the host's own clock, so that peers on this machine must agree with it."""
    with start_station() as station:
        station.wait_for_lock()
        yield station


def test_ntpdate_sees_stratum_1_and_our_own_time(station, require_peer):
    def offset() -> float:
        output = station.host.run(require_peer("ntpdate"), "-q", "127.0.0.1")
        assert "stratum 1" in output or " s1 " in output, output
        found = re.search(r"([+-]\d+\.\d+)", output)
        assert found, output
        return float(found[1])

    # On a busy machine ntpdate itself may be kept waiting between its two readings of the clock.
    assert any(abs(offset()) < 1e-3 for _ in range(5))


def test_ntpdate_is_answered_over_ipv6_too(station, require_peer):
    output = station.host.run(require_peer("ntpdate"), "-q", "::1")
    assert "stratum 1" in output or " s1 " in output, output


def test_ntpq_prints_the_peers_table_of_the_guide(station, require_peer):
    ntpq = require_peer("ntpq")
    station.wait_until(lambda: all(source["reach"] == 255 for source in station.status()["sources"]), "reach 377")
    lines = station.host.run(ntpq, "-p", "127.0.0.1").splitlines()
    rows = {line.split()[0]: line.split()[1:] for line in lines[2:]}
    assert list(rows) == ["*GPS_NMEA(0)", "oPPS(0)"], lines
    for row, reference_id in (("*GPS_NMEA(0)", ".GPS."), ("oPPS(0)", ".PPS.")):
        refid, stratum, kind, when, _poll, reach, delay, offset, jitter = rows[row]
        assert (refid, stratum, kind, reach) == (reference_id, "0", "l", "377")
        assert when.isdigit() or when == "-"
        assert float(delay) == 0
        assert float(jitter) >= 0
        assert abs(float(offset)) < 200  # milliseconds: a message's delay on the serial line


def test_ntpq_reads_the_system_variables(station, require_peer):
    output = station.host.run(require_peer("ntpq"), "-c", "rv", "127.0.0.1")
    assert "stratum=1" in output
    assert "refid=PPS" in output
    assert "leap_none" in output


def test_ss_shows_the_name_of_the_server(station, require_peer):
    output = station.host.run(require_peer("ss"), "-ulnp")
    assert re.search(r'0\.0\.0\.0:123 .*\("ntp_usg_server",pid=\d+,fd=\d+\)', output), output


def test_the_journal_has_the_lines_of_the_guide(station):
    assert re.search(
        r"GPS fix acquired! Offset: -?\d+\.\d{6}s, Satellites: \d+, Quality: GPS$", station.log, re.MULTILINE
    )
    assert re.search(r"PPS pulse detected! Offset: -?\d+\.\d{9}s$", station.log, re.MULTILINE)


def test_chrony_selects_us_and_stays_below_100_microseconds(station, require_peer):
    chronyd, chronyc, folder = require_peer("chronyd"), require_peer("chronyc"), station.folder
    configuration = folder / "chrony.conf"
    configuration.write_text(
        f"server 127.0.0.1 iburst minpoll 0 maxpoll 0\nport 0\ncmdport 0\nbindcmdaddress {folder}/chrony/sock\n"
        f"pidfile {folder}/chronyd.pid\n"
    )
    (folder / "chrony").mkdir(mode=0o770)
    with station.host.running(chronyd, "-x", "-d", "-u", "root", "-f", configuration, log=folder / "chronyd.log"):

        def tracking() -> str:
            return str(station.host.run(chronyc, "-c", "-h", folder / "chrony/sock", "tracking"))

        def follows() -> bool:
            fields = tracking().strip().split(",")
            return len(fields) > 5 and fields[2] == "2" and fields[-1] == "Normal"

        station.wait_until(follows, f"chronyd at stratum 2 {(folder / 'chronyd.log').read_text()}", timeout=25)
        time.sleep(5)
        fields = tracking().strip().split(",")
        assert abs(float(fields[4])) < 100e-6, fields
        sources = station.host.run(chronyc, "-c", "-h", folder / "chrony/sock", "sources")
        assert sources.startswith("^,*,127.0.0.1,1,"), sources


def test_metrics_and_health_come_from_the_same_snapshot(station, require_peer):
    require_peer("ip")
    page = station.host.run("curl", "-s", "http://127.0.0.1:8080/metrics")
    assert re.search(r"^ntp_usg_stratum 1(\.0)?$", page, re.MULTILINE), page[:3000]
    assert re.search(r"^ntp_usg_\w*satellites\w*used\w*(\{[^}]*\})? 9(\.0)?$", page, re.MULTILINE), page
    assert re.search(r"^ntp_usg_\w*pulse_rate\w*(\{[^}]*\})? (1\.0|0\.99)", page, re.MULTILINE), page
    status, text = station.get("/healthz")
    assert status == 200
    assert text.startswith("ok")
