"""Structured tasks: whatever way a part of the daemon ends, nothing that it started outlives it."""

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any

PATIENCE = 1.0
"""Seconds after which a task that has overlooked its cancellation is cancelled again."""

Work = Coroutine[Any, Any, None]


async def run_until(stop: asyncio.Event, work: Work) -> None:
    """Run `work` until it ends, or until `stop` is set; it may then clean up in peace: it is cancelled only once."""
    task, told = asyncio.ensure_future(work), asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait({task, told}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        told.cancel()
        task.cancel()
        await asyncio.wait({task, told})
    if not task.cancelled():
        task.result()


async def run_together(works: Iterable[Work]) -> None:
    """Run all of them until one fails, whose exception is raised, or until we are cancelled; then end the others."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
    finally:
        failed = [task for task in tasks if task.done() and not task.cancelled()]
        await _end(tasks)
    for task in failed:
        task.result()


async def _end(tasks: Iterable[asyncio.Future[None]]) -> None:
    while pending := [task for task in tasks if not task.done()]:
        for task in pending:
            task.cancel()
        await asyncio.wait(pending, timeout=PATIENCE)
