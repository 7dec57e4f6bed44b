"""Answers to `ntpq -c mrulist`: the clients, those that have been silent longest first, in as many parts as it takes.

And to `ntpq -c monstats`: how full their tables are.

Opcodes 10 and 12 of RFC 9327; names and formats are ntpd's (ntpsec's docs/mode6.adoc, "CTL_OP_READ_MRU"). Nothing is
remembered between two parts: the order is total, and ntpq says up to where it has come.
"""

import hmac
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from ipaddress import ip_address

from ntp_usg.core.base.instants import NS_PER_SECOND, MonoNs, WallNs
from ntp_usg.core.server.access import unmapped
from ntp_usg.core.server.clients import ClientRecord
from ntp_usg.core.server.listing import MOST_CLIENTS, Order, Question
from ntp_usg.core.wire.control import MAX_FRAGMENT_DATA, ControlMessage, ErrorCode, Opcode, RefusedError
from ntp_usg.core.wire.timestamps import from_ntp, to_ntp

NONCE_SECONDS = 16
"""How long a nonce is good; ntpq knows this number, and asks for another in time."""
MOST_FRAGMENTS = 32
"""Packets in one answer: ntpq wants so many."""

_SHORTEST_ROW, _LONGEST_END = 90, 80
_LIMITED = 0x20
"""RES_LIMITED: among the restrictions of ntpd, the one for clients that ask too often."""
_NUMBERS = {"frags", "limit", "mincount", "maxlstint", "minlstint", "recent", "resall", "resany"}
_MOST = 2**31
_PLACE = re.compile(r"(addr|last)\.(\d|1[0-5])")
_STAMP = re.compile(r"0x([0-9a-f]{8})\.([0-9a-f]{8})")

ListClients = Callable[[Question, MonoNs], Sequence[ClientRecord]]


@dataclass(frozen=True, slots=True)
class MruRequest:
    """What a READ_MRU wants."""

    nonce: str
    numbers: Mapping[str, int]
    """Limits and filters by ntpd's names, as far as they were given."""
    after: tuple[int, bytes] | None
    """The last client that the asker knows: NTP timestamp and packed address. Others, older ones, are not needed."""


def parse_mru_request(data: bytes) -> MruRequest:
    """Raises ValueError at what is no list of parameters, and at parameters that are not known here."""
    pairs = (item.partition("=") for item in data.decode("ascii").split(",") if item.strip())
    texts = {name.strip(): value.strip() for name, _, value in pairs}
    nonce = texts.pop("nonce", "")
    numbers = {name: _parse_number(texts.pop(name)) for name in _NUMBERS & texts.keys()}
    unknown = [name for name in texts if not _PLACE.fullmatch(name)]
    if unknown:
        raise ValueError(f"unknown parameters {unknown}")
    after = None
    if "addr.0" in texts or "last.0" in texts:
        after = _parse_stamp(texts.get("last.0", "")), _parse_address(texts.get("addr.0", ""))
    return MruRequest(nonce, numbers, after)


@dataclass(frozen=True, slots=True)
class Occupancy:
    """How full the tables of clients are."""

    clients: int
    most: int
    """That have been remembered at once since the start."""
    places: int
    oldest: MonoNs | None
    """When the client that has been silent longest was last seen."""


_NOT_COUNTED = (
    "hashslots", "mindepth", "maxage", "mem", "maxmem", "exists", "new", "recycleold", "recyclefull", "none"
)  # fmt: skip


def occupancy_variables(occupancy: Occupancy, now: MonoNs) -> dict[str, str]:
    """The variables `mru_...` of ntpd; empty are those that have no like in our tables, or are not counted."""
    variables = {
        "enabled": "0x1",
        "depth": str(occupancy.clients),
        "deepest": str(occupancy.most),
        "maxdepth": str(occupancy.places),
        # Whoever is new gets a place, however recently somebody in it has asked.
        "minage": "0",
        "oldest_age": "" if occupancy.oldest is None else str((now - occupancy.oldest) // NS_PER_SECOND),
    }
    return {f"mru_{name}": value for name, value in (dict.fromkeys(_NOT_COUNTED, "") | variables).items()}


class MruList:
    """Tells of clients, to those who have shown that what is sent to their address arrives there.

    `secret` makes nonces that nobody else can make.
    """

    def __init__(self, secret: bytes, list_clients: ListClients) -> None:
        self._secret = secret
        self._list_clients = list_clients
        self._wall_minus_mono: int | None = None

    def answer(self, client: bytes, message: ControlMessage, now: MonoNs, wall: WallNs) -> bytes:
        """Data of the answer to a READ_MRU or REQUEST_NONCE of this packed address.

        Raises RefusedError: PERMISSION at a nonce that is not the client's or too old, BAD_FORMAT at whatever cannot be
        done. UNKNOWN_VARIABLE and BAD_VALUE would say more, but ntpq takes them as reasons to try again and again.
        """
        if message.opcode == Opcode.REQUEST_NONCE:
            return f"nonce={self._nonce(client, now)}\r\n".encode("ascii")
        try:
            request = parse_mru_request(message.data)
        except ValueError:
            raise RefusedError(ErrorCode.BAD_FORMAT) from None
        if not self._is_good(request.nonce, client, now):
            raise RefusedError(ErrorCode.PERMISSION)
        if self._wall_minus_mono is None or abs(wall - now - self._wall_minus_mono) > NS_PER_SECOND:
            # Kept while it is right to a second: what ntpq quotes must mean the same after the clock has been slewed.
            self._wall_minus_mono = wall - now
        items = self._items(request, self._nonce(client, now), now)
        return ", ".join(items).encode("ascii") + b"\r\n"

    def _nonce(self, client: bytes, issued: int) -> str:
        """With an `n` in front, because ntpq makes a number of what looks like one."""
        second = issued // NS_PER_SECOND
        return f"n{second:x}n{hmac.digest(self._secret, b'%d ' % second + client, 'sha256')[:12].hex()}"

    def _is_good(self, nonce: str, client: bytes, now: MonoNs) -> bool:
        stated = re.match(r"n([0-9a-f]{1,12})n", nonce)
        second = int(stated[1], 16) if stated else 0
        genuine = hmac.compare_digest(nonce, self._nonce(client, second * NS_PER_SECOND))
        return genuine and 0 <= now // NS_PER_SECOND - second <= NONCE_SECONDS

    def _items(self, request: MruRequest, nonce: str, now: MonoNs) -> Iterator[str]:
        """A new nonce, where we begin, as many clients as there is room for, and `now` if nobody comes after them."""
        head = [f"nonce={nonce}"]
        if request.after:
            head += [f"last.older={_build_stamp(request.after[0])}", f"addr.older={_build_address(request.after[1])}"]
        yield from head
        fragments = min(max(request.numbers.get("frags", MOST_FRAGMENTS), 1), MOST_FRAGMENTS)
        room = fragments * MAX_FRAGMENT_DATA - sum(len(item) + 2 for item in head) - _LONGEST_END
        question = self._question(request, room // _SHORTEST_ROW + 1, now)
        found = self._list_clients(question, now)
        for index, record in enumerate(found):
            row = self._row(index, record)
            room -= len(row) + 2
            if room < 0:
                return
            yield row
        if len(found) < question.count:
            yield f"now={self._stamp(now)}"
            if found:
                yield f"last.newest={self._stamp(found[-1].last_seen)}"

    def _question(self, request: MruRequest, most: int, now: MonoNs) -> Question:
        numbers = request.numbers
        every, some = numbers.get("resall", 0), numbers.get("resany", 0)
        wanted = [flags for flags in (0, _LIMITED) if flags & every == every and (not some or flags & some)]
        question = Question(
            order=Order.OLDEST,
            # ntpd looks at `limit` only where no `frags` are given
            count=most if "frags" in numbers else min(most, max(numbers.get("limit", most), 1)),
            min_hits=numbers.get("mincount", 1) if wanted else _MOST,
            seen_from=now - numbers.get("maxlstint", _MOST) * NS_PER_SECOND,
            seen_until=now - numbers.get("minlstint", 0) * NS_PER_SECOND,
            rate_limited=wanted == [_LIMITED] if len(wanted) == 1 else None,
        )
        if request.after:
            stamp, address = request.after
            return replace(question, after=(self._instant(stamp, now), address))
        if recent := min(numbers.get("recent", 0), MOST_CLIENTS):
            newest = self._list_clients(replace(question, order=Order.RECENT, count=recent), now)
            return replace(question, seen_from=newest[-1].last_seen) if newest else question
        return question

    def _row(self, index: int, record: ClientRecord) -> str:
        """Port, mode and version are not kept (docs/decisions/0006 says why): 0."""
        first = record.last_seen if record.first_seen is None else record.first_seen
        items = {
            "addr": _build_address(record.address),
            "last": self._stamp(record.last_seen),
            "first": self._stamp(first),
            "ct": str(record.hits),
            "mv": "0",
            "rs": f"{_LIMITED * record.rate_limited:#x}",
        }
        return ", ".join(f"{name}.{index}={value}" for name, value in items.items())

    def _stamp(self, instant: MonoNs) -> str:
        assert self._wall_minus_mono is not None
        return _build_stamp(to_ntp(WallNs(instant + self._wall_minus_mono)))

    def _instant(self, stamp: int, now: MonoNs) -> MonoNs:
        assert self._wall_minus_mono is not None
        wall = from_ntp(stamp, WallNs(now + self._wall_minus_mono))
        return MonoNs(max(wall - self._wall_minus_mono, 0))


def _parse_number(text: str) -> int:
    number = int(text, 0)
    if not 0 <= number <= _MOST:
        raise ValueError(f"{text} is out of range")
    return number


def _parse_stamp(text: str) -> int:
    found = _STAMP.fullmatch(text)
    if not found:
        raise ValueError(f"{text!r} is no timestamp")
    return int(found[1] + found[2], 16)


def _build_stamp(stamp: int) -> str:
    return f"0x{stamp >> 32:08x}.{stamp & 0xFFFFFFFF:08x}"


def _parse_address(text: str) -> bytes:
    """`192.0.2.1:123` or `[2001:db8::1]:123`; the port says nothing."""
    return unmapped(ip_address(text.rpartition(":")[0].strip("[]")).packed)


def _build_address(address: bytes) -> str:
    host = ip_address(address)
    return f"[{host}]:0" if host.version == 6 else f"{host}:0"
