"""The program in the kernel as one thing: what it answers by, what it has counted, and where it is at work."""

import errno
import struct
import time
from collections.abc import Mapping, Set
from contextlib import ExitStack, closing
from pathlib import Path

from ntp_usg.core.base.errors import WireError
from ntp_usg.core.base.instants import nearest_second
from ntp_usg.core.base.snapshots import ServingState
from ntp_usg.core.base.verdicts import Outcome, Reason, Verdict
from ntp_usg.core.server.clients import Clients
from ntp_usg.core.server.policy import ServerPolicy
from ntp_usg.net.xdp.card_clock import CARD_BYTES
from ntp_usg.net.xdp.endpoints import KEY, VALUE_BYTES
from ntp_usg.net.xdp.rules import Rules
from ntp_usg.net.xdp.state import STATE_BYTES, build_state
from ntp_usg.sysapi.bpf import Link, Map, MapFlag, MapKind, XdpAction, XdpFlag
from ntp_usg.sysapi.bpf_object import parse_object
from ntp_usg.sysapi.timex import read_clocks

VERDICTS = (
    Verdict(Outcome.ANSWERED, Reason.BASIC),
    Verdict(Outcome.ANSWERED, Reason.RATE_KISS),
    Verdict(Outcome.DROPPED, Reason.ACCESS_DENIED),
    Verdict(Outcome.DROPPED, Reason.NOT_ALLOWED),
    Verdict(Outcome.DROPPED, Reason.RATE_LIMITED),
    Verdict(Outcome.DROPPED, Reason.BAD_SOURCE),
)
"""`enum verdict` of answer.c."""
_STAMPED_BY_CARD = len(VERDICTS)

OBJECT = Path(__file__).with_name("answer.o")

_COUNT = struct.Struct("=Q")
_NUMBER = struct.Struct("=Q")
_INDEX = struct.Struct("=I")
_SLOTS = 2
_MOST_ENDPOINTS = 4096
_MOST_CARDS = 64


def tai_minus_host_ns() -> int:
    """By how much the kernel's count of TAI is ahead of its time of day: whole seconds, or 0 where nobody told it."""
    return nearest_second(time.clock_gettime_ns(time.CLOCK_TAI) - time.time_ns())


class FastPath:
    """Answers under a policy, from the newest state, on all interfaces that it is attached to; usable without a daemon.

    Unsynchronised until a state is published, and deaf until it is told its endpoints. `traffic_class` is that of the
    answers; `card` the index of the interface whose card shall run the program itself; `leak_key` a secret of 64 bits
    (see `ratelimit`). Raises OSError where the kernel
    refuses a part, VerifierError where that is the program, ValueError at an impossible policy.
    """

    def __init__(
        self, policy: ServerPolicy, *, traffic_class: int = 0, card: int = 0, leak_key: int = 0, code: Path = OBJECT
    ) -> None:
        self._code = parse_object(code.read_bytes(), "xdp")
        self._options = {"traffic_class": traffic_class, "card": card, "leak_key": leak_key}
        self._links: dict[str, Link] = {}
        self._bound: set[str] = set()
        self._number = 0
        with ExitStack() as parts:
            self._endpoints = parts.enter_context(
                closing(Map(MapKind.HASH, "endpoints", (KEY.size, VALUE_BYTES), _MOST_ENDPOINTS))
            )
            self._counters = parts.enter_context(
                closing(Map(MapKind.PER_CPU_ARRAY, "counters", (_INDEX.size, _COUNT.size), len(VERDICTS) + 1))
            )
            self._cards = parts.enter_context(
                closing(Map(MapKind.HASH, "cards", (_INDEX.size, CARD_BYTES), _MOST_CARDS))
            )
            states = parts.enter_context(
                closing(Map(MapKind.ARRAY, "states", (_INDEX.size, STATE_BYTES), 1 + _SLOTS, MapFlag.MAPPABLE))
            )
            self._memory = parts.enter_context(closing(states.mapped()))
            self._shared = {
                "endpoints": self._endpoints,
                "counters": self._counters,
                "cards": self._cards,
                "states": states,
            }
            self.rules = Rules(self._code, policy, self._shared, **self._options)
            self._parts = parts.pop_all()

    def publish(self, state: ServingState) -> None:
        """Answer by this state, from now on and for a few seconds."""
        self._number += 1
        at = (1 + self._number % _SLOTS) * STATE_BYTES
        host, now = read_clocks()
        self._memory[at : at + STATE_BYTES] = build_state(self._number, state, host, now, tai_minus_host_ns())
        self._memory[: _NUMBER.size] = _NUMBER.pack(self._number)

    def adopt(self, policy: ServerPolicy) -> None:
        """Follow a policy from the next packet on: another program takes over. One that cannot be had changes nothing.

        An interface that has gone meanwhile is left.
        """
        rules, former = Rules(self._code, policy, self._shared, **self._options), self.rules
        rules.refuse_sources(former.refused_sources)
        for name, link in list(self._links.items()):
            try:
                if name in self._bound:
                    _bind(link, rules)
                else:
                    link.replace(rules.program)
            except (OSError, WireError):
                self.detach(name)
        self.rules = rules
        former.close()

    def answer_at(self, endpoints: Mapping[bytes, bytes]) -> None:
        """Answer what is sent to these, see `build_endpoints`, and nothing else."""
        present = dict(self._endpoints.items())
        for key in present.keys() - endpoints.keys():
            del self._endpoints[key]
        for key, mac in endpoints.items():
            if present.get(key) != mac:
                self._endpoints[key] = mac

    def refuse_sources(self, addresses: Set[bytes]) -> None:
        """Drop what claims to come from these packed addresses, and from no others that were refused before."""
        self.rules.refuse_sources(addresses)

    def attach(self, name: str, interface: int, mode: XdpFlag) -> None:
        """Work on the interface of this name and index; raises OSError where that is not possible in this mode."""
        self.detach(name)
        self._links[name] = Link(self.rules.program, interface, mode)

    def bind(self, name: str) -> None:
        """Have the card's stamps used on an interface, from when `card_is` says what they mean.

        A program for it alone takes over there. Raises OSError and WireError where that cannot be; all goes on then.
        """
        link = self._links[name]
        if link.mode is not XdpFlag.NATIVE:  # the kernel forgets to ask when one program replaces another
            raise OSError(errno.EOPNOTSUPP, "only programs in the driver get stamps by the card")
        _bind(link, self.rules)
        self._bound.add(name)

    def card_is(self, interface: int, line: bytes) -> None:
        """Read a card's stamps by this line, see `CardLine`, until it ends. Raises OSError."""
        self._cards[_INDEX.pack(interface)] = line

    def detach(self, name: str) -> None:
        """Leave an interface, if the program is on it."""
        self._bound.discard(name)
        if link := self._links.pop(name, None):
            link.close()

    @property
    def links(self) -> Mapping[str, Link]:
        """Where the program works, by the interface's name."""
        return self._links

    def counters(self) -> dict[Verdict, int]:
        """How many requests ended in each verdict; whatever is not among them was left to the network stack."""
        return {verdict: self._count(index) for index, verdict in enumerate(VERDICTS)}

    def stamped(self) -> int:
        """How many answers tell the time at which a card received the request."""
        return self._count(_STAMPED_BY_CARD)

    def _count(self, index: int) -> int:
        return sum(count for (count,) in _COUNT.iter_unpack(self._counters[_INDEX.pack(index)]))

    def client_table(self) -> Clients:
        """A copy of whom the program has answered, or refused for asking too often."""
        return self.rules.client_table()

    def run(self, frame: bytes, interface: int = 1, repeat: int = 1) -> tuple[XdpAction, bytes, int]:
        """Try the program on a frame, on no interface at all: see `sysapi.bpf.Program.run`."""
        return self.rules.program.run(frame, interface, repeat)

    def close(self) -> None:
        """Leave all interfaces and forget everything."""
        for name in list(self._links):
            self.detach(name)
        self.rules.close()
        self._parts.close()


def _bind(link: Link, rules: Rules) -> None:
    with closing(rules.bound_program(link.interface)) as program:  # the link keeps it
        link.replace(program)
