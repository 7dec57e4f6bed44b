"""The conversation in which a u-blox receiver is asked what it is, told what is wanted of it, and asked again."""

import re
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from enum import Enum

from ntp_usg.core.base.errors import WireError
from ntp_usg.core.base.instants import NS_PER_SECOND, MonoNs
from ntp_usg.core.receivers.commands import Command, Description
from ntp_usg.core.receivers.ubx_framing import Kind, UbxFrame, build_frame
from ntp_usg.core.receivers.ubx_settings import (
    KEYS_FROM_PROTOCOL,
    UART1,
    USB,
    Placement,
    Setting,
    has_usb,
    settings_for,
)

ANSWER_WITHIN_NS = 2 * NS_PER_SECOND
"""An acknowledgement is promised within a second; on a slow line it waits behind that second's messages."""
TRIES = 3

_GENERATIONS = {
    "00040007": "u-blox 6",
    "00070000": "u-blox 7",
    "00080000": "u-blox 8",
    "00190000": "u-blox 9",
    "000A0000": "u-blox 10",
}
_PROTOCOL = re.compile(r"PROTVER[= ](\d{1,3})")
_MODEL = re.compile(r"MOD=([\w.-]*?)(?:-\d)?")
_UNPRINTABLE = re.compile(r"[^ -~]")


class Failure(Enum):
    """Why a question has no answer."""

    REFUSED = "refused"
    SILENT = "silent"


@dataclass(frozen=True, slots=True)
class Identity:
    """What a receiver calls itself."""

    model: str
    protocol: int
    """0 where it does not say: before generation 7."""

    def __str__(self) -> str:
        return f"{self.model}, protocol {self.protocol}" if self.protocol else self.model


def parse_version(payload: bytes) -> Identity:
    """MON-VER: texts of fixed length, each ended by a zero."""
    texts = [_text(payload[30:40]), *(_text(payload[start : start + 30]) for start in range(40, len(payload), 30))]
    model = next((match[1] for text in texts if (match := _MODEL.fullmatch(text))), "")
    protocol = next((int(match[1]) for text in texts if (match := _PROTOCOL.match(text))), 0)
    return Identity(model or _GENERATIONS.get(texts[0], "u-blox"), protocol)


@dataclass(frozen=True, slots=True)
class _Request:
    """A frame to send, and the kind of the answer; where there is none to come but ACK, that."""

    frame: bytes
    answer: Kind


_Conversation = Generator[_Request, bytes | Failure, Description]
"""Asks, is given the payload of each answer or why there is none, and comes to a description in the end."""


class UbxSetup:
    """Frames in, commands out; it ends whatever comes, because every question is asked a few times at most.

    Nothing is changed that is as it should be, so that a survey goes on when the daemon starts again.
    """

    def __init__(self, placement: Placement) -> None:
        self._conversation = _converse(placement)
        self._request: _Request | None = None
        self._tries = 0
        self._asked_at = MonoNs(0)
        self._answered = b""

    @property
    def deadline(self) -> MonoNs | None:
        """When `timer` is due; None when there is nothing more to ask."""
        return MonoNs(self._asked_at + ANSWER_WITHIN_NS) if self._request else None

    def start(self, now: MonoNs) -> list[Command | Description]:
        """The first question."""
        return self._advance(None, now)

    def receive(self, frame: UbxFrame, now: MonoNs) -> list[Command | Description]:
        """What a frame leads to, if it is the answer."""
        request = self._request
        if request is None:
            return []
        if frame.kind is request.answer and frame.kind is not Kind.ACK_ACK:
            self._answered = request.frame[2:4]
            return self._advance(frame.payload, now)
        if frame.kind is Kind.ACK_ACK and frame.payload == self._answered:
            self._answered = b""  # questions are acknowledged, too, behind their answer
        elif frame.kind in {Kind.ACK_ACK, Kind.ACK_NAK} and frame.payload == request.frame[2:4]:
            if frame.kind is Kind.ACK_NAK:
                return self._advance(Failure.REFUSED, now)
            if request.answer is Kind.ACK_ACK:
                return self._advance(frame.payload, now)
        return []

    def timer(self, now: MonoNs) -> list[Command | Description]:
        """Ask again, or give up."""
        if self._request is None or now < self._asked_at + ANSWER_WITHIN_NS:
            return []
        if self._tries == TRIES:
            return self._advance(Failure.SILENT, now)
        return self._ask(now)

    def _advance(self, answer: bytes | Failure | None, now: MonoNs) -> list[Command | Description]:
        try:
            if answer is None:
                self._request = next(self._conversation)
            else:
                self._request = self._conversation.send(answer)
        except StopIteration as end:
            self._request = None
            return [end.value]
        self._tries = 0
        return self._ask(now)

    def _ask(self, now: MonoNs) -> list[Command | Description]:
        assert self._request is not None
        self._tries += 1
        self._asked_at = now
        return [Command(self._request.frame)]


def _converse(placement: Placement) -> _Conversation:
    version = yield _Request(build_frame(Kind.MON_VER, b""), Kind.MON_VER)
    if isinstance(version, Failure):
        return Description("does not answer: is its RX wired to this host's TX?")
    identity = parse_version(version)
    ports = yield from _ports(identity)
    outcomes: dict[str, Failure | None] = {}
    for setting in settings_for(identity.protocol, ports, placement):
        failure = yield from _apply(setting)
        if not (failure and setting.optional):
            outcomes[setting.purpose] = outcomes.get(setting.purpose) or failure
    return Description(_summary(identity, outcomes), model=str(identity))


def _ports(identity: Identity) -> Generator[_Request, bytes | Failure, tuple[int, ...]]:
    """Which of the receiver's own ports leads here, or those that may: from generation 10 on it does not say."""
    here = yield _Request(build_frame(Kind.CFG_PRT, b""), Kind.CFG_PRT)
    if not isinstance(here, Failure):
        return (min(max(here[0], UART1), USB),)
    if identity.protocol < KEYS_FROM_PROTOCOL:
        return (UART1,)
    usb = yield _Request(has_usb(), Kind.CFG_VALGET)
    return (UART1,) if isinstance(usb, Failure) else (UART1, USB)


def _apply(setting: Setting) -> Generator[_Request, bytes | Failure, Failure | None]:
    """Ask, change what is not as it should be, and ask again; None when it is as it should be."""
    failure = yield from _change(setting)
    if failure and setting.otherwise:
        return (yield from _apply(setting.otherwise))
    return failure


def _change(setting: Setting) -> Generator[_Request, bytes | Failure, Failure | None]:
    for attempt in range(2):
        change = yield from _read(setting)
        if change is None or isinstance(change, Failure):
            return change
        if attempt == 0:
            answer = yield _Request(change, Kind.ACK_ACK)
            if isinstance(answer, Failure):
                return answer
    return Failure.REFUSED  # it has acknowledged, and stays as it was


def _read(setting: Setting) -> Generator[_Request, bytes | Failure, bytes | Failure | None]:
    """What is to be changed, if anything."""
    for _ in range(TRIES):
        answer = yield _Request(setting.question, setting.answer)
        if isinstance(answer, Failure):
            return answer
        try:
            return setting.change(answer)
        except WireError:
            continue  # it answers another question: an earlier one, or another program's
    return Failure.SILENT


def _summary(identity: Identity, outcomes: Mapping[str, Failure | None]) -> str:
    """`NEO-M8T, protocol 22: timing messages on, 1 Hz, stationary; refuses: one pulse a second on UTC`."""
    done, refused, silent = (
        ", ".join(purpose for purpose, failure in outcomes.items() if failure is kind)
        for kind in (None, Failure.REFUSED, Failure.SILENT)
    )
    text = f"{identity}: {done or 'listened to as it is'}"
    return text + (f"; refuses: {refused}" if refused else "") + (f"; no answer on: {silent}" if silent else "")


def _text(data: bytes) -> str:
    return _UNPRINTABLE.sub("?", data.split(b"\0", 1)[0].decode("latin-1"))
