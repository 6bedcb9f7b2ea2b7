"""Wakes the dispatcher from any thread."""

import asyncio
from contextlib import suppress

__all__ = ["Bell"]


class Bell:
    """`ring` may be called by any thread, `wait` by those of one event loop."""

    def __init__(self) -> None:
        self._rung = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    def attach(self) -> None:
        """To be called once within the event loop that waits."""
        self._loop = asyncio.get_running_loop()

    def ring(self) -> None:
        """Wake who waits, or the next one who does. Before `attach` it is heard by nobody."""
        if self._loop is not None:
            with suppress(RuntimeError):  # the event loop is closed: nobody is left to be woken
                self._loop.call_soon_threadsafe(self._rung.set)

    def ring_here(self) -> None:
        """The same, within the event loop."""
        self._rung.set()

    async def wait(self, seconds: float) -> None:
        """Until it is rung, or for at most `seconds`."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._rung.wait()
        self._rung.clear()
