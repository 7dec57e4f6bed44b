"""Sets an Oncore up for timing: which commands, in which order, and whether the receiver took them.

A receiver answers a command with the value that is in force, which shows what it refused (M12+ User's Guide, chapter
3). It keeps all of it over a loss of power where it has a battery.
"""

import re
from dataclasses import dataclass
from enum import StrEnum

from ntp_usg.core.base.samples import Position
from ntp_usg.core.receivers.commands import Command, Description
from ntp_usg.core.receivers.oncore_framing import Kind, OncoreMessage, build_message
from ntp_usg.core.receivers.oncore_messages import build_position
from ntp_usg.core.receivers.oncore_survey import USUAL_FIXES

_ONCE_A_SECOND, _POLL = b"\x01", b"\x00"
_UTC = b"\x01"
_NAVIGATE, _HOLD = b"\x00", b"\x01"
_RAIM_ON_8 = bytes((1, 1, 0, 10, 1)) + bytes(10)
"""Each second, on, alarm beyond 1 us, pulses at all times: whether to believe them is decided here."""
_MODEL = re.compile(rb"MODEL #\s+(\S{1,20})")
_NAMES = {
    Kind.TIME_MODE: "UTC",
    Kind.CABLE_DELAY: "cable delay",
    Kind.MASK_ANGLE: "mask angle",
    Kind.HOLD_POSITION: "position",
    Kind.HOLD: "position hold",
    Kind.HOLD_12: "position hold",
    Kind.RAIM_ON_12: "T-RAIM",
}


class Mode(StrEnum):
    """How the receiver comes by its position."""

    SURVEY = "survey"
    POSITION_HOLD = "position hold"
    NAVIGATE = "navigate"


@dataclass(frozen=True, slots=True)
class OncoreSettings:
    """What the receiver is to be told."""

    configure: bool = True
    mode: Mode = Mode.SURVEY
    position: Position | None = None
    survey_fixes: int = USUAL_FIXES
    cable_delay_ns: int = 0
    mask_angle_deg: int = 10
    sawtooth_sign: int = 1
    """What the receiver's negative sawtooth is taken times before it is added to a pulse's time."""


class OncoreSetup:
    """Commands out, answers in. Nothing is sent where the receiver is not to be configured."""

    def __init__(self, settings: OncoreSettings, remark: str = "") -> None:
        self._settings = settings
        self._remark = remark
        self._kind: Kind | None = None
        self._expected: dict[Kind, list[bytes]] = {}
        """The answers to come to each command, if it is taken; the last one stays."""
        self._refused: set[Kind] = set()
        self._model = ""

    def opened(self) -> list[Command | Description]:
        """Nobody knows yet how many channels it has: it answers to its own command only."""
        commands = self._send(
            build_message(Kind.RECEIVER_ID),
            build_message(Kind.POSITION_12, _ONCE_A_SECOND),
            build_message(Kind.POSITION_8, _ONCE_A_SECOND),
        )
        return [*commands, *([Description(self._remark)] if self._remark else [])]

    def heard(self, kind: Kind, position: Position | None) -> list[Command]:
        """The first message with a position shows the kind; `position` is the one to hold, if it is known."""
        if kind is self._kind:
            return []
        self._kind = kind
        settings = self._settings
        raim = (
            (self._set(Kind.RAIM_ON_12, _ONCE_A_SECOND), build_message(Kind.RAIM_12, _ONCE_A_SECOND))
            if kind is Kind.POSITION_12
            else (build_message(Kind.RAIM_8, _RAIM_ON_8),)
        )
        delay = settings.cable_delay_ns.to_bytes(4, "big")
        return [
            *self._send(
                self._set(Kind.TIME_MODE, _UTC),
                self._set(Kind.CABLE_DELAY, delay),
                self._set(Kind.MASK_ANGLE, bytes([settings.mask_angle_deg])),
                *raim,
            ),
            *(self.hold(position) if position else self._send(self._set(self._holding, _NAVIGATE))),
            *self.polls(),
        ]

    def hold(self, position: Position) -> list[Command]:
        """Compute time alone, from a position that is known; it is taken only while none is held."""
        place = build_position(position) + b"\x00"
        self._expected[self._holding] = [_NAVIGATE, _HOLD]
        return self._send(
            build_message(self._holding, _NAVIGATE),
            self._set(Kind.HOLD_POSITION, place),
            build_message(self._holding, _HOLD),
        )

    def polls(self) -> list[Command]:
        """What the receiver tells only when it is asked."""
        if self._kind is Kind.POSITION_12:
            return self._send(build_message(Kind.LEAP_DATE))
        return self._send(build_message(Kind.UTC_OFFSET, _POLL), build_message(Kind.LEAP_PENDING, _POLL))

    def answer(self, message: OncoreMessage) -> list[Description]:
        """Whether a command was taken."""
        before = self.description
        if message.kind is Kind.RECEIVER_ID:
            model = _MODEL.search(message.data)
            self._model = model[1].decode("ascii", "replace") if model else ""
        elif expected := self._expected.get(message.kind):
            awaited = expected[0] if len(expected) == 1 else expected.pop(0)
            refused = message.data != awaited
            self._refused = self._refused | {message.kind} if refused else self._refused - {message.kind}
        return [Description(self.description, self._model)] if self.description != before else []

    @property
    def description(self) -> str:
        """The model, what it refused, and the remark."""
        refused = sorted({_NAMES[kind] for kind in self._refused})
        refusal = f"refuses {' and '.join(refused)}" if refused else ""
        return ", ".join(filter(None, (self._model, refusal, self._remark)))

    @property
    def _holding(self) -> Kind:
        return Kind.HOLD_12 if self._kind is Kind.POSITION_12 else Kind.HOLD

    def _set(self, kind: Kind, data: bytes) -> bytes:
        self._expected[kind] = [data]
        return build_message(kind, data)

    def _send(self, *messages: bytes) -> list[Command]:
        return [Command(b"".join(messages))] if self._settings.configure else []
