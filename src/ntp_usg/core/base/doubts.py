"""Why a reference clock may be wrong although it is heard: the closed vocabulary of doubts."""

from dataclasses import dataclass
from enum import StrEnum

from ntp_usg.core.base.text import shown


class Doubt(StrEnum):
    """The word in metrics and JSON; `explanation` is the sentence for people: the cause, and what to do."""

    ANTENNA = "antenna"
    JAMMING = "jamming"
    SPOOFING = "spoofing"
    GEOMETRY = "geometry"
    SURVEY = "survey"
    MOVED = "moved"
    OSCILLATOR = "oscillator"
    FAULT = "fault"
    TIME_JUMP = "time_jump"
    FREQUENCY_JUMP = "frequency_jump"
    DISAGREEMENT = "disagreement"
    ROLLOVER = "rollover"
    LATENCY = "latency"
    EDGE = "edge"

    @property
    def explanation(self) -> str:
        return _EXPLANATIONS[self]


@dataclass(frozen=True, slots=True)
class Trouble:
    """One doubt and what gave rise to it, in a few words with the figures: `antenna open`, `moved by 312 m`."""

    doubt: Doubt
    text: str
    severe: bool = False
    """Whether it makes the time itself doubtful, and not only its margin."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "text", shown(self.text))


_EXPLANATIONS: dict[Doubt, str] = {
    Doubt.ANTENNA: "The receiver says that its antenna is open or shorted: check plug, cable and antenna.",
    Doubt.JAMMING: "The receiver hears interference in its band: look for a transmitter or a bad power supply near by.",
    Doubt.SPOOFING: "The receiver suspects forged signals: trust other sources until that has ended.",
    Doubt.GEOMETRY: "Few satellites stand close together, so the time is less exact: give the antenna more sky.",
    Doubt.SURVEY: "The receiver still measures its position; until it knows it, its time is less exact.",
    Doubt.MOVED: "A station that does not move says that it did: it was carried away, or its signals are forged.",
    Doubt.OSCILLATOR: "The receiver runs on its own oscillator, without satellites: its time drifts away.",
    Doubt.FAULT: "The receiver says that part of it is broken or worn out: see its manual, have another at hand.",
    Doubt.TIME_JUMP: "The time jumped by more than this host's oscillator could have: forged signals, or a fault.",
    Doubt.FREQUENCY_JUMP: "The time runs off faster than this host's oscillator ever did: forged signals, or a fault.",
    Doubt.DISAGREEMENT: "Independent sources agree with each other and not with this one.",
    Doubt.ROLLOVER: "The receiver names a date 1024 weeks off: its firmware is too old for the GPS week number.",
    Doubt.LATENCY: "Messages come so late after their second that a little more would name the wrong pulse: raise the "
    "baud rate, switch sentences off, or state the latency.",
    Doubt.EDGE: "Either the messages are slow, or the captured edge is the end of the pulse, and nothing tells which: "
    "state offset_secs of the receiver, set capture_mode of the pulse line, or add servers.",
}
