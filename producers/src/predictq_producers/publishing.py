"""Group commit: many callers, few publishes.

One thread owns the producer. It takes everything that waits and publishes it in one call, so that under load the cost
of a durable write is shared, and alone a message waits for nobody.
"""

import asyncio
import logging
import threading
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue
from typing import NamedTuple

from predictq.brokers.port import Message, Producer
from predictq.errors import PredictqError, PublishError, Unavailable

__all__ = ["Busy", "Publisher", "Stopping"]

MAX_WAITING = 10_000
MAX_WAITING_BYTES = 128 * 1024 * 1024
MAX_BATCH = 1000
MAX_BATCH_BYTES = 16 * 1024 * 1024

log = logging.getLogger(__name__)


class Busy(Unavailable):
    """More waits to be published than fits; the same call may work in a moment."""


class Stopping(Unavailable):
    """The publisher is closed; another process may take the same call."""


class _Waiting(NamedTuple):
    message: Message
    done: asyncio.Future[None]


class Publisher:
    """Publishes for the coroutines of one event loop."""

    def __init__(self, open_producer: Callable[[], Producer]) -> None:
        self.publishes = 0
        """Calls of the producer so far."""
        self.lost_hints = 0
        """Hints that could not be published; nobody tries again."""
        self._open_producer = open_producer
        self._queue: SimpleQueue[_Waiting | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="publisher", daemon=True)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = False
        self._waiting = 0
        self._waiting_bytes = 0

    def start(self) -> None:
        """Start the thread. To be called once, on the event loop whose coroutines publish."""
        self._loop = asyncio.get_running_loop()
        self._thread.start()

    async def publish(self, message: Message) -> None:
        """Return when the message is durable.

        Raises Unavailable where that is not known; at once Busy where too much waits already, Stopping once closed.
        """
        await self._put(message)

    def hint(self, message: Message) -> None:
        """Publish if that can be done; a failure is counted and never tried again."""
        try:
            self._put(message).add_done_callback(self._count_lost)
        except Unavailable:
            self.lost_hints += 1

    async def close(self) -> None:
        """Publish what waits, refuse what comes, end the thread."""
        self._closed = True
        self._queue.put(None)
        await asyncio.to_thread(self._thread.join)

    def _put(self, message: Message) -> asyncio.Future[None]:
        # All counting happens on the event loop, so that it needs no lock.
        if self._loop is None or self._closed:
            raise Stopping("the gateway is stopping; send it again")
        if self._waiting >= MAX_WAITING or self._waiting_bytes >= MAX_WAITING_BYTES:
            raise Busy("too many requests wait for the broker; send it again in a moment")
        done = self._loop.create_future()
        self._waiting += 1
        self._waiting_bytes += len(message.value)
        self._queue.put(_Waiting(message, done))
        return done

    def _count_lost(self, done: asyncio.Future[None]) -> None:
        if not done.cancelled() and (error := done.exception()) is not None:
            self.lost_hints += 1
            log.debug("a hint is lost: %s", error)

    def _run(self) -> None:
        producer: Producer | None = None
        while batch := self._take():
            try:
                producer = producer or self._open_producer()
                self.publishes += 1
                errors = _publish(producer, [waiting.message for waiting in batch])
            except Exception as error:
                if not isinstance(error, PredictqError):
                    log.exception("publishing failed by a bug")
                errors = [error] * len(batch)
            if self._loop is not None:
                self._loop.call_soon_threadsafe(self._resolve, batch, errors)
        if producer is not None:
            producer.close()

    def _take(self) -> list[_Waiting]:
        """Everything that waits, up to a batch; blocks for the first. Empty when the publisher was closed."""
        first = self._queue.get()
        if first is None:
            return []
        batch = [first]
        size = len(first.message.value)
        while len(batch) < MAX_BATCH and size < MAX_BATCH_BYTES:
            try:
                waiting = self._queue.get_nowait()
            except Empty:
                break
            if waiting is None:
                self._queue.put(None)
                break
            batch.append(waiting)
            size += len(waiting.message.value)
        return batch

    def _resolve(self, batch: Sequence[_Waiting], errors: Sequence[Exception | None]) -> None:
        self._waiting -= len(batch)
        for (message, done), error in zip(batch, errors, strict=True):
            self._waiting_bytes -= len(message.value)
            if done.done():
                continue
            if error is None:
                done.set_result(None)
            else:
                done.set_exception(error)


def _publish(producer: Producer, messages: Sequence[Message]) -> list[Exception | None]:
    """What became of each message. Where the call as a whole was refused, each pays for itself alone."""
    try:
        producer.publish(messages)
    except PublishError as error:
        failed = frozenset(error.failed)
        return [error if index in failed else None for index in range(len(messages))]
    except Unavailable as error:
        return [error] * len(messages)
    except PredictqError as error:
        if len(messages) == 1:
            return [error]
        return [_publish(producer, [message])[0] for message in messages]
    return [None] * len(messages)
