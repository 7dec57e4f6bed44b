"""Waiting for devices that are read like files, in the event loop."""

import asyncio


async def readable(descriptor: int) -> None:
    """Until there is something to read, or the device has gone, which reading it then tells."""
    loop, ready = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(descriptor, ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_reader(descriptor)
