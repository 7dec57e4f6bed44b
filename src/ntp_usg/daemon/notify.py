"""The service manager's side of systemd.service(5) Type=notify: READY, STATUS, WATCHDOG, STOPPING."""

import os
import socket


def notify(message: str) -> None:
    """Send one sd_notify(3) message; without a service manager this does nothing."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
        try:
            channel.sendto(message.encode(), address.replace("@", "\0", 1) if address.startswith("@") else address)
        except OSError:
            return  # a service manager that does not listen is no reason to stop serving time


def watchdog_interval() -> float | None:
    """Seconds between signs of life: half of what the service manager allows, None where it does not watch."""
    allowed_us = os.environ.get("WATCHDOG_USEC", "")
    addressed = os.environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
    return int(allowed_us) / 2e6 if allowed_us.isdigit() and int(allowed_us) > 0 and addressed else None
