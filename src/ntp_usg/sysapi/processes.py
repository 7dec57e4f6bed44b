"""Other programs on this machine that may set its clock, by the names that /proc gives them."""

import contextlib
from collections.abc import Collection
from pathlib import Path

_CLOCK_SETTERS = frozenset(
    {
        *("chronyd", "ntpd", "ntp-daemon", "systemd-timesyn"),  # time daemons; /proc keeps 15 bytes of a name
        *("phc2sys", "ptp4l", "ptpd", "ptpd2", "statime"),  # over PTP
        *("ntpdate", "sntp", "rdate", "htpdate", "tlsdated"),  # now and then
        *("vmtoolsd", "VBoxService"),  # as guests of a virtual machine
    }
)


def rivals(processes: Path = Path("/proc")) -> list[str]:
    """Programs that run now and may set the clock, as `chronyd (process 812)`: those that this container shows."""
    return running(_CLOCK_SETTERS, processes)


def running(names: Collection[str], processes: Path = Path("/proc")) -> list[str]:
    """Which of some programs run now, likewise; /proc keeps 15 bytes of a name."""
    found = []
    for process in sorted(int(folder.name) for folder in processes.iterdir() if folder.name.isdecimal()):
        with contextlib.suppress(OSError, UnicodeDecodeError):  # it has ended meanwhile, or is none of those anyhow
            name = (processes / str(process) / "comm").read_text().strip()
            if name in names:
                found.append(f"{name} (process {process})")
    return found
