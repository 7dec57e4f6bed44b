"""How often one client may ask: a token bucket, and now and then a kiss-o'-death that says so."""

from ntp_usg.core.base.instants import NS_PER_SECOND, MonoNs
from ntp_usg.core.server.clients import Client

KISS_INTERVAL_NS = NS_PER_SECOND
"""A client that does not listen gets silence in between, so that nobody can be hit with kisses in its name."""


class RateLimit:
    """A token bucket kept as one integer a client: `due`, the time at which its bucket will be full again.

    Each request moves that time on by one interval; it is refused when more than a burst of them lies ahead
    (the virtual scheduling form of ITU-T I.371, which admits exactly what a counting bucket admits).
    """

    def __init__(self, packets_per_second: float, burst_size: int) -> None:
        if not packets_per_second > 0 or burst_size < 1:
            raise ValueError(f"a rate of {packets_per_second} a second in bursts of {burst_size} would admit nobody")
        self._interval_ns = round(NS_PER_SECOND / packets_per_second)
        self._tolerance_ns = self._interval_ns * (burst_size - 1)

    def admits(self, client: Client, now: MonoNs) -> bool:
        """Whether this request may be answered, which takes a token. The first one of a new client always may."""
        due = max(client.due, now)
        if due - now > self._tolerance_ns:
            return False
        client.due = due + self._interval_ns
        return True


def may_kiss(client: Client, now: MonoNs) -> bool:
    """Whether a refused client may be told so: at most once a second."""
    if now < client.next_kiss:
        return False
    client.next_kiss = now + KISS_INTERVAL_NS
    return True
