"""Answers to ntpq: the snapshot as the status words and variables of RFC 9327."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from ipaddress import ip_address
from math import log2

from ntp_usg.core.base.addresses import NTP_PORT, numeric_address, parse_server_address
from ntp_usg.core.base.clock_types import pseudo_address
from ntp_usg.core.base.errors import WireError
from ntp_usg.core.base.instants import HostNs, MonoNs, WallNs, nanoseconds
from ntp_usg.core.base.snapshots import ServerPath, SourceKind, SourceSnapshot, SystemSnapshot
from ntp_usg.core.base.verdicts import Outcome, Reason
from ntp_usg.core.server.mru import Occupancy, occupancy_variables
from ntp_usg.core.server.status_words import (
    clock_status,
    peer_status,
    selected_source,
    system_status,
)
from ntp_usg.core.wire.control import (
    ControlMessage,
    ErrorCode,
    Opcode,
    RefusedError,
    build_fragments,
    parse_control,
)
from ntp_usg.core.wire.reference_id import describe_reference, describe_source
from ntp_usg.core.wire.timestamps import to_ntp

Variables = Mapping[str, str]
"""Name -> value as it is written on the wire."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who answers: the system variables that no snapshot holds."""

    version: str
    processor: str
    system: str


TellClients = Callable[[ControlMessage, MonoNs, WallNs], bytes]
"""Data of the answer to one of CLIENT_OPCODES, at an instant on both timelines; raises RefusedError."""
CLIENT_OPCODES = {Opcode.READ_MRU, Opcode.REQUEST_NONCE}


TellOccupancy = Callable[[MonoNs], Occupancy]


def answer_control(
    data: bytes,
    snapshot: SystemSnapshot,
    identity: Identity,
    now: MonoNs,
    *,
    tell_clients: TellClients | None = None,
    tell_occupancy: TellOccupancy | None = None,
) -> list[bytes]:
    """The packets to send back, none for what is no request. The caller has checked that the sender may look inside.

    Without `tell_clients` nothing is told of other clients, without `tell_occupancy` not even how many there are.
    """
    try:
        request = parse_control(data)
    except WireError:
        return []
    if request.response or request.error or request.more or request.offset:
        return []  # to answer an answer would let two servers talk for ever
    answer = replace(request, response=True, leap=snapshot.serving.leap, data=b"")
    try:
        if tell_clients and request.opcode in CLIENT_OPCODES:
            status, body = system_status(snapshot), tell_clients(request, now, _wall(snapshot, now))
        else:
            more = occupancy_variables(tell_occupancy(now), now) if tell_occupancy and b"mru_" in request.data else {}
            status, body = _read(request, snapshot, identity, now, more)
    except RefusedError as refused:
        return build_fragments(replace(answer, error=True, status=refused.code << 8))
    return build_fragments(replace(answer, status=status, data=body))


_WRITES = {
    Opcode.WRITE_VARIABLES,
    Opcode.WRITE_CLOCK_VARIABLES,
    Opcode.SET_TRAP,
    Opcode.CONFIGURE,
    Opcode.SAVE_CONFIGURATION,
    Opcode.UNSET_TRAP,
}


def _read(
    request: ControlMessage, snapshot: SystemSnapshot, identity: Identity, now: MonoNs, more: Variables
) -> tuple[int, bytes]:
    """Status word and data of the answer; `more` are system variables that only those get who ask for them by name."""
    if request.opcode in _WRITES:
        raise RefusedError(ErrorCode.PERMISSION)
    if request.opcode == Opcode.READ_STATUS:
        return _read_status(request.association, snapshot)
    if request.opcode == Opcode.READ_CLOCK_VARIABLES:
        source = _clock(request.association, snapshot)
        return clock_status(source), _listing(request.data, _clock_variables(source))
    if request.opcode != Opcode.READ_VARIABLES:
        raise RefusedError(ErrorCode.BAD_OPCODE)
    if request.association == 0:
        return system_status(snapshot), _listing(request.data, {**_system_variables(snapshot, identity, now), **more})
    source = _source(request.association, snapshot)
    return peer_status(source), _listing(request.data, _peer_variables(source, snapshot))


def _read_status(association: int, snapshot: SystemSnapshot) -> tuple[int, bytes]:
    """Of the system with all its associations, or of one association alone."""
    if association:
        return peer_status(_source(association, snapshot)), b""
    pairs = (source.association.to_bytes(2) + peer_status(source).to_bytes(2) for source in snapshot.sources)
    return system_status(snapshot), b"".join(pairs)


def _source(association: int, snapshot: SystemSnapshot) -> SourceSnapshot:
    for source in snapshot.sources:
        if source.association == association:
            return source
    raise RefusedError(ErrorCode.UNKNOWN_ASSOCIATION)


def _clock(association: int, snapshot: SystemSnapshot) -> SourceSnapshot:
    """Association 0 means the clock that the system follows; servers have no clock variables."""
    source = _source(association, snapshot) if association else selected_source(snapshot)
    if source is None or source.kind is not SourceKind.CLOCK:
        raise RefusedError(ErrorCode.UNKNOWN_ASSOCIATION)
    return source


def _listing(requested: bytes, variables: Variables) -> bytes:
    """The variables asked for, all of them where none is named. A name counts once, however often it is repeated.

    One without a value is left out: ntpq goes through the whole list name by name at an error, and shows what it got.
    """
    try:
        names = [item.partition("=")[0].strip() for item in requested.decode("ascii").split(",")]
    except UnicodeDecodeError:
        raise RefusedError(ErrorCode.BAD_FORMAT) from None
    chosen = dict.fromkeys(name for name in names if name) or variables
    if not chosen.keys() <= variables.keys():
        raise RefusedError(ErrorCode.UNKNOWN_VARIABLE)
    return (", ".join(f"{name}={variables[name]}" for name in chosen if variables[name]) + "\r\n").encode("ascii")


# Names, units (milliseconds) and formats of the variables are those of ntpd, because ntpq knows them.


def _system_variables(snapshot: SystemSnapshot, identity: Identity, now: MonoNs) -> Variables:
    serving = snapshot.serving
    root_dispersion = serving.root_dispersion_at(now)
    peer = selected_source(snapshot)
    return {
        "version": _quoted(identity.version),
        "processor": _quoted(identity.processor),
        "system": _quoted(identity.system),
        "leap": str(int(serving.leap)),
        "stratum": str(serving.stratum),
        "precision": str(serving.precision),
        "rootdelay": _milliseconds(serving.root_delay),
        "rootdisp": _milliseconds(root_dispersion),
        "rootdist": _milliseconds(serving.root_delay / 2 + root_dispersion),
        "refid": _without_comma(describe_reference(serving.reference_id, serving.stratum)),
        "reftime": _timestamp(serving.reference_time),
        "clock": _timestamp(_wall(snapshot, now)),
        "peer": str(peer.association if peer else 0),
        "peeradr": _address(peer) if peer else _NO_ADDRESS,
        "peermode": "3" if peer else "0",
        "offset": _milliseconds(snapshot.offset or 0.0),
        # ntpd reports the correction it applies, we how fast the clock runs by itself
        "frequency": f"{-(snapshot.frequency_ppm or 0.0):z.6f}",
        "sys_jitter": _milliseconds(snapshot.jitter or 0.0),
    }


def _peer_variables(source: SourceSnapshot, snapshot: SystemSnapshot) -> Variables:
    poll = str(max(0, round(log2(source.poll_interval)))) if source.poll_interval > 0 else "0"
    path = _PATH_OF_CLOCKS if source.kind is SourceKind.CLOCK else source.path or _UNKNOWN_PATH
    host = _host_name(source)
    return {
        "srcadr": _address(source),
        "srcport": str(path.port),
        "srchost": _quoted(host) if host else "",
        "dstadr": path.local_address or _NO_ADDRESS,
        "dstport": str(path.local_port),
        "leap": str(int(source.leap)),
        "stratum": str(source.stratum),
        "rootdelay": _milliseconds(source.root_delay),
        "rootdisp": _milliseconds(source.root_dispersion),
        "refid": _reference(source),
        # classic ntpq shows what happens to be in its memory where either of the two is missing
        "reftime": _timestamp(source.reference_time),
        "rec": _timestamp(_last_heard(source, snapshot)),
        "reach": f"{source.reach:#x}",
        "hmode": "3",
        "pmode": "4",
        "hpoll": poll,
        "ppoll": poll,
        "flash": f"{_flash(source):#x}",
        "keyid": "0",
        # ntpq takes from this one how many decimals it prints in all three columns
        "delay": f"{source.delay * 1e3:z.3f}",
        "offset": _milliseconds(source.offset or 0.0),
        "jitter": _milliseconds(source.jitter or 0.0),
        "dispersion": _milliseconds(_MAX_DISPERSION if source.dispersion is None else source.dispersion),
    }


def _clock_variables(source: SourceSnapshot) -> Variables:
    counts = source.verdicts
    rejected = {key: count for key, count in counts.items() if key.startswith(f"{Outcome.REJECTED}/")}
    bad_format = rejected.pop(f"{Outcome.REJECTED}/{Reason.BAD_CHECKSUM}", 0)
    variables = {
        "name": _quoted(source.name),
        "device": _quoted(source.device),
        "poll": str(sum(counts.values())),
        "badformat": str(bad_format),
        "baddata": str(sum(rejected.values())),
        "stratum": str(source.stratum),
        "refid": _reference(source),
        "reason": _quoted(source.reason),
    }
    if source.fix:
        variables["fix"] = _quoted(source.fix.quality.label)
        if source.fix.satellites_used is not None:
            variables["satellites"] = str(source.fix.satellites_used)
    return variables


_MAX_DISPERSION = 16.0
"""RFC 5905 MAXDISP in seconds: how the protocol says that nothing is known."""
_NOT_SYNCHRONISED, _UNREACHABLE_FLASH = 0x0004, 0x1000


def _flash(source: SourceSnapshot) -> int:
    """RFC 5905's packet and peer tests that the source fails (TEST3, TEST13)."""
    return (0 if source.healthy else _NOT_SYNCHRONISED) | (0 if source.reach else _UNREACHABLE_FLASH)


_NO_ADDRESS = "0.0.0.0"  # noqa: S104 - says that there is none
_UNKNOWN_PATH = ServerPath(_NO_ADDRESS, NTP_PORT)
_PATH_OF_CLOCKS = ServerPath("", NTP_PORT, "127.0.0.1", NTP_PORT)
"""As ntpd has it: a reference clock is a peer on the loopback interface."""


def _address(source: SourceSnapshot) -> str:
    """Where a server is, or the pseudo address of a reference clock."""
    if source.kind is SourceKind.SERVER:
        return source.path.address if source.path else _NO_ADDRESS
    return str(ip_address(pseudo_address(source.driver, source.unit)))


def _host_name(source: SourceSnapshot) -> str:
    """How a clock is called, or a server that was configured by name; ntpq looks up numeric addresses itself."""
    if source.kind is SourceKind.CLOCK:
        return source.name
    host = parse_server_address(source.device).host
    return "" if numeric_address(host) else host


def _wall(snapshot: SystemSnapshot, at: MonoNs) -> WallNs:
    """Served time at a monotonic reading."""
    serving = snapshot.serving
    return serving.mapping.wall(HostNs(at + serving.host_minus_mono_ns))


def _last_heard(source: SourceSnapshot, snapshot: SystemSnapshot) -> WallNs:
    if source.last_heard_age is None:
        return WallNs(0)
    return WallNs(_wall(snapshot, snapshot.serving.as_of) - nanoseconds(source.last_heard_age))


def _timestamp(instant: WallNs) -> str:
    """The hexadecimal form of ntpd, 0 = never."""
    stamp = to_ntp(instant) if instant else 0
    return f"0x{stamp >> 32:08x}.{stamp & 0xFFFFFFFF:08x}"


def _milliseconds(interval: float) -> str:
    return f"{interval * 1e3:z.6f}"


def _reference(source: SourceSnapshot) -> str:
    return _without_comma(describe_source(source))


def _without_comma(text: str) -> str:
    """A comma would end the value."""
    return text.replace(",", "?")


def _quoted(text: str) -> str:
    return f'"{_printable(text)}"'


def _printable(text: str) -> str:
    """ASCII without the characters that end a quoted value in ntpq's eyes."""
    return "".join(char if " " <= char <= "~" and char not in '"\\' else "?" for char in text)
