"""Waiting for results: who waits for which id, woken by announcements, and reads shared by all who ask at once.

An announcement is a hint only. Whoever waits reads again now and then, so that a lost one costs latency, not a result.
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Generic, TypeVar

from predictq.brokers.port import Done, Message, Record
from predictq.errors import BadMessage, Unavailable
from predictq.loop import Limits, Outcome
from predictq.messages import COMMIT
from predictq_sync.reading import Reader, RequestBody

__all__ = ["CommitHandler", "Expectation", "SharedReads", "Waiting"]

MAX_WAITING = 20_000
"""Beyond it nobody is made to wait: they are answered at once, as if their time had run out."""
MAX_IDS = 500
"""In one query."""

KeyT = TypeVar("KeyT")
ValueT = TypeVar("ValueT")


class SharedReads(Generic[KeyT, ValueT]):
    """One blocking read at a time, for all who asked meanwhile. For one event loop."""

    def __init__(self, read: Callable[[Sequence[KeyT]], Mapping[KeyT, ValueT]], *, at_once: int = MAX_IDS) -> None:
        """`at_once`: keys of one read."""
        self._read = read
        self._at_once = at_once
        self._asked: dict[KeyT, asyncio.Future[ValueT | None]] = {}
        self._reading: asyncio.Task[None] | None = None

    async def get(self, key: KeyT) -> ValueT | None:
        """What a read that begins after this call says; None where it says nothing. Raises what the read raises."""
        answer = self._asked.get(key)
        if answer is None:
            answer = self._asked[key] = asyncio.get_running_loop().create_future()
        if self._reading is None:
            self._reading = asyncio.ensure_future(self._drain())
        return await asyncio.shield(answer)

    async def _drain(self) -> None:
        while self._asked:
            keys = list(self._asked)[: self._at_once]
            answers = {key: self._asked.pop(key) for key in keys}
            try:
                found = await asyncio.to_thread(self._read, keys)
            except Exception as error:  # noqa: BLE001 - handed to everyone who asked
                for answer in answers.values():
                    answer.set_exception(error)
                    answer.exception()  # whoever asked may be gone by now
            else:
                for key, answer in answers.items():
                    answer.set_result(found.get(key))
        self._reading = None


class Expectation:
    """One who waits for one request."""

    def __init__(self, waiting: "Waiting", request_id: str, *, hurried: bool) -> None:
        self.woken = asyncio.Event()
        self._waiting = waiting
        self._request_id = request_id
        self.hurried = hurried
        """Too many wait already: this one is not made to."""

    async def finished(self, seconds: float, *, look_first: bool = False) -> RequestBody | None:
        """The body of the finished request, or None when `seconds` have passed first. Reads when there is news.

        With `look_first` it reads at once, for what may have been announced before anyone waited. While the database is
        away it goes on waiting.
        """
        if look_first:
            self.woken.set()
        deadline = time.monotonic() + seconds
        left = seconds
        while left > 0 and not (self.hurried or self._waiting.closed):
            patience = min(left, self._waiting.poll_seconds)
            woken = await self._is_woken(patience)
            self.woken.clear()
            with suppress(Unavailable):
                body = await self._waiting.read(self._request_id)
                if body is not None and body["status"] != "queued":
                    return body
            # uvloop's timers count whole milliseconds. Were the clock asked, one that is early would be one look more.
            left = deadline - time.monotonic() if woken or patience < left else 0.0
        return None

    async def _is_woken(self, within_seconds: float) -> bool:
        try:
            async with asyncio.timeout(within_seconds):
                return await self.woken.wait()
        except TimeoutError:
            return False


class Waiting:
    """Everyone who waits at one gateway. `wake` may be called by any thread, the rest by the event loop's."""

    def __init__(self, reader: Reader, *, poll_seconds: float) -> None:
        self.poll_seconds = poll_seconds
        self.closed = False
        self._reads: SharedReads[str, RequestBody] = SharedReads(reader.requests)
        self._hash_of = reader.hash_of
        self._expected: dict[str, set[Expectation]] = {}
        self._loop: asyncio.AbstractEventLoop | None = None

    async def read(self, request_id: str) -> RequestBody | None:
        """The request as the database has it now. Raises DatabaseUnavailable."""
        return await self._reads.get(request_id)

    async def hash_of(self, request_id: str) -> str | None:
        """The hash of the instances known under an id. Raises DatabaseUnavailable."""
        return await asyncio.to_thread(self._hash_of, request_id)

    @contextmanager
    def expect(self, request_id: str) -> Iterator[Expectation]:
        """Within the block, announcements of the request are heard."""
        self._loop = self._loop or asyncio.get_running_loop()
        expectation = Expectation(self, request_id, hurried=len(self._expected) >= MAX_WAITING)
        together = self._expected.setdefault(request_id, set())
        together.add(expectation)
        try:
            yield expectation
        finally:
            together.discard(expectation)
            if not together:
                self._expected.pop(request_id, None)

    def wake(self, request_ids: Iterable[str]) -> None:
        """These have become readable."""
        heard = [request_id for request_id in request_ids if request_id in self._expected]
        if heard and self._loop is not None:
            with suppress(RuntimeError):  # the event loop is closed: nobody is left to be woken
                self._loop.call_soon_threadsafe(self._wake, heard)

    def close(self) -> None:
        """Let everyone go, as if their time had run out."""
        self.closed = True
        self._wake(list(self._expected))

    def _wake(self, request_ids: Sequence[str]) -> None:
        for request_id in request_ids:
            for expectation in self._expected.get(request_id, ()):
                expectation.woken.set()


class CommitHandler:
    """Hears the announcements of commits, of every sync process."""

    def __init__(self, waiting: Waiting, heard: Callable[[], None] = lambda: None) -> None:
        """`heard` is called when anything at all was announced."""
        self._waiting = waiting
        self._heard = heard

    def limits(self) -> Limits:
        """Small and at once: someone waits."""
        return Limits(max_messages=1000, max_bytes=4 * 1024 * 1024, max_wait_seconds=0.0)

    def handle(self, records: Sequence[Record]) -> Outcome:
        """Wake who waits. What cannot be read is passed over: a hint is never owed to anyone."""
        for record in records:
            with suppress(BadMessage):
                self._waiting.wake(COMMIT.decode(record.value)["data"]["ids"])
        self._heard()
        return Outcome([Done()] * len(records))

    def buried(self, record: Record, reason: str) -> Sequence[Message]:  # noqa: ARG002 - the port's names
        """Nothing is emitted beside a dead hint."""
        return ()

    def tick(self) -> None:
        """Nothing to keep."""
