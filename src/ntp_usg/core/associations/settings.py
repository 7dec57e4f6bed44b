"""How to ask one server."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class AssociationSettings:
    """How to ask one server. Polls are exponents of two, in seconds."""

    name: str
    version: int = 4
    min_poll: int = 6
    max_poll: int = 10
    iburst: bool = False
    """Ask a server that is new at first quickly, then ever more slowly; one that is back again, a few times quickly."""
    burst: bool = False
    """Ask a few times in quick succession at each poll: only for one's own servers."""
    precision: int = -20
    """Of our timestamps, as an exponent of two in seconds."""
    max_distance: float = 3.0
    """An answer whose time may be off by more seconds is refused (RFC 5905 MAXDIST)."""
