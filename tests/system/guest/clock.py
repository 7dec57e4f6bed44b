"""Runs in the guest: the system clock made to step, slew and change its frequency, and measured against raw time."""

import json
import os
import select
import time
from multiprocessing import get_context

from ntp_usg.clocks import choose_clock
from ntp_usg.clocks.system import SystemClock
from ntp_usg.core.base.errors import ClockError
from ntp_usg.core.base.instants import HostNs, MonoNs
from ntp_usg.core.base.mapping import ClockMapping
from ntp_usg.core.base.snapshots import Leap
from ntp_usg.sysapi import timex
from ntp_usg.sysapi.clock_news import expect_news, open_clock_news
from ntp_usg.sysapi.privileges import drop_privileges
from ntp_usg.sysapi.timex import ClockStatus, KernelClock

SECOND = 1_000_000_000
LEAP_SECOND = 1_483_228_800  # midnight after it
ADJ_OFFSET, ADJ_STATUS, ADJ_TICK = 0x0001, 0x0010, 0x4000


def read_raw() -> tuple[int, int, int]:
    """Wall, monotonic and raw time at one instant: the tightest of many tries, since a call takes 13 us in here."""
    tries = []
    for _ in range(200):
        before = time.clock_gettime_ns(time.CLOCK_MONOTONIC_RAW)
        host, mono = time.time_ns(), time.monotonic_ns()
        after = time.clock_gettime_ns(time.CLOCK_MONOTONIC_RAW)
        tries.append((after - before, host, mono, (before + after) // 2))
    return min(tries)[1:]


def measured_ppm(interval: float) -> float:
    """How much faster than the kernel's raw clock its disciplined one runs."""
    _, mono, raw = read_raw()
    time.sleep(interval)
    _, later_mono, later_raw = read_raw()
    return ((later_mono - mono) / (later_raw - raw) - 1) * 1e6


class Record:
    """Compares what the system clock believes of raw time with the kernel's own raw clock."""

    def __init__(self, clock: SystemClock) -> None:
        self._clock = clock
        self._start = self._difference()
        self.worst_ns = 0

    def check(self) -> None:
        self.worst_ns = max(self.worst_ns, abs(self._difference() - self._start))

    def _difference(self) -> int:
        host, _, raw = read_raw()
        self._clock.read()  # as all do before they ask: this is where a leap of the kernel's own is noticed
        return self._clock.raw(HostNs(host)) - raw


def steer(clock: SystemClock, *, step: float = 0.0, ppm: float = 0.0, slew_ppm: float = 0.0, slew: float = 0.0) -> None:
    host, _ = clock.read()
    raw = clock.raw(host)
    offset = clock.current().correction_ns(raw) + round(step * SECOND)
    mapping = ClockMapping(raw, offset, ppm / 1e6, slew_ppm / 1e6, round(slew * SECOND))
    clock.steer(mapping, step=step != 0)


def declare(clock: SystemClock, leap: Leap, tai_offset: int | None = None) -> None:
    clock.declare(leap=leap, maximum_error=0.0025, estimated_error=0.0001, tai_offset=tai_offset)


def leave_something_running() -> None:
    """As another time daemon might: a changed tick, the kernel's PLL on, and a phase error that it works off."""
    modes = ADJ_TICK | ADJ_STATUS | ADJ_OFFSET
    request = timex._Timex(modes=modes, tick=10_001, status=ClockStatus.PLL, offset=400_000, constant=2)
    timex._adjust(request)


def steps(clock: SystemClock, record: Record) -> list[float]:
    moved = []
    for step in (2.5, -1.0):
        host, mono, _ = read_raw()
        steer(clock, step=step)
        later_host, later_mono, _ = read_raw()
        moved.append(((later_host - later_mono) - (host - mono)) / SECOND)
        record.check()
    return moved


def slew(clock: SystemClock, record: Record) -> dict[str, float]:
    """600 us at 300 ppm on top of a frequency of -30 ppm."""
    _, mono, raw = read_raw()
    steer(clock, ppm=-30, slew_ppm=300, slew=2)
    kernel_ppm = KernelClock().state().frequency_ppm
    deadline = clock.deadline()
    assert deadline is not None
    time.sleep((deadline - time.monotonic_ns()) / SECOND)
    clock.timer(MonoNs(time.monotonic_ns()))
    record.check()
    _, later_mono, later_raw = read_raw()
    gained_ns = (later_mono - mono) - (later_raw - raw) * (1 - 30e-6)
    return {"kernel_ppm": kernel_ppm, "gained_us": gained_ns / 1000, "ppm_afterwards": measured_ppm(1)}


def qualities(clock: SystemClock) -> dict[str, object]:
    kernel = KernelClock()
    declare(clock, Leap.NONE)
    good = kernel.state()
    steer(clock, step=0.001)
    stepped = kernel.state()
    return {
        "maximum_error": good.maximum_error,
        "estimated_error": good.estimated_error,
        "status": int(good.status & ~ClockStatus.NANOSECONDS),
        "leap_state": good.leap_state,
        "unsynchronised_after_step": ClockStatus.UNSYNCHRONISED in stepped.status,
    }


def leap_second(clock: SystemClock, record: Record) -> dict[str, object]:
    """The end of 2016, which had one, watched from 23:59:57 on."""
    kernel, descriptor = KernelClock(), open_clock_news()
    steer(clock, step=(LEAP_SECOND - 3) - clock.read()[0] / SECOND)
    record.check()
    host, mono = clock.read()
    declare(clock, Leap.INSERT, tai_offset=36)
    expect_news(descriptor)
    states = [kernel.state().leap_state]
    while clock.read()[1] - mono < 7 * SECOND:
        if clock.read()[1] - mono > 5 * SECOND:
            declare(clock, Leap.NONE)
        if (state := kernel.state().leap_state) != states[-1]:
            states.append(state)
            time.sleep(0.1)  # the kernel says so up to a tick before its clock shows it
            record.check()
        time.sleep(0.01)
    later_host, later_mono = clock.read()
    return {
        "moved": ((later_host - later_mono) - (host - mono)) / SECOND,
        "states": states,
        "tai_offset": kernel.state().tai_offset,
        "told": bool(select.select([descriptor], [], [], 0)[0]),
    }


def news(kernel: KernelClock) -> list[bool]:
    """Whether the kernel has something to tell: after another frequency, a step, taking that in, and another step."""
    descriptor = open_clock_news()
    told = []
    for happen in (
        lambda: kernel.set_frequency(50),
        lambda: kernel.step(SECOND),
        lambda: expect_news(descriptor),
        lambda: kernel.step(-SECOND),
    ):
        happen()
        told.append(bool(select.select([descriptor], [], [], 0.1)[0]))
    os.close(descriptor)
    return told


def interference(clock: SystemClock) -> list[str | None]:
    """As long as nobody else sets the clock, and then."""
    before = clock.interference()
    KernelClock().set_frequency(123)
    return [before, clock.interference()]


def without_rights() -> dict[str, object]:
    """What a process that has dropped its rights can do to the clock."""
    fork = get_context("fork")
    receiver, sender = fork.Pipe(duplex=False)

    def ask() -> None:
        drop_privileges()
        answers: dict[str, object] = {"may_set": KernelClock().may_set(), "auto": choose_clock("auto").name}
        try:
            KernelClock().step(SECOND)
        except ClockError as error:
            answers["step"] = str(error)
        sender.send(answers)

    child = fork.Process(target=ask)
    child.start()
    answers: dict[str, object] = receiver.recv()
    child.join()
    return answers


def main() -> dict[str, object]:
    kernel = KernelClock()
    before = kernel.state()
    result: dict[str, object] = {"may_set": kernel.may_set(), "asking_changed_nothing": kernel.state() == before}
    leave_something_running()
    result["left_ppm"] = kernel.state().frequency_ppm
    clock = choose_clock("auto")
    assert isinstance(clock, SystemClock)
    steer(clock, ppm=400)
    record = Record(clock)
    state = kernel.state()
    result["taken_over"] = {"ppm": state.frequency_ppm, "pll": ClockStatus.PLL in state.status}
    result["measured_ppm"] = measured_ppm(2)
    record.check()
    result["steps"] = steps(clock, record)
    result["slew"] = slew(clock, record)
    result["qualities"] = qualities(clock)
    steer(clock, ppm=-30, slew_ppm=200, slew=60)
    clock.close()
    result["ppm_left_behind"] = kernel.state().frequency_ppm
    record.check()
    result["leap_second"] = leap_second(clock, record)
    result["interference"] = interference(clock)
    result["news"] = news(kernel)
    result["worst_error_of_record_us"] = record.worst_ns / 1000
    result["without_rights"] = without_rights()
    return result


print("GUEST RESULT", json.dumps(main()))
