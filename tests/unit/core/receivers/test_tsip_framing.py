"""Packets between DLE and ETX, with DLEs doubled inside."""

import pytest

from ntp_usg.core.base.instants import HostNs
from ntp_usg.core.receivers.tsip_framing import LONGEST_PACKET, Kind, TsipFramer, TsipPacket, build_packet


def feed(*pieces):
    framer = TsipFramer()
    return [packet for at, piece in enumerate(pieces) for packet in framer.feed(piece, HostNs(at))]


def test_a_packet_is_cut_out_whatever_its_bytes():
    for data in (b"", b"\x03", b"\x10", b"\x10\x03", b"\x03\x10", b"\x10\x10\x03", bytes(range(256))[:140]):
        assert feed(build_packet(0x41, data)) == [TsipPacket(0x41, data, HostNs(0))]


def test_a_superpackets_subcode_belongs_to_its_kind():
    assert build_packet(Kind.UTC_MODE, b"\x03") == b"\x10\x8f\xa2\x03\x10\x03"
    assert feed(b"\x10\x8f\xa2\x03\x10\x03") == [TsipPacket(Kind.UTC_MODE, b"\x03", HostNs(0))]


def test_a_subcode_may_be_stuffed_too():
    assert feed(build_packet(0x8F10, b"x")) == [TsipPacket(0x8F10, b"x", HostNs(0))]


def test_a_packet_in_pieces_is_stamped_by_its_first():
    packet = build_packet(Kind.PRIMARY_TIMING, b"\x10\x03\x10")
    for cut in range(1, len(packet)):
        (found,) = feed(b"noise", packet[:cut], packet[cut:])
        assert found == TsipPacket(Kind.PRIMARY_TIMING, b"\x10\x03\x10", HostNs(1))


@pytest.mark.parametrize("torn", [b"\x10", b"\x10\x8f", b"\x10\x8f\xab123", b"\x8f\xab123\x10\x03", b"\x10\x10\x10"])
def test_a_torn_packet_does_not_take_the_next_one_with_it(torn):
    packet = build_packet(0x8FAC, b"whole")
    assert TsipPacket(0x8FAC, b"whole", HostNs(0)) in feed(torn + packet)


def test_an_endless_packet_is_not_kept():
    framer = TsipFramer()
    for _ in range(100):
        assert framer.feed(b"\x10A" + b"x" * 3000, HostNs(0)) == []
        assert framer.feed(b"\x10A" + b"\x10\x10" * 150, HostNs(0)) == []
        assert len(framer._framer._rest) <= LONGEST_PACKET


def test_the_labels_are_those_of_the_manuals():
    assert [Kind.PRIMARY_TIMING.label, Kind.SATELLITES.label] == ["8F-AB", "6D"]
