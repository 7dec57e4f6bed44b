import contextlib
import random
import struct
from dataclasses import replace

import pytest

from ntp_usg.core.base.errors import WireError
from ntp_usg.net.xdp.fast_path import OBJECT
from ntp_usg.sysapi.bpf_object import NO_CALL, kernel_call, parse_object

DATA = OBJECT.read_bytes()


class Numbered:
    """Stands for a map in the kernel, of which only the descriptor matters here."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor


def test_maps_and_variables_take_the_place_of_their_names():
    program = parse_object(DATA, "xdp")
    names = {name: is_map for _, name, is_map in program.references}
    assert names == {
        **dict.fromkeys(("endpoints", "access", "clients", "counters", "states", "cards"), True),
        "policy": False,
    }
    maps = {name: Numbered(100 + number) for number, name in enumerate(names)}
    code = program.linked(maps, bpf_xdp_metadata_rx_timestamp=NO_CALL)  # type: ignore[arg-type] # like a map in all that counts
    assert len(code) == len(program.instructions)
    for at, name, is_map in program.references:
        assert code[at] == 0x18, "a load of 64 bits"
        assert code[at + 1] >> 4 == (1 if is_map else 2)
        assert int.from_bytes(code[at + 4 : at + 8], "little") == maps[name].descriptor
        assert code[at + 1] & 15 == program.instructions[at + 1] & 15, "into the same register"


def test_a_function_of_the_kernel_is_called_by_its_number_or_not_at_all():
    program = replace(parse_object(DATA, "xdp"), references=())
    [(at, name)] = program.calls
    assert program.instructions[at : at + 8].hex() == "85100000ffffffff", "a call of nobody knows what"
    called, left_out = (program.linked({}, **{name: each}) for each in (kernel_call(66152), NO_CALL))
    assert called[at : at + 8] == struct.pack("<BBhi", 0x85, 0x20, 0, 66152)
    assert left_out[at : at + 8] == struct.pack("<BBhi", 0xB7, 0, 0, 0)
    assert called[:at] + called[at + 8 :] == left_out[:at] + left_out[at + 8 :]


def test_a_map_or_a_function_that_is_missing_is_a_mistake():
    program = parse_object(DATA, "xdp")
    for each in (program, replace(program, references=())):
        with pytest.raises(KeyError):
            each.linked({})


@pytest.mark.parametrize("data", [b"", b"\x7fELF", DATA[:100], b"\x7fELF" + bytes(60), DATA[:-200]])
def test_what_is_no_object_is_refused(data):
    with pytest.raises(WireError):
        parse_object(data, "xdp")


def test_a_section_that_is_not_there_is_refused():
    with pytest.raises(WireError, match="no section tc"):
        parse_object(DATA, "tc")


def test_damage_raises_nothing_but_its_own_error():
    rng = random.Random(3)
    for _ in range(3000):
        spoilt = bytearray(DATA)
        for _ in range(rng.randrange(1, 8)):
            spoilt[rng.choice((rng.randrange(64), rng.randrange(len(spoilt))))] = rng.randrange(256)
        with contextlib.suppress(WireError):
            parse_object(bytes(spoilt), "xdp")
