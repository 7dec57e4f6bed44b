"""What a compiler makes of a BPF program: an ELF file for one little-endian machine that every kernel contains."""

import struct
from collections.abc import Mapping
from dataclasses import dataclass

from ntp_usg.core.base.errors import WireError
from ntp_usg.sysapi.bpf import Map

_HEADER = struct.Struct("<4sBBB9xHHIQQQIHHHHHH")
_SECTION = struct.Struct("<IIQQQQIIQQ")
_SYMBOL = struct.Struct("<IBBHQQ")
_RELOCATION = struct.Struct("<QQ")
_BPF_MACHINE, _SYMBOLS, _RELOCATIONS = 247, 2, 9
_64_BIT, _LITTLE_ENDIAN = 2, 1
_64_BITS = 1  # R_BPF_64_64: the address of what a symbol stands for, in two instructions

MAPS = "maps"
"""The section whose symbols stand for maps; others stand for variables."""

_INSTRUCTION = struct.Struct("<BBhi")
_MAP, _MAP_VALUE = 1, 2
"""What a load of 64 bits refers to, in its source register: a map, or an octet in the first value of one."""


@dataclass(frozen=True, slots=True)
class BpfObject:
    """Instructions with the places at which they name maps, and whatever else lies in the file."""

    instructions: bytes
    references: tuple[tuple[int, str, bool], ...]
    """Offsets into the instructions, the symbol that belongs there, and whether that is a map or a variable."""
    sections: Mapping[str, bytes]

    def linked(self, maps: Mapping[str, Map]) -> bytes:
        """The instructions with maps for symbols; a variable is the only value of a map of its name.

        Raises KeyError where a map is missing.
        """
        code = bytearray(self.instructions)
        for at, symbol, is_map in self.references:
            operation, registers, offset, addend = _INSTRUCTION.unpack_from(code, at)
            kind, place = (_MAP, 0) if is_map else (_MAP_VALUE, addend)
            _INSTRUCTION.pack_into(code, at, operation, registers | kind << 4, offset, maps[symbol].descriptor)
            _INSTRUCTION.pack_into(code, at + _INSTRUCTION.size, 0, 0, 0, place)
        return bytes(code)


def parse_object(data: bytes, section: str) -> BpfObject:
    """Read the program of one section. Raises WireError where there is none, or the file is not of the kind."""
    try:
        return _parse(data, section)
    except (struct.error, IndexError, OverflowError, UnicodeDecodeError) as error:
        raise WireError(f"a BPF object that is cut short or damaged: {error}") from error


def _parse(data: bytes, wanted: str) -> BpfObject:
    magic, bits, order, _, _, machine, *_, sections_at, _, _, _, _, _, number, names = _HEADER.unpack_from(data)
    if (magic, bits, order, machine) != (b"\x7fELF", _64_BIT, _LITTLE_ENDIAN, _BPF_MACHINE):
        raise WireError("not an object of 64-bit little-endian BPF")
    headers = [_SECTION.unpack_from(data, sections_at + index * _SECTION.size) for index in range(number)]
    bodies = [data[header[4] : header[4] + header[5]] for header in headers]
    sections = {_text(bodies[names], header[0]): body for header, body in zip(headers, bodies, strict=True)}
    if wanted not in sections:
        raise WireError(f"no section {wanted} in this BPF object")
    code, maps = list(sections).index(wanted), list(sections).index(MAPS) if MAPS in sections else 0
    references = []
    for header, body in zip(headers, bodies, strict=True):
        if header[1] == _RELOCATIONS and header[7] == code:
            symbols, strings = bodies[header[6]], bodies[headers[header[6]][6]]
            for at, info in _RELOCATION.iter_unpack(body):
                if info & 0xFFFFFFFF != _64_BITS:
                    raise WireError(f"a relocation of kind {info & 0xFFFFFFFF}, which only a linker could follow")
                name, _, _, section, _, _ = _SYMBOL.unpack_from(symbols, (info >> 32) * _SYMBOL.size)
                references.append((at, _text(strings, name), section == maps))
    return BpfObject(sections[wanted], tuple(references), sections)


def _text(strings: bytes, at: int) -> str:
    return strings[at : strings.index(b"\0", at)].decode() if b"\0" in strings[at:] else ""
