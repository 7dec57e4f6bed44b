"""The gpsd driver, with a gpsd in this process; the real one is in tests/interop."""

import asyncio
import json
import os
import time
from collections.abc import Awaitable, Callable

import pytest
from pydantic import ValidationError

from ntp_usg.core.base.verdicts import Reason
from ntp_usg.refclocks import gpsd
from ntp_usg.refclocks.gpsd import GpsdDriver, GpsdOptions
from ntp_usg.sysapi.users import user_of_peer

VERSION = {"class": "VERSION", "release": "3.22"}
FIX = {"class": "TPV", "device": "/dev/gps", "mode": 3}
LOST = {"class": "DEVICE", "path": "/dev/gps", "activated": 0}


@pytest.fixture(autouse=True)
def ours(monkeypatch):
    """Those gpsds hang up at once, before the kernel could be asked who they are."""
    monkeypatch.setattr(gpsd, "user_of_peer", lambda _link: os.geteuid())


Say = Callable[..., None]


def told(kind: str, ahead_ns: int = 0, device: str = "/dev/gps", age_ns: int = 0) -> dict[str, object]:
    host = time.time_ns() - age_ns
    names = ("real_sec", "real_nsec", "clock_sec", "clock_nsec")
    values = (*divmod(host + ahead_ns, 10**9), *divmod(host, 10**9))
    return {"class": kind, "device": device, **dict(zip(names, values, strict=True))}


def play(recorder, conversation: Callable[[Say], Awaitable[None]], **options) -> list[bytes]:
    """Run the driver against a gpsd that says what `conversation` makes it say; returns what it was asked."""
    asked = []

    async def serve(reader, writer):
        def say(*reports):
            for each in reports:
                writer.write(each if isinstance(each, bytes) else json.dumps(each).encode() + b"\r\n")

        asked.append(await reader.readline())
        try:
            await conversation(say)
        finally:
            writer.close()

    async def scenario():
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with server, recorder.watching(GpsdDriver(GpsdOptions(device=address, **options))):
            await recorder.until(lambda: any(not status.connected for status in recorder.statuses[-1:]))

    asyncio.run(scenario())
    return asked


def test_messages_of_the_first_receiver_are_readings(recorder):
    async def conversation(say):
        say(VERSION, FIX, told("TOFF", -140_000_000), told("TOFF", 5, "/dev/other"), told("PPS", 7))

    asked = play(recorder, conversation)
    (reading,) = recorder.samples
    assert reading.offset_ns == -140_000_000
    assert [status.connected for status in recorder.statuses] == [True, False]
    assert b'"timing":true' in asked[0]
    assert b'"pps":true' in asked[0]


def test_pulses_are_readings_where_they_are_wanted(recorder):
    async def conversation(say):
        say(VERSION, FIX, told("TOFF", -140_000_000), told("PPS", 7))

    play(recorder, conversation, pulse=True)
    assert [reading.offset_ns for reading in recorder.samples] == [7]


@pytest.mark.parametrize("ahead", [0.7, 0.8, -0.25], ids=["0.3 s", "0.2 s", "late"])
def test_pulses_of_which_gpsd_takes_the_end_are_not_believed(recorder, ahead):
    """The end of a pulse of 0.3 s, 0.2 s after a message that was 0.1 s late, counts as the next second's begin."""

    async def conversation(say):
        say(VERSION, FIX, told("TOFF", -100_000_000), told("PPS", round(ahead * 1e9)))
        await asyncio.sleep(0.3)

    play(recorder, conversation, pulse=True, timeout_secs=0.1)
    assert not recorder.samples
    assert [verdict.reason for verdict in recorder.verdicts] == [Reason.WRONG_EDGE]
    assert "gpsd 3.22 takes the end of each pulse of /dev/gps" in recorder.statuses[0].detail


def test_the_receiver_that_was_named_is_followed(recorder):
    async def conversation(say):
        other = {**FIX, "device": "/dev/other"}
        say(VERSION, FIX, other, told("TOFF", 1), told("TOFF", 2, "/dev/other"))

    play(recorder, conversation, receiver="/dev/other")
    assert [reading.offset_ns for reading in recorder.samples] == [2]


@pytest.mark.parametrize(
    ("reports", "reason"),
    [
        (lambda: [told("TOFF")], Reason.NO_FIX),
        (lambda: [{**FIX, "mode": 1}, told("TOFF")], Reason.NO_FIX),
        (lambda: [FIX, told("TOFF", -(10**18))], Reason.IMPLAUSIBLE),
        (lambda: [FIX, told("TOFF", age_ns=20 * 10**9)], Reason.STALE),
        (lambda: [b"noise\n"], Reason.IMPLAUSIBLE),
    ],
)
def test_what_is_of_no_use_is_a_verdict(recorder, reports, reason):
    async def conversation(say):
        say(VERSION, *reports())  # made only now: they carry the time

    play(recorder, conversation)
    assert [verdict.reason for verdict in recorder.verdicts] == [reason]
    assert not recorder.samples


def test_a_receiver_that_gpsd_has_lost_is_told(recorder):
    async def conversation(say):
        say(VERSION, FIX, told("TOFF"), LOST, told("TOFF"))

    play(recorder, conversation)
    assert "gpsd has lost /dev/gps" in recorder.statuses[1].detail
    assert [verdict.reason for verdict in recorder.verdicts] == [Reason.NO_FIX]


@pytest.mark.parametrize(
    ("reports", "said"),
    [
        ([], "does not say that it is gpsd"),
        ([VERSION], "gpsd 3.22 has had no fix from any receiver for 0.1 s"),
        ([VERSION, FIX], "gpsd 3.22 has told no time of /dev/gps"),
        ([b"x" * 100_000], "lines without an end"),
    ],
)
def test_what_is_missing_is_said(recorder, reports, said):
    async def conversation(say):
        say(*reports)
        await asyncio.sleep(0.3)

    play(recorder, conversation, timeout_secs=0.1)
    assert said in recorder.statuses[0].detail


@pytest.mark.usefixtures("impatient")
def test_a_gpsd_that_comes_back_is_found(recorder):
    async def scenario():
        def serve(_, writer):
            writer.write(b"".join(json.dumps(each).encode() + b"\n" for each in (VERSION, FIX, told("TOFF"))))
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with server, recorder.watching(GpsdDriver(GpsdOptions(device=address))):
            await recorder.until(lambda: len(recorder.samples) == 3)

    asyncio.run(scenario())
    assert [status.connected for status in recorder.statuses][:4] == [True, False, True, False]


def test_nobody_there_is_told_with_advice(recorder):
    async def scenario():
        async with recorder.watching(GpsdDriver(GpsdOptions(device="127.0.0.1:1"))):
            await recorder.until(lambda: recorder.statuses)

    asyncio.run(scenario())
    assert "is gpsd running?" in recorder.statuses[0].detail


def test_an_address_that_is_none_is_refused():
    with pytest.raises(ValidationError, match="port 99999"):
        GpsdOptions(device="127.0.0.1:99999")


def test_pulses_are_believed_more_closely():
    assert GpsdOptions(pulse=True).source().accuracy < GpsdOptions().source().accuracy
    assert GpsdOptions(accuracy_secs=0.5).source().accuracy == 0.5


def test_a_fix_of_which_gpsd_says_nothing_more_is_none(recorder):
    async def conversation(say):
        say(VERSION, FIX)
        for _ in range(10):
            say(told("TOFF", 1))
            await asyncio.sleep(0.05)

    play(recorder, conversation, timeout_secs=0.2)
    assert 1 <= len(recorder.samples) < 10
    assert recorder.verdicts[0].reason is Reason.NO_FIX


@pytest.mark.fault(
    group="Attacks",
    kind="Another user of the machine listens at gpsd's port and tells a false time.",
    noticed="The user at the other end must be gpsd, root, the server's user or `owner`.",
    served="Nothing from that program; the log names the user.",
)
@pytest.mark.parametrize(("owner", "count"), [(None, 0), ("nobody", 1)])
def test_who_poses_as_gpsd_on_this_machine_is_refused_unless_the_configuration_names_him(
    recorder, monkeypatch, owner, count
):
    async def conversation(say):
        say(VERSION, FIX, told("TOFF", 1))

    monkeypatch.setattr(gpsd, "user_of_peer", lambda _link: 65_534)
    play(recorder, conversation, owner=owner)
    assert len(recorder.samples) == count
    refused = [status for status in recorder.statuses if "belongs to user 65534, who is not trusted" in status.detail]
    assert bool(refused) is (owner is None)


def test_who_hangs_up_before_he_is_known_is_not_believed(recorder, monkeypatch):
    async def conversation(say):
        say(VERSION, FIX, told("TOFF", 1))

    monkeypatch.setattr(gpsd, "user_of_peer", lambda _link: None)
    play(recorder, conversation)
    assert not recorder.samples


def test_the_user_at_the_other_end_is_looked_up(recorder, monkeypatch):
    async def conversation(say):
        say(VERSION, FIX, told("TOFF", 1))
        await recorder.until(lambda: recorder.samples)

    monkeypatch.setattr(gpsd, "user_of_peer", user_of_peer)
    play(recorder, conversation)
    assert len(recorder.samples) == 1


def test_a_host_name_is_looked_up_in_a_thread_that_nobody_waits_for_and_each_address_tried(recorder, monkeypatch):
    looked_up = []

    async def in_own_thread(work, name):
        looked_up.append(name)
        return [(0, 0, 0, "", ("127.0.0.99", 0)), *work()]

    monkeypatch.setattr(gpsd, "in_own_thread", in_own_thread)

    async def scenario():
        said = asyncio.Event()

        async def serve(reader, writer):
            await reader.readline()
            said.set()
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        address = f"localhost:{server.sockets[0].getsockname()[1]}"
        async with server, recorder.watching(GpsdDriver(GpsdOptions(device=address))):
            await asyncio.wait_for(said.wait(), 10)

    asyncio.run(scenario())
    assert looked_up[0] == "look-up of localhost"
