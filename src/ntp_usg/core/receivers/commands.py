"""What a driver is to say to its receiver."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Command:
    """Bytes to write to the line, as an assembler asks for them among its events."""

    data: bytes
