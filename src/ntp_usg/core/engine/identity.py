"""Which servers are this one itself, or one and the same under two names: neither is a witness of its own."""

from collections import deque
from collections.abc import Mapping

from ntp_usg.core.base.snapshots import ServingState
from ntp_usg.core.base.verdicts import Reason
from ntp_usg.core.engine.network_source import NetworkSource
from ntp_usg.core.wire.header import Header
from ntp_usg.core.wire.timestamps import to_ntp

REMEMBERED = 32
"""So many states, each published by a correction of the clock, may still be on their way in answers."""


class Identity:
    """Compares addresses, not names, and each answer with what we answer ourselves."""

    def __init__(self, servers: Mapping[str, NetworkSource]) -> None:
        self._servers = servers
        self._answered: deque[tuple[int, bytes, int]] = deque(maxlen=REMEMBERED)

    def publish(self, state: ServingState) -> None:
        """Take in what answers say from now on."""
        told = state.stratum, state.reference_id, to_ntp(state.reference_time)
        if state.synchronised and told not in self._answered:
            self._answered.append(told)

    def objection(self, name: str, header: Header) -> Reason | None:
        """Why a server's answer is not one more witness of the time; None where it is."""
        server = self._servers[name]
        told = header.stratum, header.reference_id, header.reference_timestamp
        if server.is_ours or told in self._answered:  # the latter finds us behind an address that is translated
            return Reason.OWN_ADDRESS
        return None if server.where is None or self._first_at(server.where) is server else Reason.SAME_SERVER

    def _first_at(self, where: tuple[str, int]) -> NetworkSource:
        """Of all sources that ask the same address the one that counts: one that may be followed, in their order."""
        same = [each for each in self._servers.values() if each.where == where]
        return min(same, key=lambda each: each.settings.noselect)
