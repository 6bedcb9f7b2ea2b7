"""Server-Sent Events (https://html.spec.whatwg.org/multipage/server-sent-events.html): their text, and the response."""

import asyncio
import logging
import random
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import aclosing, contextmanager
from typing import Any

from fastapi import Response
from pydantic_core import to_json
from starlette.types import Receive, Scope, Send

from predictq.errors import Unavailable

__all__ = ["HEARTBEAT", "MEDIA_TYPE", "EventStream", "Room", "TooManyStreams", "event", "problem_event"]

MEDIA_TYPE = "text/event-stream"
HEARTBEAT = b":\n"
"""A comment. No empty line behind it, which some clients take for an event once they have seen an id."""
RETRY_MILLISECONDS = (500, 3000)
"""Drawn for each client: not all of them come back at once when a gateway was restarted."""
HEADERS = {"cache-control": "no-store", "x-accel-buffering": "no"}  # the latter for nginx, which would hold events back

log = logging.getLogger(__name__)


class TooManyStreams(Unavailable):
    """As many clients follow events as may; the same call works when one of them has left."""


class Room:
    """How many clients may follow events at a time. For one event loop."""

    def __init__(self, most: int) -> None:
        self._most = most
        self.taken = 0

    @contextmanager
    def one(self) -> Iterator[None]:
        """A place for a client. Raises TooManyStreams."""
        if self.taken >= self._most:
            raise TooManyStreams(f"{self._most} clients follow events already; gateway.max_streams may be raised")
        self.taken += 1
        try:
            yield
        finally:
            self.taken -= 1


def event(name: str, cursor: object, body: Mapping[str, Any]) -> bytes:
    """One event; a client that was cut off behind it comes back with the cursor."""
    return b"id: %s\nevent: %s\ndata: %s\n\n" % (str(cursor).encode(), name.encode(), to_json(body))


def problem_event(status: int, title: str, detail: str, cursor: object = None) -> bytes:
    """An `error` event: a problem (RFC 9457). With a cursor the stream goes on from there."""
    body = to_json({"type": "about:blank", "title": title, "status": status, "detail": detail})
    head = b"" if cursor is None else b"id: %s\n" % str(cursor).encode()
    return head + b"event: error\ndata: %s\n\n" % body


class EventStream(Response):
    """Sends what a generator yields, as fast as the client reads and no faster, until either ends."""

    media_type = MEDIA_TYPE
    charset = "utf-8"

    def __init__(self, events: AsyncGenerator[bytes], room: Room, *, send_seconds: float) -> None:
        """Raises TooManyStreams when it is to be sent, before anything is. `send_seconds`: for one piece."""
        super().__init__(headers=HEADERS)
        del self.headers["content-length"]
        self._events = events
        self._room = room
        self._send_seconds = send_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - ASGI's names
        async with aclosing(self._events):
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
            async for piece in self._events:
                await self._send(send, head + piece)
                head = b""
        except TimeoutError:
            log.info("a stream was ended: its client has read nothing for %g s", self._send_seconds)
            return
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _send(self, send: Send, piece: bytes) -> None:
        async with asyncio.timeout(self._send_seconds):
            await send({"type": "http.response.body", "body": piece, "more_body": True})


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
