"""One client: what it asks is answered at once, what it follows is told as far as it acknowledges."""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Awaitable, Coroutine, Mapping
from contextlib import aclosing
from typing import Any

from starlette.exceptions import HTTPException
from starlette.websockets import WebSocket, WebSocketDisconnect

from predictq.errors import PredictqError
from predictq.settings import GatewaySettings
from predictq_gateway.problems import problem_of
from predictq_gateway.socket import vocabulary
from predictq_gateway.socket.vocabulary import Acknowledge, Ping, Received, Submit, Subscribe, Unsubscribe
from predictq_gateway.socket.window import Window
from predictq_producers.accepting import Accepting
from predictq_producers.headers import idempotency_key
from predictq_producers.refusals import Fault, Refused
from predictq_producers.requests import RequestMaker, maker_of
from predictq_sync.streams.events import ERROR, Piece
from predictq_sync.streams.following import is_last
from predictq_sync.streams.opening import Opened, Streams

__all__ = ["Connection"]

GOING_AWAY = 1001
UNSUPPORTED_DATA = 1003
POLICY_VIOLATION = 1008
INTERNAL_ERROR = 1011

SUBMITS_AT_ONCE = 16
"""Of one client; what it sends beyond is read when the broker holds one of them."""
LAST_SUBMITS_SECONDS = 5.0
"""For what is being accepted when the gateway stops."""

log = logging.getLogger(__name__)


class _Over(Exception):
    """The connection is to be closed."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class _Left(Exception):
    """The client has closed the connection, or was cut off."""


class Connection:
    """An open WebSocket. Each subscription is a task; of them one at a time holds something that is to be told."""

    def __init__(
        self,
        websocket: WebSocket,
        streams: Streams,
        makers: Mapping[str, RequestMaker],
        accepting: Accepting,
        settings: GatewaySettings,
        *,
        window: int,
        stopping: asyncio.Event,
    ) -> None:
        self._websocket = websocket
        self._streams = streams
        self._makers = makers
        self._accepting = accepting
        self._settings = settings
        self._window = Window(window)
        self._stopping = stopping
        self._turn = asyncio.Lock()
        self._submits = asyncio.Semaphore(SUBMITS_AT_ONCE)
        self._subscriptions: dict[str, asyncio.Task[None]] = {}
        self._tasks = asyncio.TaskGroup()

    async def run(self) -> None:
        """Serve it until it is closed by either side."""
        over: _Over | None = _Over(INTERNAL_ERROR, "an error that nobody foresaw; it is in the service's log")
        try:
            async with self._tasks:
                reading = self._tasks.create_task(self._read())
                self._tasks.create_task(self._until_stopped(reading))
        except* _Left:
            over = None
        except* _Over as group:
            over = next(_leaves(group))
        except* Exception:
            log.exception("a socket is closed by a bug")
        if over is not None:
            await self._close(over)

    async def _close(self, over: _Over) -> None:
        if over.code == POLICY_VIOLATION:
            log.info("a socket is closed: %s", over.reason)
        try:
            await self._websocket.close(over.code, over.reason)
        except (WebSocketDisconnect, RuntimeError):
            log.debug("it was closed by the client meanwhile")

    async def _until_stopped(self, reading: asyncio.Task[None]) -> None:
        await self._stopping.wait()
        reading.cancel()
        try:
            async with asyncio.timeout(LAST_SUBMITS_SECONDS):
                for _ in range(SUBMITS_AT_ONCE):
                    await self._submits.acquire()
        except TimeoutError:
            log.warning("a socket is closed before the broker holds all that came by it")
        raise _Over(GOING_AWAY, "the gateway is stopping; another may be there")

    async def _read(self) -> None:
        limits = self._settings
        await self._send(
            vocabulary.welcome(
                self._window.size,
                max_message_bytes=limits.socket_message_bytes,
                max_subscriptions=limits.socket_subscriptions,
            )
        )
        while True:  # nothing of a message is held here once it is taken
            await self._take(vocabulary.read(await self._hear()))

    async def _hear(self) -> str:
        message = await self._websocket.receive()
        if message["type"] == "websocket.disconnect":
            raise _Left
        text: str | None = message.get("text")
        if text is None:
            raise _Over(UNSUPPORTED_DATA, "a binary message; text of JSON would be right")
        return text

    async def _take(self, received: Received) -> None:
        try:
            await self._do(received.message)
        except PredictqError as error:
            await self._refuse(received.ref, error)

    async def _do(self, said: vocabulary.Message | Refused) -> None:
        """Do what a message says. Raises Refused."""
        match said:
            case Refused():
                raise said
            case Acknowledge():
                self._window.acknowledge(said.seq)
            case Ping():
                await self._send(vocabulary.pong(said.ref))
            case Unsubscribe():
                await self._unsubscribe(said)
            case Subscribe():
                self._start(said.ref, self._subscribe(said))
            case Submit():
                self._check(said.ref)
                await self._submits.acquire()
                self._start(said.ref, self._submit(said))

    def _check(self, ref: str) -> None:
        if ref in self._subscriptions:
            raise Refused(409, f"ref {ref!r} is that of an open subscription; another one would be right")
        most = self._settings.socket_subscriptions
        if len(self._subscriptions) >= most:
            raise Refused(
                429, f"{most} subscriptions are open, and a connection has no more (gateway.socket_subscriptions)"
            )

    def _start(self, ref: str, work: Coroutine[Any, Any, None]) -> None:
        try:
            self._check(ref)
        except Refused:
            work.close()
            raise
        self._subscriptions[ref] = self._tasks.create_task(self._answered(ref, work))

    async def _answered(self, ref: str, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except (PredictqError, HTTPException) as error:
            await self._refuse(ref, error)
        finally:
            self._subscriptions.pop(ref, None)

    async def _unsubscribe(self, asked: Unsubscribe) -> None:
        task = self._subscriptions.get(asked.subscription)
        if task is None:
            raise Refused(
                404,
                f"no subscription {asked.subscription!r} is open",
                [Fault("/subscription", "is none, or has ended")],
            )
        task.cancel()
        await asyncio.wait([task])
        await self._send(vocabulary.unsubscribed(asked.ref))

    async def _subscribe(self, asked: Subscribe) -> None:
        opened = await self._open(asked)
        await self._send(vocabulary.subscribed(asked.ref, opened.begin))
        if opened.pieces is None:
            await self._send(vocabulary.ended(asked.ref))
        else:
            await self._tell(asked.ref, opened.pieces)

    def _open(self, asked: Subscribe) -> Awaitable[Opened]:
        if asked.prediction is not None:
            return self._streams.request(asked.prediction, asked.cursor, self._turn)
        if asked.job is not None:
            return self._streams.job(asked.job, asked.cursor, self._turn)
        return self._streams.endpoint(asked.endpoint or "", asked.cursor, self._turn)

    async def _submit(self, asked: Submit) -> None:
        ref, endpoint = asked.ref, asked.endpoint
        request_id = await self._accept(asked)
        del asked  # large, and done with
        await self._tell(ref, self._streams.accepted(request_id, endpoint, self._turn))

    async def _accept(self, asked: Submit) -> str:
        try:
            maker = maker_of(self._makers, asked.endpoint)
            key = idempotency_key(asked.idempotency_key)
            now = time.time()
            prepared = self._accepting.prepare(maker, maker.read_value(asked.request, now), key, now)
            await self._accepting.accept(prepared, key)
            await self._send(vocabulary.accepted(asked.ref, prepared.id, asked.endpoint))
        finally:
            self._submits.release()
        return prepared.id

    async def _tell(self, ref: str, pieces: AsyncGenerator[Piece]) -> None:
        """Every event, to the end of the stream."""
        last = False
        async with aclosing(pieces):
            async for piece in pieces:
                for told in piece.events():
                    if told.name == ERROR:
                        await self._send(vocabulary.fell_behind(ref, told))
                        if told.cursor is None:
                            return
                        continue
                    last = is_last(told.name)
                    number = await self._window.next_number()
                    await self._send(vocabulary.event(ref, number, told))
                    self._window.told()
        if self._stopping.is_set():
            return
        if not last:
            raise Refused(503, "too much is waited for at this gateway; subscribe again in a moment")
        await self._send(vocabulary.ended(ref))

    async def _refuse(self, ref: str | None, error: Exception) -> None:
        await self._send(vocabulary.error(ref, problem_of(error, "/v1/stream")))

    async def _send(self, text: str) -> None:
        seconds = self._settings.stream_send_seconds
        try:
            async with asyncio.timeout(seconds):
                await self._websocket.send({"type": "websocket.send", "text": text})
        except TimeoutError:
            raise _Over(POLICY_VIOLATION, f"nothing was read for {seconds:g} s") from None
        except WebSocketDisconnect:
            raise _Left from None


def _leaves(group: BaseExceptionGroup[Any]) -> Any:
    for each in group.exceptions:
        if isinstance(each, BaseExceptionGroup):
            yield from _leaves(each)
        else:
            yield each
