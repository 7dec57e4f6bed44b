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
_CALL = 10  # R_BPF_64_32: a function
_UNDEFINED = 0

MAPS = "maps"
"""The section whose symbols stand for maps; others stand for variables."""

_INSTRUCTION = struct.Struct("<BBhi")
_MAP, _MAP_VALUE = 1, 2
"""What a load of 64 bits refers to, in its source register: a map, or an octet in the first value of one."""
_CALL_OPERATION, _KERNEL_FUNCTION = 0x85, 2

NO_CALL = _INSTRUCTION.pack(0xB7, 0, 0, 0)
"""In the place of a call: its result is 0, and nothing else happens."""


def kernel_call(function: int) -> bytes:
    """The call of a function of the kernel, by its number in the kernel's table of types (`sysapi.btf`)."""
    return _INSTRUCTION.pack(_CALL_OPERATION, _KERNEL_FUNCTION << 4, 0, function)


@dataclass(frozen=True, slots=True)
class BpfObject:
    """Instructions with the places at which they name maps, and whatever else lies in the file."""

    instructions: bytes
    references: tuple[tuple[int, str, bool], ...]
    """Offsets into the instructions, the symbol that belongs there, and whether that is a map or a variable."""
    calls: tuple[tuple[int, str], ...]
    """The same of functions that are not in the file."""
    sections: Mapping[str, bytes]

    def linked(self, maps: Mapping[str, Map], **calls: bytes) -> bytes:
        """The instructions with maps for symbols; a variable is the only value of a map of its name.

        `calls` are the instructions to put where functions are called, such as NO_CALL. Raises KeyError where a map or
        a function is missing.
        """
        code = bytearray(self.instructions)
        for at, symbol, is_map in self.references:
            operation, registers, offset, addend = _INSTRUCTION.unpack_from(code, at)
            kind, place = (_MAP, 0) if is_map else (_MAP_VALUE, addend)
            _INSTRUCTION.pack_into(code, at, operation, registers | kind << 4, offset, maps[symbol].descriptor)
            _INSTRUCTION.pack_into(code, at + _INSTRUCTION.size, 0, 0, 0, place)
        for at, symbol in self.calls:
            code[at : at + _INSTRUCTION.size] = calls[symbol]
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
    references, calls = [], []
    for header, body in zip(headers, bodies, strict=True):
        if header[1] == _RELOCATIONS and header[7] == code:
            symbols, strings = bodies[header[6]], bodies[headers[header[6]][6]]
            for at, info in _RELOCATION.iter_unpack(body):
                name, _, _, section, _, _ = _SYMBOL.unpack_from(symbols, (info >> 32) * _SYMBOL.size)
                kind = info & 0xFFFFFFFF
                if kind == _64_BITS:
                    references.append((at, _text(strings, name), section == maps))
                elif kind == _CALL and section == _UNDEFINED:
                    calls.append((at, _text(strings, name)))
                else:
                    raise WireError(f"a relocation of kind {kind}, which only a linker could follow")
    return BpfObject(sections[wanted], tuple(references), tuple(calls), sections)


def _text(strings: bytes, at: int) -> str:
    return strings[at : strings.index(b"\0", at)].decode() if b"\0" in strings[at:] else ""
