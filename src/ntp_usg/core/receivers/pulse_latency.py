"""How late a pulse is stamped before anybody has measured it: by the way on which it gets into the machine.

The figures come from measurements of others, against network cards that are disciplined to nanoseconds; no two machines
are alike, so each is a middle and how far from it a machine may be.
"""

from dataclasses import dataclass
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class Latency:
    """Seconds from a pulse to its stamp: the middle of what is known, and half the width of it."""

    mean: float
    uncertainty: float

    def __str__(self) -> str:
        return f"{self.mean * 1e6:.0f} us late, give or take {self.uncertainty * 1e6:.0f} us"


class PulseInput(StrEnum):
    """The ways into the machine; the value is how people call them."""

    SIMULATED = "simulated line"
    TIMER = "kernel timer"
    INTERRUPT = "kernel interrupt"
    SERIAL = "serial port"
    USB = "USB adapter"
    SERIAL_WAIT = "serial port, waited for"
    USB_WAIT = "USB adapter, waited for"
    SERIAL_POLL = "serial port, polled"
    USB_POLL = "USB adapter, polled"

    def latency(self, *, awake: bool) -> Latency:
        """What to expect; `awake` is whether the processor is kept from deep sleep (/dev/cpu_dma_latency)."""
        free, kept_awake = _LATENCIES_US[self]
        mean, uncertainty = kept_awake if awake else free
        return Latency(mean / 1e6, uncertainty / 1e6)


_EXACT = (0, 1), (0, 1)
_LATENCIES_US: dict[PulseInput, tuple[tuple[float, float], tuple[float, float]]] = {
    # Mean and uncertainty with a processor that may sleep, and with one that is kept awake
    PulseInput.SIMULATED: _EXACT,
    PulseInput.TIMER: _EXACT,
    PulseInput.INTERRUPT: ((12, 12), (6, 6)),  # GPIO of a Raspberry Pi 5: 11.7, with its idle states limited 5.2
    PulseInput.SERIAL: ((160, 160), (20, 15)),  # UARTs: medians of 94 and 218, deviations of 31 and 57; 12 and 29
    PulseInput.USB: ((600, 600), (500, 500)),  # a frame of full-speed USB takes 1 ms; high-speed ones do better
    PulseInput.SERIAL_WAIT: ((230, 220), (90, 80)),  # TIOCMIWAIT comes 6 to 130 after the kernel's own stamp
    PulseInput.USB_WAIT: ((670, 670), (570, 570)),
    PulseInput.SERIAL_POLL: ((0, 3), (0, 3)),  # 0, deviation 1: nothing has to wake up, the line is asked
    PulseInput.USB_POLL: ((25, 50), (25, 50)),  # 2 and 45, by make
}


def pulse_input(name: str, port: str) -> PulseInput:
    """The kind of a kernel's pulse line, by what sysfs says of it: its `name`, and the `path` of its serial port."""
    if port:
        return PulseInput.USB if is_usb(port) else PulseInput.SERIAL
    return PulseInput.TIMER if name.startswith("ktimer") else PulseInput.INTERRUPT


def is_usb(port: str) -> bool:
    """Whether a serial port, by the name that its driver gave it, is one of a USB adapter."""
    return port.rpartition("/")[2].startswith(("ttyUSB", "ttyACM"))
