"""Opening a stream, whichever way it is sent: is there such a thing, and from which place is it to be told?"""

import asyncio
from collections.abc import AsyncGenerator, Container
from typing import NamedTuple

from fastapi import HTTPException

from predictq.ids import is_uuid
from predictq.settings import GatewaySettings
from predictq_sync.database import Database
from predictq_sync.jobs.finding import FindJob
from predictq_sync.jobs.reading import JobReader
from predictq_sync.lookup import Lookup
from predictq_sync.reading import Reader, RequestBody
from predictq_sync.streams.completions import CompletionLog, Position
from predictq_sync.streams.events import Piece
from predictq_sync.streams.following import FollowJob, FollowRequest, State
from predictq_sync.streams.tail import Tails
from predictq_sync.waiting import Waiting

__all__ = ["Opened", "Streams", "streams_of"]

STATE_CURSOR_LENGTH = 16


class Opened(NamedTuple):
    """A stream that has not begun."""

    pieces: AsyncGenerator[Piece] | None
    """None where the client has heard the last word already."""
    begin: str | None = None
    """Of an endpoint: the place behind which it begins."""


class Streams:
    """All that can be followed at one gateway. For one event loop; `wake` may be called by any thread.

    `heard` is the cursor of the last event that the client has received, and `turn` what it shares with whatever else
    the same client follows.
    """

    def __init__(
        self,
        lookup: Lookup,
        find_job: FindJob,
        *,
        requests: FollowRequest,
        jobs: FollowJob,
        tails: Tails,
        endpoints: Container[str],
    ) -> None:
        self._lookup = lookup
        self._find_job = find_job
        self._requests = requests
        self._jobs = jobs
        self._tails = tails
        self._endpoints = endpoints

    async def request(self, request_id: str, heard: str | None, turn: asyncio.Lock | None = None) -> Opened:
        """The events of a request. Raises HTTPException(400, 404), DatabaseUnavailable."""
        heard = _state_cursor(heard)
        canonical = request_id.lower()
        body = await self._lookup.request(canonical) if is_uuid(canonical) else None
        if body is None:
            raise HTTPException(
                404, f"there is no request {request_id[:64]!r}; it was never submitted, or is kept no longer"
            )
        over = _nothing_more(self._requests.state(body), heard)
        return Opened(None if over else self._requests.events(body, heard, turn))

    def accepted(self, request_id: str, endpoint: str, turn: asyncio.Lock) -> AsyncGenerator[Piece]:
        """How a request ends that was accepted just now, by this gateway."""
        queued: RequestBody = {
            "id": request_id,
            "endpoint": endpoint,
            "status": "queued",
            "created_at": None,
            "predictions": [],
        }
        return self._requests.events(queued, self._requests.state(queued).cursor, turn)

    async def job(self, job_id: str, heard: str | None, turn: asyncio.Lock | None = None) -> Opened:
        """The events of a job. Raises HTTPException(400), NoSuchJob, DatabaseUnavailable."""
        heard = _state_cursor(heard)
        body = await self._find_job(job_id)
        over = _nothing_more(self._jobs.state(body), heard)
        return Opened(None if over else self._jobs.events(body, heard, turn))

    async def endpoint(self, endpoint: str, heard: str | None, turn: asyncio.Lock | None = None) -> Opened:
        """What an endpoint completes. Raises HTTPException(400, 404), DatabaseUnavailable."""
        if endpoint not in self._endpoints:
            raise HTTPException(404, f"there is no endpoint {endpoint[:64]!r}; GET /v1/endpoints lists them")
        start = Position.parse(heard) if heard else None
        if heard and start is None:
            raise _bad_cursor(heard)
        end = await self._tails.end(endpoint)
        start = end if start is None else start
        return Opened(self._tails.events(endpoint, start, turn, end=end), str(start))

    def wake(self) -> None:
        """Something was committed."""
        self._tails.wake()

    def close(self) -> None:
        """Let everyone go who follows an endpoint; `Waiting.close` does the same for requests and jobs."""
        self._tails.close()


def streams_of(
    database: Database,
    reader: Reader,
    lookup: Lookup,
    waiting: Waiting,
    find_job: FindJob,
    job_reader: JobReader,
    *,
    endpoints: Container[str],
    settings: GatewaySettings,
) -> Streams:
    """The streams of a database."""
    requests = FollowRequest(lookup, waiting, heartbeat_seconds=settings.heartbeat_seconds)
    jobs = FollowJob(
        find_job,
        job_reader,
        waiting,
        heartbeat_seconds=settings.heartbeat_seconds,
        progress_seconds=settings.job_progress_seconds,
    )
    tails = Tails(
        CompletionLog(database),
        reader,
        poll_seconds=settings.poll_seconds,
        heartbeat_seconds=settings.heartbeat_seconds,
    )
    return Streams(lookup, find_job, requests=requests, jobs=jobs, tails=tails, endpoints=endpoints)


def _nothing_more(state: State, heard: str | None) -> bool:
    return state.final and state.cursor == heard


def _state_cursor(text: str | None) -> str | None:
    if not text:
        return None
    if len(text) != STATE_CURSOR_LENGTH or set(text) - set("0123456789abcdef"):
        raise _bad_cursor(text)
    return text


def _bad_cursor(text: str) -> HTTPException:
    return HTTPException(
        400,
        f"cursor (Last-Event-ID) {text[:64]!r} is none that this stream gave out; none at all, or that of the last "
        "event, is right",
    )
