"""What a driver is to say to its receiver, and of it."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Command:
    """Bytes to write to the line, as an assembler asks for them among its events."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Description:
    """What the receiver is and how it was set, in a few words: from now on part of its device's status."""

    text: str
    model: str = field(default="", compare=False)
    """What tells it from another receiver in its place, where it says so."""
