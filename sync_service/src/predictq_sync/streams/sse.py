"""Server-Sent Events (https://html.spec.whatwg.org/multipage/server-sent-events.html) as a response."""

import asyncio
import logging
import random
from collections.abc import AsyncGenerator
from contextlib import aclosing

from fastapi import Response
from starlette.types import Receive, Scope, Send

from predictq_sync.streams.events import Piece
from predictq_sync.streams.room import Room

__all__ = ["MEDIA_TYPE", "EventStream"]

MEDIA_TYPE = "text/event-stream"
RETRY_MILLISECONDS = (500, 3000)
"""Drawn for each client: not all of them come back at once when a gateway was restarted."""
HEADERS = {"cache-control": "no-store", "x-accel-buffering": "no"}  # the latter for nginx, which would hold events back

log = logging.getLogger(__name__)


class EventStream(Response):
    """Sends what a generator yields, as fast as the client reads and no faster, until either ends."""

    media_type = MEDIA_TYPE
    charset = "utf-8"

    def __init__(self, pieces: AsyncGenerator[Piece], room: Room, *, send_seconds: float) -> None:
        """Raises TooManyStreams when it is to be sent, before anything is. `send_seconds`: for one piece."""
        super().__init__(headers=HEADERS)
        del self.headers["content-length"]
        self._pieces = pieces
        self._room = room
        self._send_seconds = send_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - ASGI's names
        async with aclosing(self._pieces):
            with self._room.one():
                sending = asyncio.ensure_future(self._send_all(send))
                leaving = asyncio.ensure_future(_left(receive))
                try:
                    await asyncio.wait({sending, leaving}, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    for task in (sending, leaving):
                        task.cancel()
                    outcomes = await asyncio.gather(sending, leaving, return_exceptions=True)
        if isinstance(outcomes[0], Exception):
            raise outcomes[0]

    async def _send_all(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        head = b"retry: %d\n" % random.randint(*RETRY_MILLISECONDS)  # noqa: S311 - no secret
        try:
            async for piece in self._pieces:
                await self._send(send, head + piece.sse if head else piece.sse)
                head = b""
        except TimeoutError:
            log.info("a stream was ended: its client has read nothing for %g s", self._send_seconds)
            return
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _send(self, send: Send, text: bytes) -> None:
        async with asyncio.timeout(self._send_seconds):
            await send({"type": "http.response.body", "body": text, "more_body": True})


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
