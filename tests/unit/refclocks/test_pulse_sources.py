"""Which end of a pulse an edge is: asked of the kernel, and of a modem line that is looked at between two edges.

The sources themselves are tried on a real kernel, in tests/system.
"""

import asyncio
import time
from typing import Any

import pytest

from ntp_usg.core.base.errors import DeviceError
from ntp_usg.core.base.instants import NS_PER_SECOND, HostNs, MonoNs
from ntp_usg.core.base.samples import PulseEnd
from ntp_usg.core.receivers.edge_hunt import Bracket
from ntp_usg.core.receivers.pulses import CaptureMode
from ntp_usg.refclocks import pulse_sources
from ntp_usg.refclocks.pulse_sources import KernelPulses, PolledPulses
from ntp_usg.sysapi.pps import PpsCapabilities, PpsInfo


class FakeDevice:
    """A pulse line that captures assert edges, or both where that is allowed."""

    def __init__(self, *, clear_edge: bool, privileged: bool) -> None:
        self.captured = (True, False)
        self._can = PpsCapabilities(assert_edge=True, clear_edge=clear_edge, can_wait=False)
        self._privileged = privileged

    def capabilities(self) -> PpsCapabilities:
        return self._can

    def set_mode(self, *, assert_edge: bool, clear_edge: bool) -> None:
        if (assert_edge, clear_edge) != self.captured:
            if not self._privileged:
                raise DeviceError("needs CAP_SYS_TIME")
            self.captured = assert_edge, clear_edge

    def fetch(self, timeout: float) -> PpsInfo:
        return PpsInfo(0, 0, HostNs(0), HostNs(0))

    def close(self) -> None:
        pass


@pytest.mark.parametrize(
    ("clear_edge", "privileged", "captured"),
    [(True, True, (True, True)), (True, False, (True, False)), (False, True, (True, False))],
)
def test_the_kernel_captures_the_other_edge_too_where_it_can(monkeypatch, clear_edge, privileged, captured):
    device = FakeDevice(clear_edge=clear_edge, privileged=privileged)
    monkeypatch.setattr(pulse_sources, "PpsDevice", lambda _path: device)
    KernelPulses("/dev/pps0", CaptureMode.ASSERT)
    assert device.captured == captured


def test_the_wanted_edge_must_be_captured(monkeypatch):
    device = FakeDevice(clear_edge=True, privileged=False)
    monkeypatch.setattr(pulse_sources, "PpsDevice", lambda _path: device)
    with pytest.raises(DeviceError, match="CAP_SYS_TIME"):
        KernelPulses("/dev/pps0", CaptureMode.CLEAR)


@pytest.fixture
def sleepless(monkeypatch):
    async def sleep(_seconds: float) -> None:
        pass

    monkeypatch.setattr(asyncio, "sleep", sleep)


class FakeLine:
    """A modem line with these levels, one a look."""

    def __init__(self, *levels: bool) -> None:
        self._levels = iter(levels)

    def active(self) -> bool:
        return next(self._levels)


async def look_between_edges(line: Any, mode: CaptureMode, ahead: float = 60.0) -> PolledPulses:
    """The next edge is due `ahead` seconds from now, and nobody really sleeps until then."""
    pulses = PolledPulses(line, mode)
    edge_at = time.monotonic_ns() + round((ahead - 1) * NS_PER_SECOND)
    pulses.hunt.found(Bracket(MonoNs(edge_at), MonoNs(edge_at + 1000)))
    await pulses._see_end()
    return pulses


@pytest.mark.usefixtures("sleepless")
@pytest.mark.parametrize(
    ("levels", "end"),
    [((False, False), PulseEnd.BEGIN), ((True, True), PulseEnd.END), ((True, False), PulseEnd.EVEN)],
)
def test_a_line_that_is_looked_at_shows_the_end_by_its_level_between_edges(levels, end):
    assert asyncio.run(look_between_edges(FakeLine(*levels), CaptureMode.ASSERT))._end is end


@pytest.mark.usefixtures("sleepless")
def test_with_both_edges_wanted_the_one_that_begins_the_pulse_is_looked_for():
    pulses = asyncio.run(look_between_edges(FakeLine(True, True), CaptureMode.BOTH))
    assert (pulses._rising, pulses._end, pulses.hunt.due) == (False, PulseEnd.UNKNOWN, None)


def test_a_look_that_comes_too_late_says_nothing():
    assert asyncio.run(look_between_edges(FakeLine(), CaptureMode.ASSERT, ahead=0.3))._end is PulseEnd.UNKNOWN
