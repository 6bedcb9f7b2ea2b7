"""The events of one request or one job: what it is now, each change, and the last."""

import asyncio
import hashlib
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import suppress
from typing import Any, NamedTuple

from pydantic_core import to_json

from predictq.errors import Unavailable
from predictq_sync.jobs.finding import FindJob, NoSuchJob
from predictq_sync.jobs.reading import JobBody, JobReader
from predictq_sync.lookup import Lookup
from predictq_sync.reading import RequestBody
from predictq_sync.streams.events import HEARTBEAT, Piece, event, piece, problem_event
from predictq_sync.waiting import SharedReads, Waiting

__all__ = ["FollowJob", "FollowRequest", "State", "is_last"]


def is_last(name: str) -> bool:
    """Whether nothing follows an event of that name, of a request or a job."""
    return not name.endswith((".queued", ".progress"))


class State(NamedTuple):
    """What there is to be said of a request or a job."""

    name: str
    cursor: str
    """Derived from what is said, so that any gateway knows whether a client has heard it."""
    body: Mapping[str, Any]
    final: bool

    @property
    def piece(self) -> Piece:
        """The event that says it."""
        return piece(event(self.name, self.cursor, self.body))


class FollowRequest:
    """The events of requests. For one event loop."""

    def __init__(self, lookup: Lookup, waiting: Waiting, *, heartbeat_seconds: float) -> None:
        self._lookup = lookup
        self._waiting = waiting
        self._heartbeat_seconds = heartbeat_seconds

    def state(self, body: RequestBody) -> State:
        """What is said of it: that it is queued, or its end."""
        final = body["status"] != "queued"
        return State(f"prediction.{body['status']}", _digest(body if final else "queued"), body, final)

    async def events(
        self, body: RequestBody, heard: str | None, turn: asyncio.Lock | None = None
    ) -> AsyncGenerator[Piece]:
        """From what it is, unless the client has heard that, to its end.

        `turn` is shared by all that one client follows: what is yielded is held by one of them at a time.
        """
        turn = turn or asyncio.Lock()
        request_id = body["id"]
        finished = body if body["status"] != "queued" else None
        if finished is None and (queued := self.state(body)).cursor != heard:
            async with turn:
                yield queued.piece
        del body
        with self._waiting.expect(request_id) as expectation:
            look_first = True  # it may have been finished since it was looked up
            while finished is None:
                finished = await expectation.finished(self._heartbeat_seconds, look_first=look_first)
                look_first = False
                if finished is not None:
                    break
                if self._waiting.closed or expectation.hurried:
                    return
                if await self._vanished(request_id):
                    yield piece(problem_event(404, f"there is no request {request_id!r}; it was never submitted"))
                    return
                yield HEARTBEAT
            if turn.locked():
                finished = None  # it is read again rather than held
            async with turn:
                if finished is None:
                    finished = await expectation.finished(self._heartbeat_seconds, look_first=True)
                if finished is not None:
                    yield self.state(finished).piece

    async def _vanished(self, request_id: str) -> bool:
        """Whether the ledger has come to where the request would be, and it is not there."""
        with suppress(Unavailable):
            return await self._lookup.request(request_id) is None
        return False


class FollowJob:
    """The events of jobs. For one event loop."""

    def __init__(
        self,
        find: FindJob,
        reader: JobReader,
        waiting: Waiting,
        *,
        heartbeat_seconds: float,
        progress_seconds: float,
    ) -> None:
        self._find = find
        self._waiting = waiting
        self._heartbeat_seconds = heartbeat_seconds
        self._progress_seconds = progress_seconds
        self._reads: SharedReads[str, JobBody] = SharedReads(
            lambda ids: {each: body for each in ids if (body := reader.job(each)) is not None}
        )

    def state(self, body: JobBody) -> State:
        """What is said of it: how far it is, or its end. The time that passes is nothing new."""
        final = body["completed_at"] is not None
        name = f"job.{body['status'] if final else 'progress'}"
        return State(name, _digest([name, body["status"], body["counts"]]), body, final)

    async def events(self, body: JobBody, heard: str | None, turn: asyncio.Lock | None = None) -> AsyncGenerator[Piece]:
        """From what it is, unless the client has heard that, by its progress to its end; `turn` as of requests."""
        turn = turn or asyncio.Lock()
        job_id = body["id"]
        said_at = time.monotonic()
        with self._waiting.expect(job_id) as expectation:
            while not self._waiting.closed:
                state = self.state(body)
                if state.cursor != heard:
                    async with turn:
                        yield state.piece
                    heard, said_at = state.cursor, time.monotonic()
                if state.final:
                    return
                if time.monotonic() - said_at >= self._heartbeat_seconds:
                    yield HEARTBEAT
                    said_at = time.monotonic()
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._progress_seconds):
                        await expectation.woken.wait()
                expectation.woken.clear()
                try:
                    with suppress(Unavailable):
                        body = await self._reads.get(job_id) or await self._find(job_id)
                except NoSuchJob as error:
                    yield piece(problem_event(404, str(error)))
                    return


def _digest(said: Any) -> str:
    return hashlib.blake2b(to_json(said), digest_size=8).hexdigest()
