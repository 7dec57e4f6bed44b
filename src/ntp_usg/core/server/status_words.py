"""The status words of RFC 9327 section 3, which sum up a system, a source and a clock in 16 bits each."""

from ntp_usg.core.base.clock_types import clock_type
from ntp_usg.core.base.snapshots import SourceKind, SourceSnapshot, SyncPhase, SystemSnapshot, Tally

_SYSTEM_EVENTS = {
    SyncPhase.STARTING: 6,  # restart
    SyncPhase.LOCKING: 4,  # initial frequency training
    SyncPhase.SYNCHRONISED: 5,  # clock synchronised
    SyncPhase.HOLDOVER: 8,  # no system peer
    SyncPhase.UNSYNCHRONISED: 8,
}
_SELECTIONS = {
    Tally.REJECTED: 0,
    Tally.FALSETICKER: 1,
    Tally.EXCESS: 2,
    Tally.OUTLIER: 3,
    Tally.CANDIDATE: 4,
    Tally.SELECTED: 6,
    Tally.PPS: 7,
}
_CONFIGURED, _REACHABLE = 0x80, 0x10
_MOBILISED, _UNREACHABLE, _NOW_REACHABLE, _SYSTEM_PEER = 1, 3, 4, 10
_NOMINAL, _NO_REPLY, _FAULT, _PROPAGATION = 0, 1, 3, 4
_ONE_EVENT = 0x10
"""Snapshots keep no history: the last event is the one that led to the present state."""


_NTP_SOURCE = 6
"""Clock source in the system status word: another NTP server."""


def selected_source(snapshot: SystemSnapshot) -> SourceSnapshot | None:
    """The source that the system follows."""
    return next((source for source in snapshot.sources if source.name == snapshot.selected), None)


def system_status(snapshot: SystemSnapshot) -> int:
    clock_source = _clock_source(selected_source(snapshot))
    return snapshot.serving.leap << 14 | clock_source << 8 | _ONE_EVENT | _SYSTEM_EVENTS[snapshot.phase]


def _clock_source(source: SourceSnapshot | None) -> int:
    if source is None:
        return 0
    return _NTP_SOURCE if source.kind is SourceKind.SERVER else clock_type(source.driver).source_code


def peer_status(source: SourceSnapshot) -> int:
    flags = _CONFIGURED | (_REACHABLE if source.reach else 0) | _SELECTIONS[source.tally]
    return flags << 8 | _ONE_EVENT | _peer_event(source)


def _peer_event(source: SourceSnapshot) -> int:
    if source.tally in {Tally.SELECTED, Tally.PPS}:
        return _SYSTEM_PEER
    if source.reach:
        return _NOW_REACHABLE
    return _MOBILISED if source.last_heard_age is None else _UNREACHABLE


def clock_status(source: SourceSnapshot) -> int:
    if source.healthy:
        return _NOMINAL
    if not source.reach:
        return _ONE_EVENT | _NO_REPLY
    return _ONE_EVENT | (_PROPAGATION if source.fix and not source.fix.quality.rank else _FAULT)
