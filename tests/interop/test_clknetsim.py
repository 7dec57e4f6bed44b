"""docs/how-to/run-under-clknetsim.md: the shim of that page gives the daemon what clknetsim lacks.

clknetsim is no package of Debian's. In its place stands a library that refuses the same calls in the same way.
"""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SHIM = ROOT / "docs/how-to/clknetsim-shim.c"
REFUSING = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/syscall.h>

long syscall(long number, ...) {
    long a[6];
    va_list arguments;
    va_start(arguments, number);
    for (int i = 0; i < 6; i++) a[i] = va_arg(arguments, long);
    va_end(arguments);
    if (number != SYS_getrandom && number != SYS_futex && number != SYS_gettid) abort();
    long (*next)(long, ...) = dlsym(RTLD_NEXT, "syscall");
    return next(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

int socket(int domain, int type, int protocol) {
    if (type & (SOCK_CLOEXEC | SOCK_NONBLOCK)) abort();
    int (*next)(int, int, int) = dlsym(RTLD_NEXT, "socket");
    return next(domain, type, protocol);
}

int getsockopt(int fd, int level, int option, void *value, socklen_t *length) {
    if (level == SOL_SOCKET && option == SO_BINDTODEVICE) return errno = EINVAL, -1;
    int (*next)(int, int, int, void *, socklen_t *) = dlsym(RTLD_NEXT, "getsockopt");
    return next(fd, level, option, value, length);
}
"""
CONFIGURATION = """
[server]
listen_addr = ["127.0.0.1:123"]
clock = "virtual"
control_socket = "{folder}/control.sock"
[clock]
drift_file = ""
[metrics]
enabled = false
[local]
"""


@pytest.fixture(scope="module")
def libraries(require_peer, tmp_path_factory) -> tuple[str, str]:
    """The shim, and what stands for the simulator."""
    compiler, folder = require_peer("cc"), tmp_path_factory.mktemp("libraries")
    (folder / "refusing.c").write_text(REFUSING)
    for source, library in ((SHIM, "shim.so"), (folder / "refusing.c", "refusing.so")):
        subprocess.run([compiler, "-Wall", "-Werror", "-shared", "-fPIC", "-o", folder / library, source], check=True)
    return str(folder / "shim.so"), str(folder / "refusing.so")


def test_what_the_page_says_is_needed_is_needed(libraries):
    call = "import ctypes; ctypes.CDLL(None).syscall(39)"  # getpid, which NumPy's mbind stands for as well
    for preloaded, expected in ((libraries[1], -signal.SIGABRT), (" ".join(libraries), 0)):
        done = subprocess.run([sys.executable, "-c", call], env={**os.environ, "LD_PRELOAD": preloaded}, check=False)
        assert done.returncode == expected


def test_a_program_that_waits_on_is_ended_when_the_simulation_is_over(libraries):
    asked = (
        "import os, signal; signal.signal(15, lambda *_: None); [os.kill(os.getpid(), 15) for _ in range(101)]; exit(1)"
    )
    for preloaded, expected in (("", 1), (libraries[0], 0)):
        done = subprocess.run([sys.executable, "-c", asked], env={**os.environ, "LD_PRELOAD": preloaded}, check=False)
        assert done.returncode == expected


@pytest.mark.peer
def test_the_daemon_starts_and_stops_where_the_simulator_refuses_calls(host, libraries, tmp_path):
    (tmp_path / "server.toml").write_text(CONFIGURATION.format(folder=tmp_path))
    log = tmp_path / "log"
    command = [str(Path(sys.executable).with_name("ntp_usg_server")), "--config", str(tmp_path / "server.toml")]
    words = ["env", f"LD_PRELOAD={' '.join(libraries)}", "NTP_USG_EVENT_LOOP=select", *command]
    with host.running(*words, log=log) as daemon:
        deadline = time.monotonic() + 30
        while " serves on " not in log.read_text() and daemon.poll() is None and time.monotonic() < deadline:
            time.sleep(0.1)
        daemon.terminate()
        assert daemon.wait(10) == 0, log.read_text()
    assert " serves on " in log.read_text()
    assert "Traceback" not in log.read_text()
