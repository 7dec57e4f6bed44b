"""Asks a server at the other end of the wire for the time with frames that the kernel makes: millions a second.

A program like generator.py, with the same answers where it can give them; how long answers took it does not know.
`python -m tests.bench.load.frames --compile` makes frames.o again, which is the same on every machine.
"""

import argparse
import contextlib
import ctypes
import fcntl
import hashlib
import json
import signal
import socket
import struct
import subprocess
import sys
import time
from ipaddress import IPv4Address
from pathlib import Path

from tests.bench.load import wire

from ntp_usg.net.xdp.compile import OPTIONS, find_compiler
from ntp_usg.sysapi.bpf import Command, Handle, Map, MapFlag, MapKind, Program, XdpFlag, bpf
from ntp_usg.sysapi.bpf_object import parse_object
from ntp_usg.sysapi.libc import LIBC, check

SOURCE = Path(__file__).with_name("frames.c")
OBJECT = SOURCE.with_suffix(".o")
LICENCE = "Apache-2.0"
PORT = 123

SETTINGS = struct.Struct("=QQIIII90s6x")
GENERATOR, ANSWERS = struct.Struct("=QQQQQQ"), struct.Struct("=QQQ")
PENDING_SIZE = 8 << 16

_TCX_EGRESS, _XDP, _SCHED_CLS = 47, 37, 3
_TEST_RUN = struct.Struct("=IIIIQQIIIIQQIII4x")
_LIVE_FRAMES = 1 << 1
_NEW_NETWORK = 0x40000000
_SIOCGIFHWADDR = 0x8927
_ENDLESS = 1 << 31
_CALIBRATION = 0.05
_LINGER = 0.02


class LiveProgram(Program):
    """Makes frames that are really sent, from the interface that they are said to have come in on."""

    def run_live(self, size: int, interface: int, turns: int) -> None:
        frame = ctypes.create_string_buffer(size)
        context = ctypes.create_string_buffer(struct.pack("=6I", 0, size, 0, interface, 0, 0), 24)
        places = ctypes.addressof(frame), 0, turns, 0, len(context), 0, ctypes.addressof(context), 0
        attributes = _TEST_RUN.pack(self.descriptor, 0, size, 0, *places, _LIVE_FRAMES, 0, 0)
        bpf(Command.PROGRAM_TEST_RUN, attributes)


class PacketProgram(Handle):
    """Looks at packets on their way out, after the network stack (tcx)."""

    def __init__(self, instructions: bytes) -> None:
        code, licence = ctypes.create_string_buffer(instructions), ctypes.create_string_buffer(LICENCE.encode())
        places = ctypes.addressof(code), ctypes.addressof(licence)
        head = struct.pack(
            "=IIQQIIQII16sII", _SCHED_CLS, len(instructions) // 8, *places, 0, 0, 0, 0, 0, b"", 0, _TCX_EGRESS
        )
        super().__init__(bpf(Command.PROGRAM_LOAD, head))


def link(program: Handle, interface: str, kind: int, flags: int = 0) -> Handle:
    index = socket.if_nametoindex(interface)
    return Handle(bpf(Command.LINK_CREATE, struct.pack("=IIII16x", program.descriptor, index, kind, flags)))


def hardware_address(interface: str) -> bytes:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        return fcntl.ioctl(sock, _SIOCGIFHWADDR, struct.pack("16s16x", interface.encode()))[18:24]


def enter_network_of(process: int) -> None:
    with Path(f"/proc/{process}/ns/net").open() as network:
        check(LIBC.setns(network.fileno(), _NEW_NETWORK), "setns")


class Frames:
    """The programs in their places on both ends of the wire; `holder` is a process at the other end.

    This process is there as well from then on: what it makes must leave from there.
    """

    def __init__(self, holder: int, first_client: str, clients: int) -> None:
        sizes = {
            "settings": SETTINGS.size,
            "generator": GENERATOR.size,
            "pending": PENDING_SIZE,
            "answers": ANSWERS.size,
        }
        maps = {name: Map(MapKind.ARRAY, name, (4, size), 1, MapFlag.MAPPABLE) for name, size in sizes.items()}
        self._settings, self._generator, self._answers = (
            maps[name].mapped() for name in ("settings", "generator", "answers")
        )
        code = {section: self._linked(section, maps) for section in ("xdp", "xdp.check", "tcx.check")}
        self._program = LiveProgram("generate", code["xdp"], LICENCE)
        server = hardware_address(wire.OURS)
        self._links = [link(PacketProgram(code["tcx.check"]), wire.OURS, _TCX_EGRESS)]
        enter_network_of(holder)
        checker = Program("check_frame", code["xdp.check"], LICENCE)
        self._links.append(link(checker, wire.THEIRS, _XDP, XdpFlag.NATIVE))
        self._interface = socket.if_nametoindex(wire.THEIRS)
        self._frame = build_request(server, hardware_address(wire.THEIRS))
        self._clients = int(IPv4Address(first_client)), clients

    @staticmethod
    def _linked(section: str, maps: dict[str, Map]) -> bytes:
        return parse_object(OBJECT.read_bytes(), section).linked(maps)

    def idle_turn(self) -> float:
        """Seconds that the generator takes to find that it may send nothing."""
        self._say(window=0, interval_ns=0)
        elapsed = self._run(_CALIBRATION)
        return elapsed / max(int(GENERATOR.unpack_from(self._generator)[1]), 1)

    def ask(self, window: int, rate: float | None, seconds: float) -> float:
        """Ask for so long; for how long it was really."""
        self._say(window=window, interval_ns=round(1e9 / rate) if rate else 0)
        return self._run(seconds)

    def _run(self, span: float) -> float:
        """In one call until a signal comes: beginning and ending one takes the kernel tens of milliseconds."""
        signal.signal(signal.SIGALRM, lambda *_: None)
        signal.setitimer(signal.ITIMER_REAL, span)
        started = time.perf_counter()
        with contextlib.suppress(InterruptedError):
            self._program.run_live(len(self._frame), self._interface, _ENDLESS)
        return time.perf_counter() - started

    def counts(self) -> dict[str, int]:
        time.sleep(_LINGER)
        sent, refused, *_ = GENERATOR.unpack_from(self._generator)
        answered, invalid, unsynchronised = ANSWERS.unpack_from(self._answers)
        lost = max(sent - answered - invalid, 0)
        counted = {"sent": sent, "answered": answered, "invalid": invalid, "unsynchronised": unsynchronised}
        return {**counted, "refused": refused, "lost": lost, "late": 0}

    def _say(self, *, window: int, interval_ns: int) -> None:
        self._settings[: SETTINGS.size] = SETTINGS.pack(
            window, interval_ns, *self._clients, sum_words(self._frame[14:34]), _datagram_sum(self._frame), self._frame
        )


def build_request(server: bytes, client: bytes) -> bytes:
    """A frame without the client's address and port, sums and token."""
    ip = struct.pack("!BBHHHBBH4x4s", 0x45, 0, 76, 0, 0x4000, 64, 17, 0, socket.inet_aton(wire.ADDRESS))
    udp = struct.pack("!HHHH", 0, PORT, 56, 0)
    return server + client + b"\x08\x00" + ip + udp + b"\x23" + bytes(47)


def sum_words(data: bytes) -> int:
    """Of words in this machine's order, as the program adds them."""
    return sum(struct.unpack(f"={len(data) // 2}H", data))


def _datagram_sum(frame: bytes) -> int:
    """With the pseudo header (RFC 768): the addresses, the protocol, and the length once more."""
    return sum_words(frame[26:] + frame[38:40] + b"\x00\x11")


def compile_programs() -> None:
    """Raises SystemExit where there is no compiler, or it does not like the source."""
    compiler = find_compiler()
    if compiler is None:
        raise SystemExit("no compiler for BPF: `pip install ntp_usg[xdp]` brings one, or `apt install clang`")
    digest = f'-DSOURCE_DIGEST="{source_digest()}"'
    command = [*compiler, *OPTIONS, digest, "-c", SOURCE.name, "-o", OBJECT.name]
    raise SystemExit(subprocess.run(command, cwd=SOURCE.parent, check=False).returncode)


def source_digest() -> str:
    return hashlib.sha256(SOURCE.read_bytes()).hexdigest()


def main() -> None:
    """Ask, and print what was found."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.load.frames", description=__doc__)
    parser.add_argument("--compile", action="store_true", help="make frames.o, and nothing else")
    parser.add_argument("--holder", type=int, help="a process at the other end of the wire")
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--rate", type=float, help="requests a second; without it as many as are answered")
    parser.add_argument("--window", type=int, default=128, help="requests under way")
    parser.add_argument("--clients", type=int, default=256, help="addresses that ask")
    parser.add_argument("--first-client", default=wire.FIRST_CLIENT, help="the first of them")
    parser.add_argument("--on-command", action="store_true", help="as generator.py does")
    options = parser.parse_args()
    if options.compile:
        compile_programs()
    frames = Frames(options.holder, options.first_client, options.clients)
    idle_turn, idle_turns = frames.idle_turn(), frames.counts()["refused"]
    if options.on_command:
        print("ready", flush=True)
        sys.stdin.readline()
    elapsed = frames.ask(options.window, options.rate, options.seconds)
    if options.on_command:
        print("done", flush=True)
    counts = frames.counts()
    busy = max(1 - (counts.pop("refused") - idle_turns) * idle_turn / elapsed, 0.0)
    unknown: dict[str, float] = {}
    print(
        json.dumps(
            {"seconds": elapsed, "busy": busy, **counts, "response": unknown, "arrival": unknown, "age": unknown}
        )
    )


if __name__ == "__main__":
    main()
