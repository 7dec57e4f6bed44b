"""Runs fuzzers: see script/fuzz."""

import argparse
import random
import sys
import time

from tests.fuzz import fuzz_engine as engine
from tests.fuzz.fuzz_cards import CardFuzzer
from tests.fuzz.fuzz_client import ClientFuzzer
from tests.fuzz.fuzz_meinberg import MeinbergFuzzer
from tests.fuzz.fuzz_nmea import NmeaFuzzer
from tests.fuzz.fuzz_oncore import OncoreFuzzer
from tests.fuzz.fuzz_packets import PacketFuzzer
from tests.fuzz.fuzz_readings import ReadingFuzzer
from tests.fuzz.fuzz_tsip import TsipFuzzer
from tests.fuzz.fuzz_ubx import UbxFuzzer
from tests.fuzz.harness import Fuzzer

WHOLE: dict[str, type[Fuzzer]] = {
    "nmea": engine.NmeaOnEngine,
    "ubx": engine.UbxOnEngine,
    "tsip": engine.TsipOnEngine,
    "oncore": engine.OncoreOnEngine,
    "meinberg": engine.MeinbergOnEngine,
    "gpsd": engine.GpsdOnEngine,
    "shm": engine.ShmOnEngine,
    "sock": engine.SockOnEngine,
    "phc": engine.PhcOnEngine,
    "rtc": engine.RtcOnEngine,
    "ntp": engine.NtpOnEngine,
}
"""Through a parser and the whole engine."""
PARTS: dict[str, type[Fuzzer]] = {
    "packets": PacketFuzzer,
    "client": ClientFuzzer,
    "cards": CardFuzzer,
    "readings": ReadingFuzzer,
    "parser-nmea": NmeaFuzzer,
    "parser-ubx": UbxFuzzer,
    "parser-tsip": TsipFuzzer,
    "parser-oncore": OncoreFuzzer,
    "parser-meinberg": MeinbergFuzzer,
}
"""One part by itself."""
TARGETS = WHOLE | PARTS
PROGRESS_SECONDS = 10.0


def run(target: str, inputs: int, seed: int) -> bool:
    """Feed so many pieces and print how often each kind of end came of them; False where something was raised."""
    fuzzing = TARGETS[target](seed)
    begun = told = time.monotonic()
    print(f"== {target}: {inputs} inputs, seed {seed}", flush=True)
    for number in range(inputs):
        data = b""
        try:
            data = fuzzing.piece()
            fuzzing.step(data)
        except Exception:  # noqa: BLE001 - whatever it is, it is what we look for
            sys.excepthook(*sys.exc_info())
            again = f"script/fuzz {target} --inputs {number + 1} --seed {seed}"
            print(f"FAILED at input {number}, {data.hex()}\nTo see it again: {again}", file=sys.stderr, flush=True)
            return False
        if number % 1000 == 0 and time.monotonic() - told > PROGRESS_SECONDS:
            told = time.monotonic()
            print(f"   {number / inputs:.0%} after {told - begun:.0f} s", file=sys.stderr, flush=True)
    for end, count in fuzzing.events.most_common():
        print(f"{count:9} {end}")
    print(f"== {target}: {inputs} inputs without an exception in {time.monotonic() - begun:.0f} s", flush=True)
    return True


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="script/fuzz",
        description="Throws random, extreme and nearly right inputs with dates of all years at the parsers, and through"
        " them at the whole engine in virtual time. Nothing may be raised.",
        epilog=f"Targets, through the whole engine: {', '.join(WHOLE)}. One part by itself: {', '.join(PARTS)}.",
    )
    parser.add_argument("targets", nargs="*", metavar="TARGET", help="which to run, one after the other; default: all")
    parser.add_argument("--inputs", type=int, default=100_000, metavar="N", help="of each target (default 100000)")
    parser.add_argument("--seed", type=int, metavar="N", help="the same seed gives the same inputs; default: random")
    options = parser.parse_args()
    if unknown := set(options.targets) - TARGETS.keys():
        parser.error(f"no target {', '.join(sorted(unknown))}; there are {', '.join(TARGETS)}")
    seed = random.randrange(10**6) if options.seed is None else options.seed
    failed = [target for target in options.targets or TARGETS if not run(target, options.inputs, seed)]
    if failed:
        print(f"Failed: {', '.join(failed)}", file=sys.stderr)
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
