"""The sockets that requests come in on, kept in step with the interfaces that they belong to.

A socket is bound to an interface by its number. One that is removed and made again (a USB card, a VLAN, a tunnel) has
another number, and the old socket would be deaf for ever.
"""

import logging
import socket
from collections.abc import Callable, Sequence

from ntp_usg.core.base.errors import NtpUsgError
from ntp_usg.net.addresses import resolve
from ntp_usg.net.udp import Place, find_places, open_places

log = logging.getLogger(__name__)


class Listening:
    """Opens as many `sets` of sockets as there are workers. Raises as `open_socket_sets` does."""

    def __init__(
        self, addresses: Sequence[str], number: int, *, dscp: int = 0, index: Callable[[str], int] | None = None
    ) -> None:
        self._number, self._dscp = number, dscp
        self._index = index or interface_index
        self._places = find_places(addresses)
        self._indexes = {place.interface: self._index(place.interface) for place in self._places if place.interface}
        self.sets = open_places(self._places, number, dscp=dscp)

    def look(self) -> bool:
        """Open the sockets of interfaces that have been made again; whether `sets` has new ones for the service.

        Those that they replace are for the service to close.
        """
        changed = False
        for name, known in self._indexes.items():
            index = self._index(name)
            if not index and known:
                log.warning("Interface %s is gone: requests there get no answer until it is back", name)
                self._indexes[name] = 0
            elif index != known:
                try:
                    self._reopen(name)
                except NtpUsgError as error:  # its addresses are not there yet: the next time
                    log.warning("Interface %s is back, but %s", name, error)
                    continue
                log.info("Interface %s is back: answering there again", name)
                self._indexes[name] = index
                changed = True
        return changed

    def _reopen(self, name: str) -> None:
        at = [position for position, place in enumerate(self._places) if place.interface == name]
        places = [_again(self._places[position]) for position in at]
        opened = open_places(places, self._number, dscp=self._dscp)
        sets = [list(each) for each in self.sets]
        for each, fresh in zip(sets, opened, strict=True):
            for position, sock in zip(at, fresh, strict=True):
                each[position] = sock
        self.sets = sets


def _again(place: Place) -> Place:
    """The same with the number that its interface has now."""
    [where] = [where for family, where in resolve(place.address) if family == place.family]
    return Place(place.address, place.family, where)


def interface_index(name: str) -> int:
    """The number of an interface, 0 where there is none of that name."""
    try:
        return socket.if_nametoindex(name)
    except OSError:
        return 0
