"""Many requests awaited at once: over one WebSocket, or by reading each now and then where there can be none.

Both ways do the same for threads and for coroutines; only one of them awaits.
"""

import asyncio
import random
import ssl
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress

from predictq_producers.client.awaited import SUBPROTOCOL, Awaited, TryAgain
from predictq_producers.client.errors import NotFinished
from predictq_producers.client.exchange import RETRIED, result_call
from predictq_producers.client.result import Result
from predictq_producers.client.retrying import Attempts
from predictq_producers.client.sending import AsyncSender, Sender

__all__ = ["EVER", "finished", "finished_async"]

EVER = float("inf")
CONNECT_SECONDS = 10.0
CLOSE_SECONDS = 1.0
LOOK_SECONDS = 1.0
"""How soon a thread that waits sees that it is to end."""
PAUSE_SECONDS = (0.1, 1.0)
"""Between two rounds of reading."""
MAX_MESSAGE_BYTES = 64 * 1024 * 1024


class _NoSocket(Exception):
    """There can be no WebSocket: the gateway is older, or a proxy stands before it."""


class _Deadline:
    """Until when requests are awaited."""

    def __init__(self, awaited: Awaited, seconds: float) -> None:
        self._awaited = awaited
        self._seconds = seconds
        self._until = time.monotonic() + seconds

    def at_most(self, seconds: float) -> float:
        """So many, or what is left. Raises NotFinished where nothing is."""
        left = self._until - time.monotonic()
        if left > 0:
            return min(left, seconds)
        waiting = self._awaited.left
        error = NotFinished("request", next(iter(waiting)), self._seconds)
        error.add_note(f"{len(waiting)} requests are not finished")
        raise error


def finished(
    sender: Sender, awaited: Awaited, *, seconds: float, closed: threading.Event | None = None
) -> Iterator[Result]:
    """Each as it is finished, within `seconds`; `closed` ends it soon.

    Raises NotFinished, NotFound, Rejected, GatewayUnavailable, BadAnswer.
    """
    deadline = _Deadline(awaited, seconds)
    closed = closed or threading.Event()
    if sender.sockets_url is not None and seconds > 0:
        with suppress(_NoSocket):
            yield from _told(sender, sender.sockets_url, awaited, deadline, closed)
    while awaited.left and not closed.is_set():
        for request_id in list(awaited.left):
            result = Result.of(sender.send(result_call(request_id)))
            if result.finished:
                del awaited.left[request_id]
                yield result
            if closed.is_set():
                return
        if awaited.left:
            closed.wait(deadline.at_most(random.uniform(*PAUSE_SECONDS)))  # noqa: S311 - no secret


def _told(sender: Sender, url: str, awaited: Awaited, deadline: _Deadline, closed: threading.Event) -> Iterator[Result]:
    from websockets.exceptions import WebSocketException  # noqa: PLC0415 - an option, which `sockets_url` looks for
    from websockets.sync.client import connect  # noqa: PLC0415
    from websockets.typing import Subprotocol  # noqa: PLC0415

    attempts = Attempts(sender.timeout)
    while awaited.left and not closed.is_set():
        try:
            with connect(
                url,
                subprotocols=[Subprotocol(SUBPROTOCOL)],
                open_timeout=min(attempts.left_seconds, CONNECT_SECONDS),
                close_timeout=CLOSE_SECONDS,
                max_size=MAX_MESSAGE_BYTES,
            ) as connection:
                while awaited.left and not closed.is_set():
                    try:
                        text = connection.recv(deadline.at_most(LOOK_SECONDS))
                    except TimeoutError:
                        continue
                    attempts = Attempts(sender.timeout)
                    heard = awaited.hear(text)
                    for reply in heard.replies:
                        connection.send(reply)
                    if heard.result is not None:
                        yield heard.result
        except (OSError, ImportError, WebSocketException, TryAgain) as error:
            closed.wait(deadline.at_most(_pause_seconds(attempts, url, error)))


async def finished_async(sender: AsyncSender, awaited: Awaited, *, seconds: float) -> AsyncIterator[Result]:
    """See `finished`."""
    deadline = _Deadline(awaited, seconds)
    if sender.sockets_url is not None and seconds > 0:
        with suppress(_NoSocket):
            async for result in _told_async(sender, sender.sockets_url, awaited, deadline):
                yield result
    while awaited.left:
        for request_id in list(awaited.left):
            result = Result.of(await sender.send(result_call(request_id)))
            if result.finished:
                del awaited.left[request_id]
                yield result
        if awaited.left:
            await asyncio.sleep(deadline.at_most(random.uniform(*PAUSE_SECONDS)))  # noqa: S311 - no secret


async def _told_async(sender: AsyncSender, url: str, awaited: Awaited, deadline: _Deadline) -> AsyncIterator[Result]:
    from websockets.asyncio.client import connect  # noqa: PLC0415 - an option, which `sockets_url` looks for
    from websockets.exceptions import WebSocketException  # noqa: PLC0415
    from websockets.typing import Subprotocol  # noqa: PLC0415

    attempts = Attempts(sender.timeout)
    while awaited.left:
        try:
            async with connect(
                url,
                subprotocols=[Subprotocol(SUBPROTOCOL)],
                open_timeout=min(attempts.left_seconds, CONNECT_SECONDS),
                close_timeout=CLOSE_SECONDS,
                max_size=MAX_MESSAGE_BYTES,
            ) as connection:
                while awaited.left:
                    try:
                        async with asyncio.timeout(deadline.at_most(LOOK_SECONDS)):
                            text = await connection.recv()
                    except TimeoutError:
                        continue
                    attempts = Attempts(sender.timeout)
                    heard = awaited.hear(text)
                    for reply in heard.replies:
                        await connection.send(reply)
                    if heard.result is not None:
                        yield heard.result
        except (OSError, ImportError, WebSocketException, TryAgain) as error:
            await asyncio.sleep(deadline.at_most(_pause_seconds(attempts, url, error)))


def _pause_seconds(attempts: Attempts, url: str, error: Exception) -> float:
    """Until the next connection. Raises GatewayUnavailable where it would come too late, and _NoSocket."""
    from websockets.exceptions import InvalidHandshake, InvalidMessage, InvalidStatus  # noqa: PLC0415 - an option

    match error:
        case InvalidStatus():
            status = error.response.status_code
            if status not in RETRIED:
                raise _NoSocket from error
            return attempts.pause_seconds(f"{url} answered {status}", status=status)
        case InvalidMessage():
            pass  # cut off in the middle of the handshake
        case InvalidHandshake() | ImportError() | ssl.SSLError():
            raise _NoSocket from error
    return attempts.pause_seconds(f"{url}: {str(error) or type(error).__name__}")
