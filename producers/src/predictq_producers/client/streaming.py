"""Results as they come, by Server-Sent Events; a stream that is cut goes on where it ended."""

import asyncio
import random
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, closing

from pydantic_core import from_json

from predictq_producers.client.errors import BadAnswer, FellBehind, Interrupted
from predictq_producers.client.exchange import stream_call
from predictq_producers.client.result import Result
from predictq_producers.client.sending import AsyncSender, Cut, Sender

__all__ = ["AsyncResultStream", "ResultStream"]

MAX_LINE_BYTES = 64 * 1024 * 1024
PAUSE_SECONDS = (0.1, 1.0)
"""Drawn before a stream is opened again, so that not all clients of a gateway come back at once."""


class _Place:
    """How far a stream was read."""

    def __init__(self, cursor: str | None) -> None:
        self.cursor = cursor
        self.begin = cursor
        self._rest = b""
        self._fields: dict[bytes, bytes] = {}

    def cut(self) -> None:
        """What was not complete comes again."""
        self._rest, self._fields = b"", {}

    def read(self, piece: bytes) -> Iterator[Result]:
        """What is complete with this piece of the stream. Raises FellBehind where something is lost, and BadAnswer."""
        *lines, self._rest = (self._rest + piece).split(b"\n")
        if len(self._rest) > MAX_LINE_BYTES:
            raise BadAnswer("the stream has a line without an end")
        for line in lines:
            if line:
                name, _, value = line.partition(b":")
                self._fields[name] = value.removeprefix(b" ")
            elif (result := self._event()) is not None:
                yield result

    def _event(self) -> Result | None:
        fields, self._fields = self._fields, {}
        if b"id" in fields:
            self.cursor = fields[b"id"].decode()
            self.begin = self.begin or self.cursor
        if b"data" not in fields:
            return None
        body = from_json(fields[b"data"])
        if fields.get(b"event") == b"error":
            raise FellBehind(body["detail"], self.cursor)
        return Result.of(body)


class ResultStream:
    """The finished requests of an endpoint, for a `for` that has no end of its own."""

    def __init__(self, sender: Sender, endpoint: str, after: str | None) -> None:
        self._sender = sender
        self._endpoint = endpoint
        self._place = _Place(after)
        self._cut = Cut()

    @property
    def begin(self) -> str | None:
        """Where it began; None before it has: from then on nothing is missed."""
        return self._place.begin

    @property
    def cursor(self) -> str | None:
        """Behind the last result, for `after` of another stream; None before the stream has begun."""
        return self._place.cursor

    def __iter__(self) -> Iterator[Result]:
        """Waits for each. Raises GatewayUnavailable, FellBehind, NotFound, Rejected."""
        while not self._cut.is_closed:
            self._place.cut()
            with closing(self._sender.pieces(stream_call(self._endpoint, self.cursor), self._cut)) as pieces:
                try:
                    for piece in pieces:
                        yield from self._place.read(piece)
                except Interrupted:
                    pass
            self._cut.wait(random.uniform(*PAUSE_SECONDS))  # noqa: S311 - no secret

    def close(self) -> None:
        """End it, whichever thread waits for its next result."""
        self._cut.close()


class AsyncResultStream:
    """See ResultStream; for an `async for`."""

    def __init__(self, sender: AsyncSender, endpoint: str, after: str | None) -> None:
        self._sender = sender
        self._endpoint = endpoint
        self._place = _Place(after)

    @property
    def cursor(self) -> str | None:
        """See ResultStream."""
        return self._place.cursor

    async def __aiter__(self) -> AsyncIterator[Result]:
        """See ResultStream."""
        while True:
            self._place.cut()
            async with aclosing(self._sender.pieces(stream_call(self._endpoint, self.cursor))) as pieces:
                try:
                    async for piece in pieces:
                        for result in self._place.read(piece):
                            yield result
                except Interrupted:
                    pass
            await asyncio.sleep(random.uniform(*PAUSE_SECONDS))  # noqa: S311 - no secret
