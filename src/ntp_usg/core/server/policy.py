"""What the operator wants of the server: plain values, so that they cross to the workers as JSON."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ServerPolicy:
    """Networks are written as in the configuration and parsed by `access.parse_network`."""

    allow: tuple[str, ...] | None = None
    """None = everybody; empty = nobody."""
    deny: tuple[str, ...] = ()
    monitor: tuple[str, ...] = ("127.0.0.0/8", "::1/128")
    """Who may ask mode 6 questions (ntpq), among those whom the other two lists let in."""
    rate_limit: bool = True
    packets_per_second: float = 100.0
    """Of one client, in the long run."""
    burst_size: int = 200
    """How many it may send at once."""
    interleaved: bool = False
    """Whether to offer RFC 9769 interleaved mode."""
    max_clients: int = 100_000
    """How many clients are remembered; how many are served has no limit."""
