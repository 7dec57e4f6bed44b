"""A line at any speed, at the wrong one, or without anything on it."""

import asyncio
import itertools

import pytest
from pydantic import ValidationError

from ntp_usg.core.base.instants import NS_PER_SECOND, WallNs
from ntp_usg.core.base.samples import DeviceStatus
from ntp_usg.core.base.verdicts import Outcome, Reason, Verdict
from ntp_usg.core.receivers.nmea_sentences import build_sentence
from ntp_usg.refclocks.nmea import NmeaDriver, NmeaOptions
from ntp_usg.refclocks.ubx import UbxDriver, UbxOptions
from ntp_usg.simulate.sentences import Sky, build_burst
from ntp_usg.simulate.ubx import build_pulse, build_ubx_burst

SECOND = WallNs(1_771_243_200 * NS_PER_SECOND)
GARBAGE = b"\xff\x80$\xe0\r\n"


class Talker:
    """The far end of a wire: only who listens at its speed understands it. A second takes a fiftieth of one."""

    def __init__(self, line, baud_rate):
        self.line = line
        self.baud_rate = baud_rate
        self.heard_at = []

    async def talk(self):
        for number in itertools.count():
            understood = self.line.speed == self.baud_rate
            burst = build_burst(WallNs(SECOND + number * NS_PER_SECOND), Sky())
            self.line.say(burst if understood else GARBAGE)
            if self.heard_at[-1:] != [self.line.speed]:
                self.heard_at.append(self.line.speed)
            await asyncio.sleep(0.02)


def listen(recorder, line, talker, condition, **options):
    """Run the driver until a condition holds, with somebody at the far end, or nobody."""

    async def scenario():
        driver = NmeaDriver(NmeaOptions(device=str(line.link), **options))
        async with recorder.watching(driver):
            talking = asyncio.create_task(talker.talk()) if talker else None
            await recorder.until(condition)
            if talking:
                talking.cancel()

    asyncio.run(scenario())


@pytest.mark.parametrize("baud_rate", [9600, 38400, 4800])
def test_the_speed_is_searched_until_the_receiver_is_understood_and_told(recorder, line, baud_rate):
    talker = Talker(line, baud_rate)
    listen(recorder, line, talker, lambda: recorder.messages, baud_rate="auto", timeout_secs=0.3)
    assert recorder.statuses == [DeviceStatus(connected=True, detail=f"{line.link} found at {baud_rate} baud")]
    assert recorder.statuses[0].identity == f"{baud_rate} baud"
    assert talker.heard_at[-1] == baud_rate


@pytest.mark.usefixtures("impatient")
def test_a_receiver_that_changes_its_speed_is_found_again_from_where_it_was(recorder, line):
    talker = Talker(line, 115_200)

    def change() -> bool:
        if len(recorder.statuses) == 1:
            talker.baud_rate = 4800
        return len(recorder.statuses) == 3

    listen(recorder, line, talker, change, baud_rate="auto", timeout_secs=0.3)
    details = [(status.connected, status.detail) for status in recorder.statuses]
    assert details[0] == (True, f"{line.link} found at 115200 baud")
    assert not details[1][0]
    assert details[2] == (True, f"{line.link} found at 4800 baud")
    assert talker.heard_at == [9600, 115_200, 9600, 38_400, 4800]


def test_a_line_that_nobody_understands_at_any_speed_says_so(recorder, line):
    talker = Talker(line, 0)
    listen(recorder, line, talker, lambda: recorder.statuses, baud_rate="auto", timeout_secs=0.1)
    (status,) = recorder.statuses
    assert not status.connected
    assert "sends bytes, but no NMEA at any usual speed (4800, 9600, " in status.detail


@pytest.mark.parametrize("baud_rate", [9600, "auto"])
def test_a_silent_line_is_lost_and_its_wiring_suspected(recorder, line, baud_rate):
    listen(recorder, line, None, lambda: recorder.statuses, baud_rate=baud_rate, timeout_secs=0.1)
    assert not recorder.statuses[0].connected
    assert "gps sends nothing: is the receiver powered, and its TX wired to our RX?" in recorder.statuses[0].detail


def test_noise_at_the_configured_speed_is_told_from_silence_and_the_search_offered(recorder, line):
    listen(recorder, line, Talker(line, 4800), lambda: recorder.statuses, timeout_secs=0.1, parity="even", data_bits=7)
    assert not recorder.statuses[0].connected
    assert recorder.statuses[0].detail.endswith(
        'gps sends bytes, but no NMEA at 9600 baud, 7E1: try baud_rate = "auto"'
    )
    assert set(recorder.verdicts) == {Verdict(Outcome.REJECTED, Reason.BAD_CHECKSUM)}


@pytest.mark.parametrize("wrong", [0, 49, 4_000_001, True, 9600.0, "9600", "automatic", None])
def test_a_speed_that_is_none_is_refused_in_words(wrong):
    with pytest.raises(ValidationError, match='must be a number from 50 to 4000000, or "auto"'):
        NmeaOptions(device="x", baud_rate=wrong)


@pytest.mark.parametrize("wrong", [{"parity": "mark"}, {"data_bits": 5}, {"stop_bits": 0}])
def test_a_character_that_is_none_is_refused(wrong):
    with pytest.raises(ValidationError):
        NmeaOptions(device="x", **wrong)


# Bytes that are no time, or not in the protocol that was asked for


def complaint(recorder, line, driver, data) -> str:
    """What is told of a line on which only some bytes come, again and again."""

    async def scenario():
        async with recorder.watching(driver):
            async with asyncio.timeout(5):
                while not recorder.statuses or "no" not in recorder.statuses[-1].detail:
                    line.say(data)
                    await asyncio.sleep(0.02)

    asyncio.run(scenario())
    return str(recorder.statuses[-1].detail)


@pytest.mark.fault(
    group="Receivers",
    kind="The receiver speaks another protocol than the table in the configuration says.",
    noticed="The messages of every protocol that we know are recognised until the expected one is understood.",
    served="No time from this receiver; the log names the table to use.",
)
def test_a_receiver_of_another_protocol_is_told_with_the_table_to_use(recorder, line):
    driver = NmeaDriver(NmeaOptions(device=str(line.link), timeout_secs=0.1))
    text = complaint(recorder, line, driver, build_ubx_burst(SECOND, Sky()))
    assert "sends UBX (MON-RF, NAV-PVT, " in text
    assert "and no NMEA: use the table [ubx], or switch the receiver to NMEA" in text


def test_nmea_under_ubx_is_told_with_the_wiring_that_switching_needs(recorder, line):
    driver = UbxDriver(UbxOptions(device=str(line.link), timeout_secs=0.1))
    text = complaint(recorder, line, driver, build_burst(SECOND, Sky()))
    assert "use the table [gps]" in text
    assert "is its RX wired" in text


def test_sentences_that_tell_no_time_are_named_with_what_is_missing(recorder, line):
    driver = NmeaDriver(NmeaOptions(device=str(line.link), timeout_secs=0.1))
    text = complaint(recorder, line, driver, build_sentence("GPVTG,,,") + build_sentence("GPGSV,1,1,02"))
    assert text.endswith("sends only GSV, VTG, which name no second: the receiver must send RMC, or ZDA with GGA.")


def test_pulse_errors_without_a_time_are_used_and_what_is_missing_is_told(recorder, line):
    driver = UbxDriver(UbxOptions(device=str(line.link), timeout_secs=0.1, configure=False))
    text = complaint(recorder, line, driver, build_pulse(SECOND, 5))
    assert "only TIM-TP, which name no second: the receiver must send NAV-PVT" in text
    assert recorder.statuses[-1].connected
    assert recorder.corrections
