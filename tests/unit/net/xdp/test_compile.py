import pytest

from ntp_usg.core.base.errors import NtpUsgError
from ntp_usg.net.xdp import compile as compiling
from ntp_usg.net.xdp.compile import OBJECT, SOURCE, compile_program, find_compiler, source_digest
from ntp_usg.sysapi.bpf_object import parse_object


def test_the_object_was_made_of_the_source_beside_it():
    sections = parse_object(OBJECT.read_bytes(), "xdp").sections
    advice = "python -m ntp_usg.net.xdp.compile"
    assert sections["source"].rstrip(b"\0").decode() == source_digest(), f"answer.c was changed: run `{advice}`"


def test_the_object_is_free_of_paths():
    assert str(SOURCE.parent).encode() not in OBJECT.read_bytes()


def test_without_a_compiler_it_says_how_to_get_one(monkeypatch, tmp_path):
    monkeypatch.setattr(compiling, "find_compiler", lambda: None)
    with pytest.raises(NtpUsgError, match="apt install clang"):
        compile_program(tmp_path / "answer.o")


if find_compiler():  # no skipped test where there is none: the object itself is tested everywhere

    def test_this_machines_compiler_makes_a_program_with_the_same_maps(tmp_path):
        compile_program(tmp_path / "answer.o")
        fresh, kept = (parse_object(path.read_bytes(), "xdp") for path in (tmp_path / "answer.o", OBJECT))
        assert {name for _, name, _ in fresh.references} == {name for _, name, _ in kept.references}
        assert fresh.sections["source"] == kept.sections["source"]
