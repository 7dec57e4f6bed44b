"""What the environment asks of this program."""

import os

from ntp_usg.core.base.errors import NtpUsgError

EVENT_LOOP = "NTP_USG_EVENT_LOOP"


def only_select() -> bool:
    """Whether to do without threads, other processes, epoll and pipes: under simulators that replace the C library.

    Raises NtpUsgError for a value that nobody knows.
    """
    value = os.environ.get(EVENT_LOOP, "")
    if value not in ("", "select"):
        raise NtpUsgError(f"{EVENT_LOOP}={value}: there is no such event loop; `select`, or nothing")
    return value == "select"
