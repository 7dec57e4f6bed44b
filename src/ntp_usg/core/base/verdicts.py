"""The closed vocabulary in which every packet and every sample ends: one (outcome, reason) pair each.

Counters, logs, metrics and `ntp_usg explain` use these words and no others.
"""

from dataclasses import dataclass
from enum import StrEnum


class Outcome(StrEnum):
    """What became of it."""

    ANSWERED = "answered"
    HANDED_UP = "handed_up"
    DROPPED = "dropped"
    ACCEPTED = "accepted"
    REJECTED = "rejected"


class Reason(StrEnum):
    """Why; the value is the word in metrics and JSON, `explanation` the sentence for people."""

    # Requests that are answered
    BASIC = "basic"
    INTERLEAVED = "interleaved"
    RATE_KISS = "rate_kiss"
    MONITOR = "monitor"
    # Requests that are not
    NOT_FOR_WORKER = "not_for_worker"
    TOO_SHORT = "too_short"
    TOO_LONG = "too_long"
    BAD_VERSION = "bad_version"
    BAD_MODE = "bad_mode"
    BAD_FORMAT = "bad_format"
    BAD_SOURCE = "bad_source"
    UNSUPPORTED_AUTHENTICATION = "unsupported_authentication"
    ACCESS_DENIED = "access_denied"
    NOT_ALLOWED = "not_allowed"
    MONITOR_DENIED = "monitor_denied"
    RATE_LIMITED = "rate_limited"
    UNTIMELY = "untimely"
    QUEUE_FULL = "queue_full"
    SEND_FAILED = "send_failed"
    # Answers of other servers that are not used
    NOT_AN_ANSWER = "not_an_answer"
    DUPLICATE = "duplicate"
    BOGUS_ORIGIN = "bogus_origin"
    UNSYNCHRONISED_SERVER = "unsynchronised_server"
    BAD_TIMESTAMPS = "bad_timestamps"
    TOO_LATE = "too_late"
    TOO_DISTANT = "too_distant"
    LOOP = "loop"
    OWN_ADDRESS = "own_address"
    SAME_SERVER = "same_server"
    KISS_RATE = "kiss_rate"
    KISS_DENY = "kiss_deny"
    KISS_RSTR = "kiss_rstr"
    # Samples, messages and pulses
    USED = "used"
    NO_FIX = "no_fix"
    TOO_FEW_SATELLITES = "too_few_satellites"
    SATELLITES_UNKNOWN = "satellites_unknown"
    POOR_QUALITY = "poor_quality"
    NO_DATE = "no_date"
    STALE = "stale"
    IMPLAUSIBLE = "implausible"
    LEAP_SECOND = "leap_second"
    BAD_CHECKSUM = "bad_checksum"
    OUTLIER = "outlier"
    NOT_NUMBERED = "not_numbered"
    NUMBERING_DISPUTED = "numbering_disputed"
    REPEATED = "repeated"
    DOUBLED = "doubled"
    IRREGULAR = "irregular"
    WITHIN_SECOND = "within_second"
    WRONG_EDGE = "wrong_edge"
    OLD_EPOCH = "old_epoch"
    PROGRAM_FAULT = "program_fault"

    @property
    def explanation(self) -> str:
        """One plain sentence: the cause, and where there is one, the cure."""
        return _EXPLANATIONS[self]


@dataclass(frozen=True, slots=True)
class Verdict:
    """How one packet or sample ended."""

    outcome: Outcome
    reason: Reason


_EXPLANATIONS: dict[Reason, str] = {
    Reason.BASIC: "A plain request, answered with the current time.",
    Reason.INTERLEAVED: "An RFC 9769 interleaved request, answered with the exact departure time of the last answer.",
    Reason.RATE_KISS: "The client asks too often and was told so with a RATE kiss-o'-death.",
    Reason.MONITOR: "A mode 6 monitoring request (ntpq) from an address that may look inside.",
    Reason.NOT_FOR_WORKER: "The answering worker does not know this kind of packet; the control process decides.",
    Reason.TOO_SHORT: "The packet is shorter than the 48-byte NTP header (12 bytes in mode 6).",
    Reason.TOO_LONG: "The packet is longer than any NTP request this server understands.",
    Reason.BAD_VERSION: "The packet's version is not 1, 2, 3 or 4.",
    Reason.BAD_MODE: "The packet is not a request: a server does not answer its mode.",
    Reason.BAD_FORMAT: "The extension fields or the MAC do not add up to the packet's length (RFC 7822).",
    Reason.BAD_SOURCE: "The packet claims to come from an address or port that no client can have.",
    Reason.UNSUPPORTED_AUTHENTICATION: "The request is signed with a key that this server does not have.",
    Reason.ACCESS_DENIED: "The address matches an entry of access.deny.",
    Reason.NOT_ALLOWED: "access.allow is set and the address matches none of its entries.",
    Reason.MONITOR_DENIED: "Mode 6 requests are only answered to addresses in access.monitor.",
    Reason.RATE_LIMITED: "The client asks more often than rate_limit allows; it gets silence.",
    Reason.UNTIMELY: "The request waited for over a second, or the clock was set meanwhile: nobody knows when it came.",
    Reason.QUEUE_FULL: "The control process was busy, and its queue was full.",
    Reason.SEND_FAILED: "The kernel refused to send the answer.",
    Reason.NOT_AN_ANSWER: "The packet is not an answer: its mode is not that of a server.",
    Reason.DUPLICATE: "The server's answer to this request has come already.",
    Reason.BOGUS_ORIGIN: "The packet does not name our latest request: an answer to an earlier one, or a forged one.",
    Reason.UNSYNCHRONISED_SERVER: "The server says that its own clock is not synchronised.",
    Reason.BAD_TIMESTAMPS: "The answer's timestamps are missing or contradict each other: a clock was set meanwhile.",
    Reason.TOO_LATE: "The answer was on its way for so long that it says too little about the time.",
    Reason.TOO_DISTANT: "The server's time may be off by more than selection.max_distance allows.",
    Reason.LOOP: "The server follows this host: to follow it back would be to follow ourselves.",
    Reason.OWN_ADDRESS: "This is our own answer: the address leads back to this server, which cannot confirm its "
    "own time. Remove this source.",
    Reason.SAME_SERVER: "Another source asks the same address: one server has one vote. Name another server.",
    Reason.KISS_RATE: "The server asked us to ask less often (RATE kiss-o'-death): we do, up to max_poll, for a while.",
    Reason.KISS_DENY: "The server refused us for good (DENY kiss-o'-death): ask its operator, or remove it.",
    Reason.KISS_RSTR: "The server's access rules shut us out (RSTR kiss-o'-death): ask its operator, or remove it.",
    Reason.USED: "Accepted and used for the clock.",
    Reason.NO_FIX: "The receiver says it has no fix: check the antenna and its view of the sky.",
    Reason.TOO_FEW_SATELLITES: "Fewer satellites than `min_satellites` are used in the fix.",
    Reason.SATELLITES_UNKNOWN: "The receiver does not say how many satellites it uses: switch GGA, GNS or GSA on (UBX: "
    "NAV-PVT or NAV-SAT), or set `min_satellites` to 0.",
    Reason.POOR_QUALITY: "The fix is of lower quality than `min_quality`.",
    Reason.NO_DATE: "The receiver gave no date for this second: NMEA RMC or ZDA, or UTC that it vouches for in UBX.",
    Reason.STALE: "The message repeats a second that has passed, or came too late to be trusted.",
    Reason.IMPLAUSIBLE: "The date or time in the message cannot be true.",
    Reason.LEAP_SECOND: "The message names second 60, for which Unix time has no number: it can date no pulse.",
    Reason.BAD_CHECKSUM: "The sentence has no checksum or a wrong one: noise on the line or a wrong baud rate.",
    Reason.OUTLIER: "The offset is far outside what the recent samples allow.",
    Reason.NOT_NUMBERED: "A pulse says when a second begins, not which: no healthy source numbers it.",
    Reason.NUMBERING_DISPUTED: "The messages name another second than the one the pulses have counted to.",
    Reason.REPEATED: "The same pulse was delivered twice.",
    Reason.DOUBLED: "The edge came soon after a pulse: a glitch, or the other end of the pulse.",
    Reason.IRREGULAR: "The edge does not continue a pulse train of the configured rate: it is the first, noise, or of "
    "another rate.",
    Reason.WITHIN_SECOND: "The pulse comes between two seconds: only the one that begins the second is measured.",
    Reason.WRONG_EDGE: "The edge ends the pulse: it is the other edge that begins the second (`capture_mode`).",
    Reason.OLD_EPOCH: "The sample was taken before the clock was stepped.",
    Reason.PROGRAM_FAULT: "This program failed while it worked for this source, and tries again later: please report "
    "the traceback in the log.",
}
