"""What goes wrong: each fault is done to the world, lasts a while, and is over when its function returns."""

import asyncio
import contextlib
import os
import signal
import socket
from collections.abc import Awaitable, Callable

from tests.fuzz.fuzz_packets import PacketFuzzer
from tests.soak.world import HTTP, SERVER, World

MRULIST = bytes([0x26, 10, 0, 1]) + bytes(8)
KISS_RATE = bytes([0xE4, 0, 10, 0xEC]) + bytes(8) + b"RATE" + bytes(32)

Fault = Callable[[World], Awaitable[None]]


async def kill_a_worker(world: World) -> None:
    await _signal_a_worker(world, signal.SIGKILL)


async def stop_a_worker(world: World) -> None:
    await _signal_a_worker(world, signal.SIGSTOP)


async def stop_control(world: World) -> None:
    """For less than a state lives."""
    world.signal_daemon(signal.SIGSTOP)
    await asyncio.sleep(world.random.uniform(0.5, 6))
    world.signal_daemon(signal.SIGCONT)


async def kill_control(world: World) -> None:
    await world.restart(signal.SIGKILL)


async def restart(world: World) -> None:
    await world.restart(signal.SIGTERM)


async def unplug(world: World) -> None:
    await _for_a_while(world, ["unplug", "hush"], ["plug", "beat"])


async def unplug_the_serial_line(world: World) -> None:
    await _for_a_while(world, ["unplug"], ["plug"])


async def stop_pulses(world: World) -> None:
    await _for_a_while(world, ["hush"], ["beat"])


async def lose_the_fix(world: World) -> None:
    await _for_a_while(world, ["lose"], ["regain"])


async def short_the_antenna(world: World) -> None:
    await _for_a_while(world, ["antenna short"], ["antenna ok"])


async def jam(world: World) -> None:
    await _for_a_while(world, ["jam"], ["jam"])


async def spoof(world: World) -> None:
    await _for_a_while(world, ["forge"], ["forge"])


async def spoil_the_line(world: World) -> None:
    for _ in range(world.random.randrange(5, 200)):
        world.tell_receiver("garbage")
        await asyncio.sleep(0.02)


async def flood_with_garbage(world: World) -> None:
    """Random and mutated datagrams from fifty clients."""
    fuzzer = PacketFuzzer(world.random.getrandbits(32))
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(_client(f"127.0.9.{number}")) for number in range(1, 51)]
        for number in range(world.random.randrange(2_000, 20_000)):
            with contextlib.suppress(BlockingIOError):
                world.random.choice(sockets).sendto(fuzzer.piece(), SERVER)
            if number % 50 == 0:
                await asyncio.sleep(0.005)


async def burst(world: World) -> None:
    """Plain requests of one client, faster than its rate limit."""
    with _client("127.0.10.1") as client:
        for number in range(world.random.randrange(2_000, 20_000)):
            with contextlib.suppress(BlockingIOError):
                client.sendto(bytes([0x23]) + bytes(39) + number.to_bytes(8, "big"), SERVER)
            if number % 100 == 0:
                await asyncio.sleep(0.005)


async def ask_for_lists(world: World) -> None:
    """Mode 6, mrulist again and again."""
    with _client("127.0.11.1") as client:
        for _ in range(world.random.randrange(20, 500)):
            with contextlib.suppress(BlockingIOError):
                client.sendto(MRULIST, SERVER)
            await asyncio.sleep(0.01)


async def hold_connections(world: World) -> None:
    """Idle connections to the HTTP port."""
    with contextlib.ExitStack() as stack:
        for _ in range(100):
            connection = stack.enter_context(socket.socket())
            connection.setblocking(False)
            connection.connect_ex(HTTP)
        await asyncio.sleep(world.random.uniform(1, 10))


async def reload(world: World) -> None:
    """Good configurations, in quick succession."""
    good = world.configuration.read_text(encoding="utf-8")
    try:
        for number in range(world.random.randrange(1, 5)):
            text = good.replace("[access]", f'[access]\ndeny = ["198.51.100.{number}"]')
            world.configuration.write_text(text, encoding="utf-8")
            world.signal_daemon(signal.SIGHUP)
            await asyncio.sleep(world.random.uniform(0, 0.5))
    finally:
        world.configuration.write_text(good, encoding="utf-8")
    world.signal_daemon(signal.SIGHUP)


async def reload_nonsense(world: World) -> None:
    """A broken configuration, then none at all."""
    good = world.configuration.read_text(encoding="utf-8")
    try:
        world.configuration.write_text(good + "[access]\nallow = 7\n", encoding="utf-8")
        world.signal_daemon(signal.SIGHUP)
        await asyncio.sleep(0.5)
        world.configuration.unlink()
        world.signal_daemon(signal.SIGHUP)
        await asyncio.sleep(0.5)
    finally:
        world.configuration.write_text(good, encoding="utf-8")


async def silence_the_server(world: World) -> None:
    world.upstream.silent = True
    await _wait(world)
    world.upstream.silent = False


async def slow_the_server(world: World) -> None:
    """Its answers are late, all on the way in: half of that is an error that the delay bounds."""
    world.upstream.delay = world.random.uniform(0.001, 0.3)
    await _wait(world)
    world.upstream.delay = 0.0


async def server_answers_nonsense(world: World) -> None:
    world.upstream.spoilt = world.random.choice([KISS_RATE, world.random.randbytes(48), b""])
    await _wait(world)
    world.upstream.spoilt = None


FAULTS: tuple[Fault, ...] = (
    kill_a_worker,
    stop_a_worker,
    stop_control,
    kill_control,
    restart,
    unplug,
    unplug_the_serial_line,
    stop_pulses,
    lose_the_fix,
    short_the_antenna,
    jam,
    spoof,
    spoil_the_line,
    flood_with_garbage,
    burst,
    ask_for_lists,
    hold_connections,
    reload,
    reload_nonsense,
    silence_the_server,
    slow_the_server,
    server_answers_nonsense,
)


async def _signal_a_worker(world: World, number: signal.Signals) -> None:
    if workers := world.workers():
        with contextlib.suppress(ProcessLookupError):
            os.kill(world.random.choice(workers), number)


async def _for_a_while(world: World, begin: list[str], end: list[str]) -> None:
    for command in begin:
        world.tell_receiver(command)
    await _wait(world)
    for command in end:
        world.tell_receiver(command)


async def _wait(world: World) -> None:
    await asyncio.sleep(world.random.uniform(1, 25))


def _client(address: str) -> socket.socket:
    endpoint = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    endpoint.bind((address, 0))
    return endpoint
