"""What a Trimble receiver is asked and told."""

import pytest

from ntp_usg.core.base.instants import NS_PER_SECOND, HostNs, MonoNs
from ntp_usg.core.receivers.commands import Command, Description
from ntp_usg.core.receivers.tsip_framing import Kind, TsipFramer, TsipPacket, build_packet
from ntp_usg.core.receivers.tsip_setup import BROADCAST_MASK, UTC_MODE, TsipSetup
from ntp_usg.simulate.tsip import Thunderbolt

QUESTIONS = Command(build_packet(UTC_MODE) + build_packet(BROADCAST_MASK))


def answer(kind, data):
    return TsipPacket(kind, data, HostNs(0))


def converse(setup, device):
    """All that both say until neither has anything left to say; the receiver's description."""
    descriptions = []
    events = setup.opened(MonoNs(0))
    framer = TsipFramer()
    while events:
        commands = [event.data for event in events if isinstance(event, Command)]
        descriptions += [event.text for event in events if isinstance(event, Description)]
        answers = [packet for command in commands for packet in framer.feed(device.hear(command), HostNs(0))]
        events = [event for packet in answers for event in setup.answer(packet)]
    return descriptions[-1:]


def test_a_silent_receiver_on_gps_time_is_set_and_read_back():
    device = Thunderbolt()
    assert converse(TsipSetup(), device) == ["UTC, timing packets on"]
    assert device._set == {UTC_MODE: b"\x03", BROADCAST_MASK: b"\x00\x05\x00\x00"}


def test_other_packets_that_were_switched_on_stay_so():
    setup = TsipSetup()
    (command,) = setup.answer(answer(Kind.BROADCAST_MASK, b"\x00\x48\x12\x34"))
    assert command == Command(build_packet(BROADCAST_MASK, b"\x00\x4d\x12\x34") + build_packet(BROADCAST_MASK))


def test_a_receiver_that_is_set_already_is_told_nothing():
    setup = TsipSetup()
    assert setup.answer(answer(Kind.UTC_MODE, b"\x03")) == [Description("UTC")]
    assert setup.answer(answer(Kind.BROADCAST_MASK, b"\x00\x45\x00\x00")) == [Description("UTC, timing packets on")]
    assert setup.answer(answer(Kind.UTC_MODE, b"\x03")) == []


def test_a_receiver_that_refuses_is_told_once_and_described_as_it_is():
    setup = TsipSetup()
    assert isinstance(setup.answer(answer(Kind.UTC_MODE, b"\x00"))[0], Command)
    assert setup.answer(answer(Kind.UTC_MODE, b"\x00")) == [Description("GPS time")]
    assert isinstance(setup.answer(answer(Kind.BROADCAST_MASK, bytes(4)))[0], Command)
    assert setup.answer(answer(Kind.BROADCAST_MASK, bytes(4))) == [Description("GPS time, timing packets off")]


@pytest.mark.parametrize("packet", [(Kind.UTC_MODE, b""), (Kind.BROADCAST_MASK, b"\x05"), (Kind.SATELLITES, b"\x03")])
def test_what_is_no_answer_leads_to_nothing(packet):
    assert TsipSetup().answer(answer(*packet)) == []


def test_a_receiver_that_does_not_answer_is_asked_three_times():
    setup = TsipSetup()
    said = setup.opened(MonoNs(0))
    for second in range(1, 20):
        said += setup.heard(MonoNs(second * NS_PER_SECOND))
    assert said == [QUESTIONS, QUESTIONS, QUESTIONS, Description("does not answer: used as it is set")]
