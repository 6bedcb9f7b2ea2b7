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
from predictq_sync.streams.sse import HEARTBEAT, event, problem_event
from predictq_sync.waiting import SharedReads, Waiting

__all__ = ["FollowJob", "FollowRequest", "State"]


class State(NamedTuple):
    """What there is to be said of a request or a job."""

    name: str
    cursor: str
    """Derived from what is said, so that any gateway knows whether a client has heard it."""
    body: Mapping[str, Any]
    final: bool

    def __bytes__(self) -> bytes:
        return event(self.name, self.cursor, self.body)


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

    async def events(self, body: RequestBody, heard: str | None) -> AsyncGenerator[bytes]:
        """From what it is, unless the client has heard that, to its end."""
        state = self.state(body)
        if state.cursor != heard:
            yield bytes(state)
        if state.final:
            return
        request_id = body["id"]
        with self._waiting.expect(request_id) as expectation:
            # It may have been finished since it was looked up.
            finished = await expectation.finished(self._heartbeat_seconds, look_first=True)
            while finished is None:
                if self._waiting.closed or expectation.hurried:
                    return
                if await self._vanished(request_id):
                    yield problem_event(404, "Not Found", f"there is no request {request_id!r}; it was never submitted")
                    return
                yield HEARTBEAT
                finished = await expectation.finished(self._heartbeat_seconds)
        yield bytes(self.state(finished))

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

    async def events(self, body: JobBody, heard: str | None) -> AsyncGenerator[bytes]:
        """From what it is, unless the client has heard that, by its progress to its end."""
        job_id = body["id"]
        said_at = time.monotonic()
        with self._waiting.expect(job_id) as expectation:
            while not self._waiting.closed:
                state = self.state(body)
                if state.cursor != heard:
                    yield bytes(state)
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
                    yield problem_event(404, "Not Found", str(error))
                    return


def _digest(said: Any) -> str:
    return hashlib.blake2b(to_json(said), digest_size=8).hexdigest()
