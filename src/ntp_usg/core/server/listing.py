"""Who asks: the few of perhaps a million clients that somebody wants to see, chosen in arrays."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ntp_usg.core.base.instants import MonoNs
from ntp_usg.core.server.clients import ClientRecord, Clients, Places, split_halves
from ntp_usg.core.server.policy import ServerPolicy
from ntp_usg.core.server.ratelimit import RateLimit

MOST_CLIENTS = 10_000
"""More are never given at once: each costs 3 us to tell."""

_FOREVER = 2**62


class Order(StrEnum):
    """Who comes first."""

    RECENT = "recent"
    """Who was seen last."""
    HITS = "hits"
    """Who asks most; among equals, who was seen last."""
    OLDEST = "oldest"
    """Who has been silent longest; among equals, the smaller address. This order is total: one can go on in it."""


@dataclass(frozen=True, slots=True)
class Question:
    """Which clients, in which order, and how many of them (at most MOST_CLIENTS)."""

    order: Order = Order.RECENT
    count: int = MOST_CLIENTS
    min_hits: int = 1
    seen_from: int = 0
    seen_until: int = _FOREVER
    rate_limited: bool | None = None
    """None = either way."""
    after: tuple[MonoNs, bytes] | None = None
    """Only those that come after this time and address in the order OLDEST."""


def list_clients(
    tables: Iterable[Clients], policy: ServerPolicy, question: Question, now: MonoNs
) -> list[ClientRecord]:
    """The answer, from tables no two of which know the same client.

    Takes 7 ms where there are a million clients, and 3 us for each that is told.
    """
    refused_beyond = _FOREVER
    if policy.rate_limit:
        refused_beyond = now + RateLimit(policy.packets_per_second, policy.burst_size).tolerance_ns
    chosen = [
        record
        for table in tables
        for record in table.records(_choose(table.columns, question, refused_beyond), refused_beyond)
    ]
    chosen.sort(key=_RANKS[question.order])
    return chosen[: question.count]


def merge_clients(tables: Iterable[Clients]) -> Clients:
    """A copy of all tables as one, in which nobody is twice: 0.3 s for a million clients."""
    present = [(table, table.whole(np.flatnonzero(table.columns["hits"]))) for table in tables]
    joined = {name: np.concatenate([table.columns[name][places] for table, places in present]) for name in _MERGED}
    high, low = joined["address_high"], joined["address_low"]
    order = np.lexsort((low, high))
    high, low = high[order], low[order]
    begins = np.flatnonzero(np.concatenate([[True], (high[1:] != high[:-1]) | (low[1:] != low[:-1])])[: len(order)])
    if not len(begins):
        return Clients(joined)
    return Clients({name: merge.reduceat(joined[name][order], begins) for name, merge in _MERGED.items()})


_MERGED = {
    "address_high": np.maximum,
    "address_low": np.maximum,
    "hits": np.add,
    "last_seen": np.maximum,
    "first_seen": np.minimum,
    "due": np.maximum,
}

_RANKS = {
    Order.RECENT: lambda record: -record.last_seen,
    Order.HITS: lambda record: (-record.hits, -record.last_seen),
    Order.OLDEST: lambda record: (record.last_seen, split_halves(record.address)),
}

_Columns = Mapping[str, NDArray[Any]]


_KEYS = {
    Order.RECENT: (("last_seen", -1),),
    Order.HITS: (("hits", -1), ("last_seen", -1)),
    Order.OLDEST: (("last_seen", 1), ("address_high", 1), ("address_low", 1)),
}
"""The ranks as columns, and whether a smaller value comes first (1) or a larger one (-1)."""


def _choose(columns: _Columns, question: Question, refused_beyond: int) -> Places:
    """The places of the clients that a table has to offer, in no order."""
    seen, hits = columns["last_seen"], columns["hits"]
    since = max(question.seen_from, question.after[0] if question.after else 0)
    chosen = (hits >= max(question.min_hits, 1)) & (seen >= since) & (seen <= question.seen_until)
    if question.rate_limited is not None:
        chosen &= (columns["due"] > refused_beyond) == question.rate_limited
    places = np.flatnonzero(chosen)
    if question.after:
        places = places[_follows({name: columns[name][places] for name in _PLACE}, *question.after)]
    return _first(columns, places, _KEYS[question.order], min(question.count, MOST_CLIENTS))


_PLACE = ("last_seen", "address_high", "address_low")


def _follows(columns: _Columns, last: MonoNs, address: bytes) -> NDArray[np.bool_]:
    """Who comes after a client in the order OLDEST."""
    (seen, high, low), (last_high, last_low) = (columns[name] for name in _PLACE), split_halves(address)
    beyond = (high > last_high) | ((high == last_high) & (low > last_low))
    follows: NDArray[np.bool_] = (seen > last) | ((seen == last) & beyond)
    return follows


def _first(columns: _Columns, places: Places, keys: Sequence[tuple[str, int]], count: int) -> Places:
    """The first places by the first key; where not all of its equals fit, the next key decides."""
    if len(places) <= count or not keys:
        return places[:count]
    name, sign = keys[0]
    key = columns[name][places] if sign > 0 else -columns[name][places]
    last = np.partition(key, count - 1)[count - 1]
    before = places[key < last]
    return np.concatenate([before, _first(columns, places[key == last], keys[1:], count - len(before))])
