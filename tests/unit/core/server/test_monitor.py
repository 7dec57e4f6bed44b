import re
from dataclasses import replace
from importlib.metadata import entry_points

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ntp_usg.core.base.clock_types import CLOCK_TYPES, pseudo_address
from ntp_usg.core.base.instants import MonoNs, WallNs
from ntp_usg.core.base.samples import Fix, FixQuality
from ntp_usg.core.base.snapshots import Leap, ServingState, SyncPhase, SystemSnapshot, Tally
from ntp_usg.core.server.monitor import Identity, answer_control
from ntp_usg.core.wire.control import ControlMessage, ErrorCode, Opcode, build_control, parse_control

NOW = MonoNs(101_000_000_000)
IDENTITY = Identity(version="ntp_usg 1.2.3", processor="x86_64", system="Linux/6.1")


def ask(snapshot: SystemSnapshot, opcode: int, association: int = 0, data: bytes = b"") -> ControlMessage:
    """The answer, joined from its fragments."""
    request = ControlMessage(opcode, sequence=7, association=association, data=data)
    packets = answer_control(build_control(request), snapshot, IDENTITY, NOW)
    parts = [parse_control(packet) for packet in packets]
    assert all(part.response and part.sequence == 7 and part.opcode == opcode for part in parts)
    assert [part.more for part in parts] == [True] * (len(parts) - 1) + [False]
    return replace(parts[-1], data=b"".join(part.data for part in parts), offset=0)


def variables(answer: ControlMessage) -> dict[str, str]:
    assert not answer.error
    return dict(re.findall(r'(\w+)=("[^"]*"|[^,\r]*)', answer.data.decode("ascii")))


def with_gps(snapshot: SystemSnapshot, **changes: object) -> SystemSnapshot:
    gps, *others = snapshot.sources
    return replace(snapshot, sources=(replace(gps, **changes), *others))  # type: ignore[arg-type]


def test_the_system_variables_are_those_of_the_snapshot(locked_snapshot: SystemSnapshot):
    assert variables(ask(locked_snapshot, Opcode.READ_VARIABLES)) == {
        "version": '"ntp_usg 1.2.3"',
        "processor": '"x86_64"',
        "system": '"Linux/6.1"',
        "leap": "0",
        "stratum": "1",
        "precision": "-20",
        "rootdelay": "0.000000",
        "rootdisp": "0.003000",  # 2 us, and 1 us more in the second since
        "rootdist": "0.003000",
        "refid": "PPS",
        "reftime": "0xed3d853f.00000000",
        "clock": "0xed3d8541.00000000",
        "peer": "2",
        "peeradr": "127.127.22.0",
        "peermode": "3",
        "offset": "-0.000020",
        "frequency": "-12.500000",
        "sys_jitter": "0.000045",
    }


def test_a_source_is_described_as_ntpd_describes_its_reference_clocks(locked_snapshot: SystemSnapshot):
    gps = variables(ask(locked_snapshot, Opcode.READ_VARIABLES, association=1))
    assert gps["srcadr"] == "127.127.20.0"
    assert gps["srchost"] == '"GPS_NMEA(0)"'
    assert gps["refid"] == "GPS"
    assert (gps["reach"], gps["hpoll"], gps["ppoll"]) == ("0xff", "4", "4")
    assert gps["rec"] == "0xed3d853f.00000000"
    assert (gps["delay"], gps["offset"], gps["jitter"], gps["dispersion"]) == (
        "0.000",
        "0.123400",
        "0.001500",
        "200.000000",
    )
    assert gps["flash"] == "0x0"
    assert variables(ask(locked_snapshot, Opcode.READ_VARIABLES, association=2))["srcadr"] == "127.127.22.0"


def test_a_server_is_described_by_its_own_address_and_what_it_says_of_itself(following_snapshot: SystemSnapshot):
    first = variables(ask(following_snapshot, Opcode.READ_VARIABLES, association=1))
    assert (first["srcadr"], first["srcport"], first["srchost"]) == ("192.0.2.1", "123", '"ntp1.example.net"')
    assert (first["dstadr"], first["dstport"]) == ("198.51.100.7", "40123")
    assert (first["refid"], first["stratum"], first["leap"]) == ("GPS", "1", "0")
    assert (first["rootdelay"], first["rootdisp"], first["delay"]) == ("1.000000", "2.000000", "12.000")
    assert first["reftime"] == "0xed3d8536.00000000"
    second = variables(ask(following_snapshot, Opcode.READ_VARIABLES, association=2))
    assert (second["srcadr"], second["srcport"], second["dstadr"]) == ("2001:db8::5", "1123", "2001:db8::7")
    assert second["refid"] == "192.0.2.77"
    assert "srchost" not in second  # ntpq looks up what the address is called


def test_a_server_whose_name_is_not_found_has_no_address(following_snapshot: SystemSnapshot):
    first, second = following_snapshot.sources
    lost = replace(following_snapshot, sources=(replace(first, path=None, reference_id=b"INIT", stratum=16), second))
    server = variables(ask(lost, Opcode.READ_VARIABLES, association=1))
    assert (server["srcadr"], server["dstadr"], server["dstport"]) == ("0.0.0.0", "0.0.0.0", "0")
    assert (server["srchost"], server["refid"]) == ('"ntp1.example.net"', "INIT")


def test_the_system_that_follows_a_server_names_its_address_and_ntp(following_snapshot: SystemSnapshot):
    answer = ask(following_snapshot, Opcode.READ_VARIABLES)
    assert answer.status == 0x0615  # no leap, clock source NTP, 1 event: clock synchronised
    system = variables(answer)
    assert (system["peer"], system["peeradr"], system["refid"]) == ("1", "192.0.2.1", "192.0.2.1")
    assert ask(following_snapshot, Opcode.READ_CLOCK_VARIABLES).status == ErrorCode.UNKNOWN_ASSOCIATION << 8


def test_an_association_keeps_its_number_when_others_go(following_snapshot: SystemSnapshot):
    alone = replace(following_snapshot, sources=following_snapshot.sources[1:], selected="[2001:db8::5]:1123")
    assert ask(alone, Opcode.READ_STATUS).data[:2] == bytes([0, 2])
    assert variables(ask(alone, Opcode.READ_VARIABLES))["peer"] == "2"
    assert ask(alone, Opcode.READ_STATUS, association=1).error


def test_a_clock_below_stratum_one_keeps_its_name_as_reference(locked_snapshot: SystemSnapshot):
    local = with_gps(locked_snapshot, driver="local", name="LOCAL(0)", reference_id=b"LOCL", stratum=10)
    answer = variables(ask(local, Opcode.READ_VARIABLES, association=1))
    assert (answer["refid"], answer["srcadr"]) == ("LOCL", "127.127.1.0")


def test_each_driver_of_ours_has_a_type_of_its_own_in_addresses():
    ours = {entry.name for entry in entry_points(group="ntp_usg.refclocks")}
    assert len(CLOCK_TYPES) == len(ours)
    assert len({pseudo_address(driver, 3) for driver in CLOCK_TYPES}) == len(CLOCK_TYPES) - 1  # two kinds of pulses
    assert pseudo_address("somebody's", 3) == bytes([127, 127, 63, 3])


def test_a_source_never_heard_says_so_in_the_protocols_own_way(locked_snapshot: SystemSnapshot):
    silent = with_gps(
        locked_snapshot,
        reach=0,
        healthy=False,
        leap=Leap.UNSYNCHRONISED,
        reference_time=WallNs(0),
        tally=Tally.REJECTED,
        last_heard_age=None,
        offset=None,
        jitter=None,
        dispersion=None,
    )
    answer = ask(silent, Opcode.READ_VARIABLES, association=1)
    assert answer.status == 0x8011  # configured, rejected, 1 event: mobilised
    gps = variables(answer)
    assert (gps["rec"], gps["dispersion"]) == ("0x00000000.00000000", "16000.000000")
    assert gps["reftime"] == "0x00000000.00000000"  # classic ntpq takes any number for it where it is missing
    assert (gps["reach"], gps["leap"], gps["flash"]) == ("0x0", "3", "0x1004")


def test_only_the_variables_asked_for_come_back_and_each_once(locked_snapshot: SystemSnapshot):
    answer = ask(locked_snapshot, Opcode.READ_VARIABLES, data=b" stratum, leap ,stratum,offset=3,")
    assert answer.data == b"stratum=1, leap=0, offset=-0.000020\r\n"


def test_the_clock_variables_count_what_was_wrong_with_the_messages(locked_snapshot: SystemSnapshot):
    answer = ask(locked_snapshot, Opcode.READ_CLOCK_VARIABLES, association=1)
    assert answer.status == 0
    assert variables(answer) == {
        "name": '"GPS_NMEA(0)"',
        "device": '"/dev/ttyAMA0"',
        "poll": "105",
        "badformat": "3",
        "baddata": "2",
        "stratum": "0",
        "refid": "GPS",
        "reason": '"numbers the seconds of PPS(0)"',
        "fix": '"GPS"',
        "satellites": "8",
    }


def test_clock_zero_is_the_one_that_the_system_follows(locked_snapshot: SystemSnapshot):
    assert variables(ask(locked_snapshot, Opcode.READ_CLOCK_VARIABLES))["name"] == '"PPS(0)"'
    nothing = replace(locked_snapshot, selected=None)
    assert ask(nothing, Opcode.READ_CLOCK_VARIABLES).status == ErrorCode.UNKNOWN_ASSOCIATION << 8


def test_read_status_lists_the_associations_with_their_status_words(locked_snapshot: SystemSnapshot):
    answer = ask(locked_snapshot, Opcode.READ_STATUS)
    assert answer.data == bytes.fromhex("0001961a 0002971a")  # configured, reachable, system peer and pps peer
    assert answer.status == 0x0115  # no leap, calibrated atomic clock, 1 event: clock synchronised


def test_read_status_of_one_association_is_its_status_word_alone(locked_snapshot: SystemSnapshot):
    answer = ask(locked_snapshot, Opcode.READ_STATUS, association=2)
    assert (answer.status, answer.association, answer.data) == (0x971A, 2, b"")


@pytest.mark.parametrize(
    ("tally", "selection"),
    [(" ", 0), ("x", 1), (".", 2), ("-", 3), ("+", 4), ("*", 6), ("o", 7)],
)
def test_the_selection_in_a_status_word_is_the_tally(locked_snapshot: SystemSnapshot, tally: str, selection: int):
    word = ask(with_gps(locked_snapshot, tally=Tally(tally)), Opcode.READ_STATUS, association=1).status
    assert word >> 8 & 7 == selection


@pytest.mark.parametrize(
    ("phase", "selected", "leap", "word"),
    [
        (SyncPhase.STARTING, None, Leap.UNSYNCHRONISED, 0xC016),
        (SyncPhase.LOCKING, None, Leap.UNSYNCHRONISED, 0xC014),
        (SyncPhase.SYNCHRONISED, "GPS_NMEA(0)", Leap.INSERT, 0x4415),
        (SyncPhase.HOLDOVER, None, Leap.NONE, 0x0018),
        (SyncPhase.UNSYNCHRONISED, None, Leap.UNSYNCHRONISED, 0xC018),
    ],
)
def test_the_system_status_word_tells_the_phase(
    locked_snapshot: SystemSnapshot, phase: SyncPhase, selected: str | None, leap: Leap, word: int
):
    snapshot = replace(
        locked_snapshot, phase=phase, selected=selected, serving=replace(locked_snapshot.serving, leap=leap)
    )
    assert ask(snapshot, Opcode.READ_VARIABLES, data=b"leap").status == word


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"reach": 0}, 0x11),  # no reply
        ({"fix": Fix(FixQuality.NO_FIX)}, 0x14),  # propagation: no sky
        ({}, 0x13),  # fault
    ],
)
def test_the_clock_status_word_tells_what_ails_the_clock(
    locked_snapshot: SystemSnapshot, changes: dict[str, object], word: int
):
    sick = with_gps(locked_snapshot, healthy=False, **changes)
    assert ask(sick, Opcode.READ_CLOCK_VARIABLES, association=1).status == word


@pytest.mark.parametrize("opcode", [3, 5, 6, 8, 9, 31])
def test_nothing_can_be_changed_through_mode_6(locked_snapshot: SystemSnapshot, opcode: int):
    answer = ask(locked_snapshot, opcode, data=b"leap=1")
    assert (answer.error, answer.status, answer.data) == (True, ErrorCode.PERMISSION << 8, b"")


@pytest.mark.parametrize(
    ("opcode", "association", "data", "code"),
    [
        (0, 0, b"", ErrorCode.BAD_OPCODE),
        (10, 0, b"nonce=1", ErrorCode.BAD_OPCODE),  # mrulist
        (12, 0, b"", ErrorCode.BAD_OPCODE),
        (1, 3, b"", ErrorCode.UNKNOWN_ASSOCIATION),
        (2, 3, b"", ErrorCode.UNKNOWN_ASSOCIATION),
        (4, 0xFFFF, b"", ErrorCode.UNKNOWN_ASSOCIATION),
        (2, 0, b"stratum,nonsense", ErrorCode.UNKNOWN_VARIABLE),
        (2, 1, b"sys_jitter", ErrorCode.UNKNOWN_VARIABLE),
        (2, 0, b"\xff", ErrorCode.BAD_FORMAT),
    ],
)
def test_what_cannot_be_answered_gets_the_protocols_error_code(
    locked_snapshot: SystemSnapshot, opcode: int, association: int, data: bytes, code: ErrorCode
):
    answer = ask(locked_snapshot, opcode, association, data)
    assert (answer.error, answer.status, answer.data) == (True, code << 8, b"")


@pytest.mark.parametrize("changes", [{"response": True}, {"error": True}, {"more": True}, {"offset": 4}])
def test_an_answer_is_never_answered(locked_snapshot: SystemSnapshot, changes: dict[str, int]):
    packet = build_control(replace(ControlMessage(Opcode.READ_STATUS, sequence=1), **changes))  # type: ignore[arg-type]
    assert answer_control(packet, locked_snapshot, IDENTITY, NOW) == []


def test_the_answer_speaks_the_version_of_the_request(locked_snapshot: SystemSnapshot):
    request = ControlMessage(Opcode.READ_STATUS, sequence=1, version=4)
    (packet,) = answer_control(build_control(request), locked_snapshot, IDENTITY, NOW)
    assert parse_control(packet).version == 4


def test_text_of_devices_cannot_break_out_of_its_quotes(locked_snapshot: SystemSnapshot):
    evil = with_gps(locked_snapshot, reason='a", stratum=9, b="µ\\\n')
    assert variables(ask(evil, Opcode.READ_CLOCK_VARIABLES, association=1))["reason"] == '"a?, stratum=9, b=????"'


def test_a_server_without_sources_still_answers(locked_snapshot: SystemSnapshot):
    bare = replace(locked_snapshot, serving=ServingState(), sources=(), selected=None, phase=SyncPhase.STARTING)
    assert ask(bare, Opcode.READ_STATUS).data == b""
    system = variables(ask(bare, Opcode.READ_VARIABLES))
    assert (system["stratum"], system["refid"], system["reftime"]) == ("16", "INIT", "0x00000000.00000000")
    assert (system["peer"], system["peeradr"], system["peermode"]) == ("0", "0.0.0.0", "0")


def test_many_sources_are_listed_in_several_packets(locked_snapshot: SystemSnapshot):
    crowd = tuple(replace(locked_snapshot.sources[0], association=number) for number in range(1, 301))
    request = build_control(ControlMessage(Opcode.READ_STATUS, sequence=1))
    packets = answer_control(request, replace(locked_snapshot, sources=crowd), IDENTITY, NOW)
    assert [len(packet) for packet in packets] == [480, 480, 12 + 1200 - 2 * 468]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(head=st.sampled_from([b"\x16", b"\xd6", b"\x26", b""]), tail=st.binary(max_size=600))
def test_any_bytes_get_an_answer_of_bounded_size_or_none(locked_snapshot: SystemSnapshot, head: bytes, tail: bytes):
    packets = answer_control(head + tail, locked_snapshot, IDENTITY, NOW)
    assert sum(len(packet) for packet in packets) <= 960
