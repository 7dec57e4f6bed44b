"""The simulated receiver as a program of its own: `python -m ntp_usg.simulate --help`."""

import argparse
import asyncio
import contextlib
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from ntp_usg.core.base.instants import HostNs
from ntp_usg.core.base.samples import FixQuality
from ntp_usg.simulate.device import DEVICES
from ntp_usg.simulate.receiver import SimulatedReceiver
from ntp_usg.simulate.sawtooth import Sawtooth
from ntp_usg.simulate.sentences import ANTENNAS
from ntp_usg.simulate.truth import Truth


def _set_satellites(receiver: SimulatedReceiver, value: str) -> None:
    receiver.sky.satellites = min(max(int(value), 0), 24)


def _set_quality(receiver: SimulatedReceiver, value: str) -> None:
    receiver.sky.quality = FixQuality[value.upper()]


def _set_antenna(receiver: SimulatedReceiver, value: str) -> None:
    receiver.sky.antenna = {state[0]: state for state in ANTENNAS}[value[:1]]


def _toggle(name: str) -> Callable[[SimulatedReceiver, str], None]:
    return lambda receiver, _: setattr(receiver.sky, name, not getattr(receiver.sky, name))


# No two begin with the same letter: one letter will do.
_COMMANDS: dict[str, tuple[str, Callable[[SimulatedReceiver, str], None]]] = {
    "lose": ("the antenna sees nothing any more", lambda receiver, _: receiver.lose_fix()),
    "regain": ("it sees the sky again", lambda receiver, _: receiver.regain_fix()),
    "unplug": ("the serial line hangs up", lambda receiver, _: receiver.unplug()),
    "plug": ("it is there again", lambda receiver, _: receiver.plug_in()),
    "hush": ("no more pulses", lambda receiver, _: receiver.stop_pulses()),
    "beat": ("pulses again", lambda receiver, _: receiver.start_pulses()),
    "garbage": ("noise on the line", lambda receiver, _: receiver.garbage()),
    "antenna": (f"STATE: one of {' '.join(ANTENNAS)}", _set_antenna),
    "jam": ("the receiver hears a jammer, or no more", _toggle("jammed")),
    "forge": ("it suspects that its signals are forged, or no more", _toggle("forged")),
    "satellites": ("N: so many are used for the fix, 0 to 24", _set_satellites),
    "quality": (f"NAME: one of {' '.join(quality.name for quality in FixQuality)}", _set_quality),
}


def obey(receiver: SimulatedReceiver, line: str) -> str:
    """Do what a line of input says; the answer is one line, too."""
    word, _, value = line.strip().partition(" ")
    name = next((name for name in _COMMANDS if word and name.startswith(word)), None)
    if name is None:
        return f"unknown command {word!r}: one of {' '.join(_COMMANDS)}"
    try:
        _COMMANDS[name][1](receiver, value)
    except (ValueError, KeyError):
        return f"{name} {_COMMANDS[name][0]}"
    return f"done: {name} {value}".rstrip()


def _obey_input(receiver: SimulatedReceiver, loop: asyncio.AbstractEventLoop) -> None:
    def answer(line: str) -> None:
        print(obey(receiver, line), flush=True)

    with contextlib.suppress(RuntimeError):  # the loop has ended
        for line in sys.stdin:
            loop.call_soon_threadsafe(answer, line)


async def _run(receiver: SimulatedReceiver) -> None:
    loop = asyncio.get_running_loop()
    running = loop.create_task(receiver.run())
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, running.cancel)
    # A thread, because the event loop cannot wait for a file or /dev/null; it must not keep the program alive.
    threading.Thread(target=_obey_input, args=(receiver, loop), daemon=True).start()
    with contextlib.suppress(asyncio.CancelledError):
        await running


def _parser() -> argparse.ArgumentParser:
    commands = "\n".join(f"  {name:11} {text}" for name, (text, _) in _COMMANDS.items())
    parser = argparse.ArgumentParser(
        prog="python -m ntp_usg.simulate",
        description="A simulated GPS receiver: bytes from a pseudo-terminal, pulses to a unix socket.",
        epilog=f"Commands on standard input, one a line; the first letter will do:\n{commands}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--link", type=Path, required=True, help="where the serial line appears: gps.device of the daemon"
    )
    parser.add_argument("--pps", type=Path, help="where the daemon listens for pulses: its pps.device, ending in .sock")
    parser.add_argument("--offset", type=float, default=1.5, help="seconds that true time is ahead of the host's clock")
    parser.add_argument("--drift-ppm", type=float, default=12.0, help="how fast true time gains on the host's clock")
    parser.add_argument("--epoch", type=float, help="Unix time at which the offset is exact (default: now)")
    parser.add_argument("--protocol", choices=list(DEVICES), default="nmea", help="what the receiver speaks")
    parser.add_argument("--baud", type=int, default=9600, help="speed of the serial line")
    parser.add_argument("--jitter-ns", type=float, default=200.0, help="standard deviation of the pulses")
    parser.add_argument(
        "--sawtooth-ns", type=float, default=0.0, help="most that a pulse misses its second by: half a tick"
    )
    parser.add_argument("--seed", type=int, default=1, help="of all that is random")
    return parser


def main() -> None:
    """Run until SIGINT or SIGTERM."""
    options = _parser().parse_args()
    epoch = HostNs(time.time_ns() if options.epoch is None else round(options.epoch * 1e9))
    truth = Truth(epoch, options.offset, options.drift_ppm)
    sawtooth = Sawtooth(options.sawtooth_ns)
    device = DEVICES[options.protocol](sawtooth)
    receiver = SimulatedReceiver(
        truth,
        options.link,
        options.pps,
        baud_rate=options.baud,
        pulse_jitter_ns=options.jitter_ns,
        seed=options.seed,
        sawtooth=sawtooth,
        say=device.say,
        hear=device.hear,
    )
    offset, drift, since = options.offset, options.drift_ppm, epoch / 1e9
    print(f"{options.link} is there: --offset {offset} --drift-ppm {drift} --epoch {since:.6f}", flush=True)
    asyncio.run(_run(receiver))


if __name__ == "__main__":
    main()
