"""Frames in a stream of other things, whole, torn and spoilt."""

import pytest

from ntp_usg.core.base.instants import NS_PER_SECOND, HostNs, WallNs
from ntp_usg.core.base.verdicts import Outcome, Reason, Verdict
from ntp_usg.core.receivers.ubx_framing import LONGEST_FRAME, Kind, UbxFrame, UbxFramer, build_frame
from ntp_usg.simulate.sentences import Sky, build_burst
from ntp_usg.simulate.ubx import build_pulse, build_timeutc

TORN = Verdict(Outcome.REJECTED, Reason.BAD_CHECKSUM)
SECOND = WallNs(1_771_243_200 * NS_PER_SECOND)
TIMEUTC, PULSE = build_timeutc(SECOND), build_pulse(SECOND)


def kinds(found):
    return [item.kind if isinstance(item, UbxFrame) else item for item in found]


def test_a_frame_is_built_as_the_manual_shows_it():
    # A poll of CFG-PRT, whose checksum is in every example of the protocol.
    assert build_frame(0x0600, b"\x01") == bytes.fromhex("b5 62 06 00 01 00 01 08 22")


def test_a_frame_has_the_arrival_time_of_its_first_byte():
    framer = UbxFramer()
    assert framer.feed(b"noise" + TIMEUTC[:1], HostNs(1)) == []
    assert framer.feed(TIMEUTC[1:9], HostNs(2)) == []
    assert framer.feed(TIMEUTC[9:] + PULSE, HostNs(3)) == [
        UbxFrame(Kind.NAV_TIMEUTC, TIMEUTC[6:-2], HostNs(1)),
        UbxFrame(Kind.TIM_TP, PULSE[6:-2], HostNs(3)),
    ]
    assert not framer.unfinished


def test_nmea_and_messages_of_no_use_are_passed_over():
    other = build_frame(0x0A04, b"ROM CORE 3.01" * 200)
    stream = build_burst(SECOND, Sky()) + other + TIMEUTC + build_burst(SECOND, Sky()) + PULSE
    assert kinds(UbxFramer().feed(stream, HostNs(0))) == [Kind.NAV_TIMEUTC, Kind.TIM_TP]


@pytest.mark.parametrize("position", range(6, len(TIMEUTC)))
def test_a_frame_with_a_wrong_byte_is_told_and_costs_no_other(position):
    spoilt = bytearray(TIMEUTC)
    spoilt[position] ^= 0x40
    assert kinds(UbxFramer().feed(bytes(spoilt) + PULSE, HostNs(0))) == [TORN, Kind.TIM_TP]


@pytest.mark.parametrize("length", range(6, len(TIMEUTC)))
def test_a_frame_inside_a_torn_one_is_found(length):
    assert kinds(UbxFramer().feed(TIMEUTC[:length] + PULSE + PULSE, HostNs(0))) == [TORN, Kind.TIM_TP, Kind.TIM_TP]


def test_what_waits_behind_a_torn_frame_is_found_when_nothing_more_comes():
    framer = UbxFramer()
    torn = build_frame(Kind.NAV_SAT, bytes(8 + 12 * 100))[:20]
    assert framer.feed(torn + PULSE, HostNs(0)) == []
    assert kinds(framer.flush()) == [TORN, Kind.TIM_TP]
    assert not framer.unfinished


def test_no_claim_of_a_great_length_makes_it_hold_more_than_a_frame():
    framer = UbxFramer()
    for _ in range(100):
        framer.feed(b"\xb5\x62\x01\x35\x08\x06" + bytes(1000) + b"\xb5\x62\x01\x35\xff\xff", HostNs(0))
        assert len(framer._held) == len(framer._arrivals) <= LONGEST_FRAME
