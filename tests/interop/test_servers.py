"""The daemon as a client: it follows Debian's chronyd, and says whom it follows and why."""

import re
from contextlib import contextmanager

import pytest

pytestmark = pytest.mark.peer


@contextmanager
def chronyd(station_host, require_peer, folder, *, port, stratum=1, offset=""):
    """A real server on a port of 127.0.0.1 that serves this machine's time and touches no clock."""
    configuration = folder / f"chrony-{port}.conf"
    configuration.write_text(
        f"port {port}\nlocal stratum {stratum}\nallow all\ncmdport 0\npidfile {folder}/chronyd-{port}.pid\n"
        f"bindcmdaddress /\n{offset}"
    )
    program = require_peer("chronyd")
    log = folder / f"chronyd-{port}.log"
    with station_host.running(program, "-x", "-d", "-u", "root", "-f", configuration, log=log):
        yield


def test_the_daemon_follows_real_servers_and_serves_at_the_next_stratum(host, start_daemon, require_peer, tmp_path):
    sources = "".join(
        f'[[source]]\naddress = "127.0.0.1:{port}"\nmin_poll = 1\nmax_poll = 4\n' for port in (11201, 11202, 11203)
    )
    with (
        chronyd(host, require_peer, tmp_path, port=11201),
        chronyd(host, require_peer, tmp_path, port=11202, stratum=2),
        chronyd(host, require_peer, tmp_path, port=11203),
        start_daemon(sources) as station,
    ):
        station.wait_for_lock()
        system = station.status()["system"]
        assert system["stratum"] in {2, 3}
        assert system["reference_id"] == "127.0.0.1"
        station.wait_until(lambda: abs(station.status()["system"]["host_offset"]) < 1e-3, "the servers' time")
        station.wait_until(lambda: all(s["healthy"] for s in station.status()["sources"]), "three healthy servers")
        output = station.host.run(require_peer("ntpq"), "-n", "-p", "127.0.0.1")
        assert re.search(r"^\*127\.0\.0\.1 +127\.127\.1\.1 +[12] u", output, re.MULTILINE), output


def test_a_server_that_does_not_exist_is_told_in_words(start_daemon):
    with start_daemon('[[source]]\naddress = "127.0.0.1:11299"\n') as station:
        station.wait_for_log("127.0.0.1:11299: cannot be reached: Connection refused")
        assert station.status()["system"]["synchronised"] is False


def test_when_an_address_comes_the_servers_behind_it_are_asked_at_once(host, start_daemon, require_peer, tmp_path):
    source = '[[source]]\naddress = "10.99.0.1:11204"\nmin_poll = 10\niburst = false\n'
    with (
        chronyd(host, require_peer, tmp_path, port=11204),
        start_daemon(source) as station,
    ):
        station.wait_for_log("10.99.0.1:11204: cannot be reached")
        host.run("ip", "address", "add", "10.99.0.1/32", "dev", "lo")
        try:
            station.wait_until(lambda: station.status()["sources"][0]["reach"], "an answer long before the next poll")
        finally:
            host.run("ip", "address", "del", "10.99.0.1/32", "dev", "lo")
        assert "The network has changed: asking 10.99.0.1:11204 again" in station.log
