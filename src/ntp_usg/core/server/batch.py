"""Answers a whole batch of plain requests at once, as the responder would one by one; the rest is left to it."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ntp_usg.core.base.instants import NS_PER_SECOND, MonoNs, WallNs
from ntp_usg.core.base.mapping import ClockMapping
from ntp_usg.core.base.snapshots import ServingState
from ntp_usg.core.base.verdicts import Outcome, Reason, Verdict
from ntp_usg.core.server.access_map import ADMITTED, REASONS, UNDECIDED, AccessMap
from ntp_usg.core.server.policy import ServerPolicy
from ntp_usg.core.server.ratelimit import leaks_many
from ntp_usg.core.server.responder import Responder, answer_start, is_usable, unusable
from ntp_usg.core.wire.header import HEADER_LENGTH, VERSIONS, Mode, version_of
from ntp_usg.core.wire.timestamps import to_ntp

Words = NDArray[np.uint64]
Octets = NDArray[np.uint8]
Integers = NDArray[np.int64]

ENDS: tuple[Verdict, ...] = (
    Verdict(Outcome.ANSWERED, Reason.BASIC),
    *(Verdict(Outcome.DROPPED, reason) for reason in REASONS if reason),
    Verdict(Outcome.DROPPED, Reason.RATE_LIMITED),
    Verdict(Outcome.ANSWERED, Reason.INTERLEAVED),
)
"""What the codes of a batch mean; UNDECIDED means that the responder must see the request."""

LARGEST = 1024
"""So many requests a batch may have."""

_BASIC, _RATE_LIMITED, _INTERLEAVED = ADMITTED, len(REASONS), len(REASONS) + 1

_PLAIN = np.array(
    [version_of(first) in VERSIONS and (first & 7 == Mode.CLIENT or first & 0o77 == 0o10) for first in range(256)]
)
"""By first octet: a request for the time, in mode 3 or in version 1's mode 0."""

_ORIGIN, _RECEIVE, _TRANSMIT = 3, 4, 5
"""Which of the header's six 64-bit words."""
_ALL_ROWS = np.arange(LARGEST)
_EACH = np.arange(LARGEST, dtype=np.uint64)
# Arrays without dimensions: with them NumPy is sooner done than with scalars of its own or of Python.
_LENGTH = np.array(HEADER_LENGTH, np.uint32)
_VERSION_AND_POLL = np.frombuffer(bytes([0o70, 0, 0xFF, 0, 0, 0, 0, 0]), np.uint64).reshape(())
"""What of a request's first word belongs into its answer."""
_UNDECIDED = np.array(UNDECIDED, np.uint8)
_LAST_BIT, _ALL_BUT_THE_LAST = np.array(1, np.uint64), np.array(2**64 - 2, np.uint64)
_NS, _HALF = np.array(NS_PER_SECOND, np.uint64), np.array(32, np.uint64)


@dataclass(slots=True)
class Requests:
    """n datagrams that came in on one socket."""

    heads: Octets
    """(n, 48): the first octets of each, C-contiguous."""
    lengths: NDArray[np.uint32]
    """Of the whole datagrams."""
    address_high: Words | None
    address_low: Words
    """The halves of the source addresses; of IPv4 ones there is only this one."""
    receive_times: Integers
    """The served time at which each came, in nanoseconds."""


@dataclass(slots=True)
class Answers:
    """What became of a batch: a code for each request, and in `rows` which of them now hold their answers."""

    words: Words
    """(n, 6): the requests, as the answers take their places."""
    codes: Octets
    rows: Integers
    places: Integers
    receive_timestamps: Words
    remembered: bool
    epoch: int

    @property
    def unstamped(self) -> Integers:
        """Those of `rows` whose transmit fields are to be filled when they leave: all but the interleaved ones."""
        return self.rows[self.codes[self.rows] == _BASIC] if self.remembered else self.rows

    def pieces(self, size: int) -> "Iterator[Answers]":
        """The same in parts of so many rows."""
        for begin in range(0, len(self.rows), size):
            part = slice(begin, begin + size)
            fields = self.rows[part], self.places[part], self.receive_timestamps[part]
            yield Answers(self.words, self.codes, *fields, self.remembered, self.epoch)

    @property
    def selected(self) -> Integers | slice:
        """`rows` as an index; where no row is left out, as one that copies nothing."""
        rows = self.rows
        if not len(rows) or rows[-1] - rows[0] >= len(rows):
            return rows
        return slice(int(rows[0]), int(rows[-1]) + 1)


class BatchResponder:
    """Shares policy, clients and limits with a responder, and does just what that one would."""

    def __init__(self, responder: Responder) -> None:
        self._responder = responder
        self._policy: ServerPolicy | None = None
        self._follow()

    def respond(self, requests: Requests, state: ServingState, now: MonoNs) -> Answers:
        """Decide about a batch, and turn the plain requests that are answered into their answers, in place."""
        self._follow()
        responder, clients = self._responder, self._responder.clients
        asking = _PLAIN[requests.heads[:, 0]]
        asking &= requests.lengths == _LENGTH
        codes = self._access.judge(requests.address_high, requests.address_low)
        if np.count_nonzero(asking) < len(asking):
            codes[~asking] = UNDECIDED
        high, low, received = requests.address_high, requests.address_low, requests.receive_times
        rows = _ALL_ROWS[: len(codes)]
        if np.count_nonzero(codes):
            rows = (codes == ADMITTED).nonzero()[0]
            high, low = None if high is None else high[rows], low[rows]
        places, earlier, hits = clients.visit_many(high, low, now)
        remembers = responder.policy.interleaved and is_usable(state)
        if remembers and earlier is not None:
            # The answers to one client build on each other: that is for the responder.
            several = np.isin(places, places[earlier > 0])
            codes[rows[several]] = UNDECIDED
            clients.unvisit_many(places[several])
            rows, places, hits, earlier = rows[~several], places[~several], hits[~several], None
        if responder.policy.rate_limit:
            admitted, due = responder.limit.admit_many(clients.columns["due"][places], now, earlier)
            if np.count_nonzero(admitted) < len(rows):
                clients.columns["due"][places[admitted]] = due[admitted]
                answered = admitted
                answered[~admitted] = self._leak(codes, rows[~admitted], places[~admitted], hits[~admitted], now)
                rows, places = rows[answered], places[answered]
            else:
                clients.columns["due"][places] = due
        if now > state.expires_at:
            state, remembers = unusable(state, b"INIT"), False
        timestamps = to_ntp_many(received if len(rows) == len(codes) else received[rows])
        timestamps |= _LAST_BIT
        words = requests.heads.view(np.uint64)
        return self._answer(Answers(words, codes, rows, places, timestamps, remembers, state.epoch), state, now)

    def depart(self, answers: Answers, first: int, step: int) -> None:
        """Stamp the transmit fields of the answers; the last thing to do.

        The first leaves at the NTP timestamp `first`, and each after it `step` units (2**-32 s) later.
        """
        transmitted = _EACH[: len(answers.rows)] * np.array(step, np.uint64)
        transmitted += np.array(first, np.uint64)
        transmitted &= _ALL_BUT_THE_LAST
        fields = answers.words.view(">u8")
        if not answers.remembered:
            fields[answers.selected, _TRANSMIT] = transmitted
            return
        basic = answers.codes[answers.rows] == _BASIC
        fields[answers.rows[basic], _TRANSMIT] = transmitted[basic]
        self.remember(answers, transmitted)

    def remember(self, answers: Answers, transmit_timestamps: Words) -> None:
        """Keep when the answers left, where interleaved mode wants to know; `depart` does so by itself."""
        if answers.remembered:
            columns = self._responder.clients.columns
            columns["receive_timestamp"][answers.places] = answers.receive_timestamps
            columns["transmit_timestamp"][answers.places] = transmit_timestamps
            columns["epoch"][answers.places] = answers.epoch

    def _follow(self) -> None:
        """The responder may have adopted a policy."""
        if self._policy is not self._responder.policy:
            self._policy = self._responder.policy
            self._access = AccessMap(self._responder.access)

    def _leak(self, codes: Octets, rows: Integers, places: Integers, hits: Integers, now: MonoNs) -> NDArray[np.bool_]:
        """Which of the refused requests are answered all the same; the others get their codes here."""
        clients = self._responder.clients
        silent = clients.columns["next_kiss"][places] > now  # to the others the responder sends kisses
        leaking = silent & leaks_many(hits, clients.leak_key)
        codes[rows[~leaking]] = np.where(silent[~leaking], np.uint8(_RATE_LIMITED), _UNDECIDED)
        clients.unvisit_many(places[~silent])
        return leaking

    def _answer(self, answers: Answers, state: ServingState, now: MonoNs) -> Answers:
        words, selected = answers.words, answers.selected
        transmit_fields: Words | None = None
        echoed = words[selected, _TRANSMIT]
        if answers.remembered:
            echoed, transmit_fields = self._interleave(words[answers.rows], answers)
        words[selected, _ORIGIN] = echoed
        theirs = words[selected, 0] & _VERSION_AND_POLL
        words[selected, :_ORIGIN] = np.frombuffer(answer_start(state, now), np.uint64)
        words[selected, 0] |= theirs
        words.view(">u8")[selected, _RECEIVE] = answers.receive_timestamps
        if transmit_fields is not None:
            words[selected, _TRANSMIT] = transmit_fields
        return answers

    def _interleave(self, requests: Words, answers: Answers) -> tuple[Words, Words]:
        """The origin and transmit fields by RFC 9769 section 2, as `Responder` gives them."""
        columns, places = self._responder.clients.columns, answers.places
        last_received, last_sent = columns["receive_timestamp"][places], columns["transmit_timestamp"][places]
        repeated = answers.receive_timestamps == last_received
        answers.receive_timestamps += repeated.astype(np.uint64) << _LAST_BIT
        found = (last_sent != 0) & (requests[:, _ORIGIN].byteswap() == last_received)
        found &= (columns["epoch"][places] == answers.epoch) & (requests[:, _RECEIVE] != requests[:, _TRANSMIT])
        columns["transmit_timestamp"][places[found]] = 0
        answers.codes[answers.rows[found]] = _INTERLEAVED
        echoed = np.where(found, requests[:, _RECEIVE], requests[:, _TRANSMIT])
        return echoed, np.where(found, last_sent.byteswap(), np.uint64(0))


def wall_many(mapping: ClockMapping, readings: Integers) -> Integers:
    """`mapping.wall` of many readings."""
    if not (mapping.rate or mapping.slew_rate):
        served: Integers = readings + np.array(mapping.offset_ns)
        return served
    elapsed = readings - mapping.base_ns
    corrections = elapsed * mapping.rate
    if mapping.slew_rate:
        corrections += mapping.slew_rate * np.minimum(np.maximum(elapsed, 0), mapping.slew_ns)
    whole: Integers = np.rint(corrections).astype(np.int64)
    return readings + (whole + mapping.offset_ns)


def to_ntp_many(instants: Integers) -> Words:
    """`to_ntp` of many instants, none more than 1.25 s from the first."""
    if not len(instants):
        return np.zeros(0, np.uint64)
    # Two seconds before the first: so the rest is positive, and has 32 bits to spare.
    begin = (int(instants[0]) // NS_PER_SECOND - 2) * NS_PER_SECOND
    rest: Words = (instants - np.array(begin)).view(np.uint64)
    rest <<= _HALF
    rest //= _NS
    rest += np.array(to_ntp(WallNs(begin)), np.uint64)
    return rest
