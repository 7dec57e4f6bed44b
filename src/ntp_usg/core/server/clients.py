"""What the server remembers of its clients: arrays of a fixed size, so that a whole batch is looked up at once.

A client belongs to one bucket of eight places, by a keyed fingerprint of its address. A new one takes the place of the
bucket's client that has been silent longest: constant work, whatever anybody sends.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ntp_usg.core.base.instants import MonoNs

Words = NDArray[np.uint64]
Places = NDArray[np.int64]

WAYS = 8
"""Places of a bucket: with fewer, clients would push each other out of a table that is half empty."""

MAPPED_PREFIX = 0xFFFF << 32
"""What stands before an IPv4 address where it is written as an IPv6 one (RFC 4291 section 2.5.5.2)."""

_COLUMNS: tuple[tuple[str, str], ...] = (
    ("fingerprint", "u8"),
    ("last_seen", "i8"),
    ("due", "i8"),
    ("next_kiss", "i8"),
    ("receive_timestamp", "u8"),
    ("transmit_timestamp", "u8"),
    ("address_high", "u8"),
    ("address_low", "u8"),
    ("hits", "i8"),
    ("epoch", "i8"),
    ("first_seen", "i8"),
)
BYTES_PER_CLIENT = 8 * len(_COLUMNS)

_MASK = 2**64 - 1
_NEVER = 2**63 - 1
# Odd constants of splitmix64 (Steele, Lea and Flood 2014): multiplying by them and folding is reversible.
_MULTIPLIERS = (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB)
_FOLD = 32
# Arrays without dimensions: with them NumPy is sooner done than with scalars of its own or of Python.
_WORD_MULTIPLIERS = tuple(np.array(each, np.uint64) for each in _MULTIPLIERS)
_HALF, _ONE = np.array(_FOLD, np.uint64), np.array(1, np.uint64)
_WAYS, _ONCE = np.array(WAYS), np.array(1)
_MAPPED = np.uint64(MAPPED_PREFIX)


@dataclass(frozen=True, slots=True)
class ClientRecord:
    """One client as people see it."""

    address: bytes
    """4 or 16 bytes."""
    hits: int
    last_seen: MonoNs
    first_seen: MonoNs | None = None
    """None where that is not kept."""
    rate_limited: bool = False
    """Whether it would be refused if it asked now."""


class Clients:
    """Those who ask, to be looked at: the columns of a table, in which a row without hits is nobody's."""

    def __init__(self, columns: dict[str, NDArray[Any]]) -> None:
        self.columns = columns

    def whole(self, places: Places) -> Places:
        """Those of the places that can be relied on."""
        return places

    def records(self, places: Places | None = None, refused_beyond: int = _NEVER) -> Iterator[ClientRecord]:
        """Who is at these places, by default everybody, the latest first; refused are those `due` later than that."""
        columns = self.columns
        if places is None:
            present = columns["hits"].nonzero()[0]
            places = present[np.argsort(-columns["last_seen"][present], kind="stable")]
        places = self.whole(places)
        names = ("address_high", "address_low", "hits", "last_seen", "first_seen")
        rows = [columns[name][places].tolist() for name in names]
        refused = (columns["due"][places] > refused_beyond).tolist()
        for high, low, hits, last, first, is_refused in zip(*rows, refused, strict=True):
            address = join_halves(high, low)
            yield ClientRecord(address, hits, MonoNs(last), MonoNs(first) if first else None, is_refused)


class ClientTable(Clients):
    """The columns as arrays (`columns`) for many clients at once, and as attributes that give plain integers for one.

    due: when its token bucket is full again, see `ratelimit`; next_kiss: no kiss-o'-death before; both monotonic.
    receive_timestamp, transmit_timestamp: when its last request came and our answer left, for interleaved mode, as
    64-bit NTP timestamps, 0 = nothing to interleave with; epoch: that of the clock to which both belong.
    first_seen: since when it has its place; 0 = not known.
    `seed` (128 bits) should be secret: who knows it can crowd a bucket. `leak_key` (see `ratelimit`) comes from it.
    """

    due: "memoryview[int]"
    next_kiss: "memoryview[int]"
    receive_timestamp: "memoryview[int]"
    transmit_timestamp: "memoryview[int]"
    epoch: "memoryview[int]"
    hits: "memoryview[int]"
    last_seen: "memoryview[int]"

    def __init__(self, max_clients: int, memory: memoryview | None = None, seed: int = 0) -> None:
        size = table_bytes(max_clients)
        self._buckets = size // BYTES_PER_CLIENT // WAYS
        words = np.frombuffer(bytearray(size) if memory is None else memory, np.uint64)
        super().__init__({})
        for (name, kind), column in zip(_COLUMNS, words.reshape(len(_COLUMNS), -1), strict=True):
            self.columns[name] = column.view(kind)
            setattr(self, name, memoryview(self.columns[name].data))
        self._fingerprints = self.columns["fingerprint"].reshape(-1, WAYS)
        self._last_seen = self.columns["last_seen"].reshape(-1, WAYS)
        self._bucket_view = memoryview(self.columns["fingerprint"].data)
        self._seeds = (seed & _MASK, seed >> 64 & _MASK)
        self.leak_key = int.from_bytes(sha256(seed.to_bytes(16)).digest()[:8]) if seed else 0
        start = self._seeds[0] * _MULTIPLIERS[0] & _MASK
        self._ipv4_start = np.array(start ^ start >> _FOLD ^ self._seeds[1] ^ MAPPED_PREFIX, np.uint64)
        self._bucket_count = np.array(self._buckets, np.uint64)
        self.recount()

    def __len__(self) -> int:
        return self._length

    def recount(self) -> None:
        """Count the clients again, where another process has written the table since we first looked at it."""
        self._length = int(np.count_nonzero(self._fingerprints))

    def visit(self, address: bytes, now: MonoNs) -> int:
        """The place of a client that has just sent something; `address` has 4 or 16 bytes."""
        high, low = split_halves(address)
        fingerprint = self._fingerprint(high, low)
        bucket = (fingerprint >> 32) * self._buckets >> 32
        first = bucket * WAYS
        try:
            place = first + self._bucket_view[first : first + WAYS].tolist().index(fingerprint)
        except ValueError:
            place = first + int(self._last_seen[bucket].argmin())
            words = np.array([[fingerprint], [high], [low]], np.uint64)
            self._settle(np.array([place]), words[0], words[1], words[2], now)
        self.hits[place] += 1
        self.last_seen[place] = now
        return place

    def visit_many(self, high: Words | None, low: Words, now: MonoNs) -> tuple[Places, Places | None, Places]:
        """The places of the clients of a batch, how many of its requests came from the same one before each, and hits.

        `high` and `low` are the halves of IPv6 addresses; without `high`, `low` are IPv4 ones. The second is None where
        no client occurs twice. The third counts the requests of each client up to this one, as `hits` does.
        """
        fingerprints = self._fingerprint_many(high, low)
        buckets = (fingerprints >> _HALF) * self._bucket_count
        buckets >>= _HALF
        found = self._fingerprints.take(buckets.view(np.int64), 0) == fingerprints[:, None]
        places: Places = buckets.view(np.int64) * _WAYS
        places += found.argmax(1)
        if np.count_nonzero(found) < len(found):
            self._welcome(places, fingerprints, high, low, now)
        earlier = _occurrences(places)
        hits = self.columns["hits"][places]
        hits += _ONCE if earlier is None else earlier + 1
        self.columns["hits"][places] = hits  # of the same place written twice the last one stays: the one with all
        self.columns["last_seen"][places] = now
        return places, earlier, hits

    def _welcome(self, places: Places, fingerprints: Words, high: Words | None, low: Words, now: MonoNs) -> None:
        """Settle those clients of a batch that are not at the places written down for them, and write down where."""
        buckets = places // WAYS
        pending = (self.columns["fingerprint"][places] != fingerprints).nonzero()[0]
        while pending.size:
            # One newcomer of each bucket a round: the next may be the same client again.
            crowded, first = np.unique(buckets[pending], return_index=True)
            chosen = pending[first]
            settled = crowded * WAYS + self._last_seen[crowded].argmin(1)
            self._settle(settled, fingerprints[chosen], None if high is None else high[chosen], low[chosen], now)
            found = self._fingerprints[buckets[pending]] == fingerprints[pending][:, None]
            places[pending] = buckets[pending] * WAYS + found.argmax(1)
            pending = pending[~found.any(1)]

    def unvisit_many(self, places: Places) -> None:
        """Take hits back: these requests are left to somebody who will visit again."""
        np.subtract.at(self.columns["hits"], places, 1)

    def refill(self) -> None:
        """Fill every token bucket, as a new rate asks for: `due` was counted in intervals of the old one."""
        self.columns["due"][:] = 0

    def whole(self, places: Places) -> Places:
        """Without the rows that another process is writing at this moment: those do not fit their fingerprints."""
        columns = self.columns
        fingerprints = self._fingerprint_many(columns["address_high"][places], columns["address_low"][places])
        whole: Places = places[fingerprints == columns["fingerprint"][places]]
        return whole

    def _settle(self, places: Places, fingerprints: Words, high: Words | None, low: Words, now: MonoNs) -> None:
        """Give places to newcomers, and forget who was there."""
        columns = self.columns
        self._length += int(np.count_nonzero(columns["fingerprint"][places] == 0))
        for column in columns.values():
            column[places] = 0
        columns["fingerprint"][places] = fingerprints
        columns["address_high"][places] = 0 if high is None else high
        columns["address_low"][places] = low | _MAPPED if high is None else low
        columns["last_seen"][places] = columns["first_seen"][places] = now

    def _fingerprint(self, high: int, low: int) -> int:
        """Reversible for IPv4, so that no two of its addresses share one; for IPv6, 64 of 128 bits under a secret."""
        value = (high ^ self._seeds[0]) * _MULTIPLIERS[0] & _MASK
        value = ((value ^ value >> _FOLD ^ low ^ self._seeds[1]) * _MULTIPLIERS[1]) & _MASK
        return ((value ^ value >> _FOLD) * _MULTIPLIERS[2]) & _MASK or 1

    def _fingerprint_many(self, high: Words | None, low: Words) -> Words:
        first, second, third = _WORD_MULTIPLIERS
        if high is None:
            value = low ^ self._ipv4_start
        else:
            value = (high ^ np.uint64(self._seeds[0])) * first
            value ^= value >> _HALF
            value ^= low
            value ^= np.uint64(self._seeds[1])
        value *= second
        value ^= value >> _HALF
        value *= third
        np.maximum(value, _ONE, out=value)
        return value


def split_halves(address: bytes) -> tuple[int, int]:
    """The halves of an address of 16 bytes, or of 4 with what stands before them where 16 are written."""
    number = int.from_bytes(address, "big")
    return (0, MAPPED_PREFIX | number) if len(address) == 4 else (number >> 64, number & _MASK)


def join_halves(high: int, low: int) -> bytes:
    """Undo split_halves."""
    if high == 0 and low >> 32 == MAPPED_PREFIX >> 32:
        return (low & 0xFFFFFFFF).to_bytes(4, "big")
    return (high << 64 | low).to_bytes(16, "big")


def _occurrences(places: Places) -> Places | None:
    """How often each value has occurred before; None where none has."""
    ordered = places.copy()
    ordered.sort()
    repeats = ordered[1:] == ordered[:-1]
    repeated = np.count_nonzero(repeats)
    if not repeated:
        return None
    if repeated == len(places) - 1:
        return np.arange(len(places))
    order = np.argsort(places, kind="stable")
    indexes = np.arange(len(places))
    begins = np.ones(len(places), np.bool_)
    begins[1:] = ~repeats
    occurrences = np.empty_like(places)
    occurrences[order] = indexes - np.maximum.accumulate(np.where(begins, indexes, 0))
    return occurrences


def table_bytes(max_clients: int) -> int:
    """Memory of a table for so many clients. Raises ValueError where it would be none."""
    if max_clients < 1:
        raise ValueError(f"max_clients is {max_clients}, but must be 1 or more")
    return -(-max_clients // WAYS) * WAYS * BYTES_PER_CLIENT
