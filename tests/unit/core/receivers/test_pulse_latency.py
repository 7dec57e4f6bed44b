from pathlib import Path

import pytest

from ntp_usg.core.receivers.pulse_latency import Latency, PulseInput, is_usb, pulse_input


@pytest.mark.parametrize(("name", "port", "kind"), [
    ("serial0", "/dev/ttyS0", PulseInput.SERIAL),
    ("ttyAMA0", "/dev/ttyAMA0", PulseInput.SERIAL),
    ("ftdi_sio0", "/dev/ttyUSB0", PulseInput.USB),
    ("cdc_acm1", "/dev/ttyACM1", PulseInput.USB),
    ("pps@12.-1", "", PulseInput.INTERRUPT),
    ("ktimer", "", PulseInput.TIMER),
    ("", "", PulseInput.INTERRUPT),
])  # fmt: skip
def test_a_kernels_line_is_known_by_what_sysfs_says(name: str, port: str, kind: PulseInput):
    assert pulse_input(name, port) is kind


def test_only_the_last_part_of_a_ports_name_counts():
    assert not is_usb("/dev/ttyUSB-folder/ttyS0")


@pytest.mark.parametrize("kind", PulseInput)
@pytest.mark.parametrize("awake", [False, True])
def test_no_line_is_expected_to_be_early_beyond_its_uncertainty(kind: PulseInput, awake: bool):
    latency = kind.latency(awake=awake)
    assert latency.mean >= 0
    assert latency.uncertainty > 0


@pytest.mark.parametrize("kind", PulseInput)
def test_a_processor_that_is_kept_awake_is_never_later(kind: PulseInput):
    awake, free = kind.latency(awake=True), kind.latency(awake=False)
    assert awake.mean + awake.uncertainty <= free.mean + free.uncertainty


def test_a_latency_reads_as_a_sentence():
    assert str(Latency(12e-6, 3e-6)) == "12 us late, give or take 3 us"


PAGE = Path(__file__).parents[4] / "docs/reference/refclocks/pps.md"


@pytest.mark.parametrize("kind", PulseInput)
def test_the_page_has_the_figures_that_are_used(kind: PulseInput):
    free, awake = (
        f"{latency.mean * 1e6:.0f} ± {latency.uncertainty * 1e6:.0f}"
        for latency in (kind.latency(awake=False), kind.latency(awake=True))
    )
    assert f"| {kind} | {free} | {awake} |" in PAGE.read_text(encoding="utf-8")
