"""The routes of streams."""

from collections.abc import Container
from typing import Annotated, Any

from fastapi import APIRouter, Header, HTTPException, Query, Response

from predictq.ids import is_uuid
from predictq.settings import GatewaySettings
from predictq_sync.database import Database
from predictq_sync.jobs.finding import FindJob
from predictq_sync.jobs.reading import JobReader
from predictq_sync.lookup import Lookup
from predictq_sync.reading import Reader
from predictq_sync.streams.completions import CompletionLog, Position
from predictq_sync.streams.following import FollowJob, FollowRequest, State
from predictq_sync.streams.sse import MEDIA_TYPE, EventStream, Room
from predictq_sync.streams.tail import Tails
from predictq_sync.waiting import Waiting

__all__ = ["add_stream_routes", "tails_of"]

STATE_CURSOR_LENGTH = 16

HeardHeader = Annotated[
    str | None, Header(alias="Last-Event-ID", description="The `id` of the last event that was received.")
]
HeardQuery = Annotated[
    str | None, Query(alias="last_event_id", description="The same, for clients that cannot send the header.")
]


def tails_of(database: Database, reader: Reader, settings: GatewaySettings) -> Tails:
    """Those who follow the endpoints of a database."""
    return Tails(
        CompletionLog(database),
        reader,
        poll_seconds=settings.poll_seconds,
        heartbeat_seconds=settings.heartbeat_seconds,
    )


def add_stream_routes(
    router: APIRouter,
    lookup: Lookup,
    waiting: Waiting,
    find_job: FindJob,
    job_reader: JobReader,
    tails: Tails,
    *,
    endpoints: Container[str],
    settings: GatewaySettings,
) -> None:
    """Add the routes; they answer nobody more when `waiting` and `tails` are closed."""
    room = Room(settings.max_streams)
    requests = FollowRequest(lookup, waiting, heartbeat_seconds=settings.heartbeat_seconds)
    jobs = FollowJob(
        find_job,
        job_reader,
        waiting,
        heartbeat_seconds=settings.heartbeat_seconds,
        progress_seconds=settings.job_progress_seconds,
    )

    def stream(events: Any) -> Response:
        return EventStream(events, room, send_seconds=settings.stream_send_seconds)

    @router.get(
        "/v1/predictions/{request_id}/events",
        tags=["predictions"],
        summary="Follow a request",
        operation_id="follow_request",
        response_class=Response,
        responses=_responses("`prediction.queued`, then `prediction.<status>` with what the request then is."),
    )
    async def follow_request(request_id: str, header: HeardHeader = None, query: HeardQuery = None) -> Response:
        """Server-Sent Events until the request is finished."""
        heard = _state_cursor(header or query)
        canonical = request_id.lower()
        body = await lookup.request(canonical) if is_uuid(canonical) else None
        if body is None:
            raise HTTPException(
                404, f"there is no request {request_id[:64]!r}; it was never submitted, or is kept no longer"
            )
        return _nothing_more(requests.state(body), heard) or stream(requests.events(body, heard))

    @router.get(
        "/v1/jobs/{job_id}/events",
        tags=["jobs"],
        summary="Follow a job",
        operation_id="follow_job",
        response_class=Response,
        responses=_responses(
            "`job.progress`, then `job.completed`, `job.failed` or `job.cancelled`: the job as it is."
        ),
    )
    async def follow_job(job_id: str, header: HeardHeader = None, query: HeardQuery = None) -> Response:
        """Server-Sent Events until the job is over."""
        heard = _state_cursor(header or query)
        body = await find_job(job_id)
        return _nothing_more(jobs.state(body), heard) or stream(jobs.events(body, heard))

    @router.get(
        "/v1/endpoints/{endpoint}/events",
        tags=["endpoints"],
        summary="Follow the completions of an endpoint",
        operation_id="follow_endpoint",
        response_class=Response,
        responses={
            each: told
            for each, told in _responses("`prediction.<status>` with each request that is finished.").items()
            if each != 204
        },
    )
    async def follow_endpoint(endpoint: str, header: HeardHeader = None, query: HeardQuery = None) -> Response:
        """Server-Sent Events without an end: what is finished from now on, or since the last event that was received.

        An `error` event says that something before it is kept no longer, or that the database is another one.
        """
        if endpoint not in endpoints:
            raise HTTPException(404, f"there is no endpoint {endpoint[:64]!r}; GET /v1/endpoints lists them")
        heard = header or query
        begin = Position.parse(heard) if heard else None
        if heard and begin is None:
            raise _bad_cursor(heard)
        end = await tails.end(endpoint)
        return stream(tails.events(endpoint, end if begin is None else begin, end=end))


def _responses(events: str) -> dict[int | str, dict[str, Any]]:
    return {
        200: {"description": f"Events: {events}", "content": {MEDIA_TYPE: {"schema": {"type": "string"}}}},
        204: {"description": "The last event was received already; a browser then asks no more."},
        400: {"description": "A Last-Event-ID that is none of this stream."},
        404: {"description": "There is no such thing, or it is kept no longer."},
        503: {"description": "The database is away, or too many clients follow events already."},
    }


def _nothing_more(state: State, heard: str | None) -> Response | None:
    return Response(status_code=204) if state.final and state.cursor == heard else None


def _state_cursor(text: str | None) -> str | None:
    if not text:
        return None
    if len(text) != STATE_CURSOR_LENGTH or set(text) - set("0123456789abcdef"):
        raise _bad_cursor(text)
    return text


def _bad_cursor(text: str) -> HTTPException:
    return HTTPException(
        400, f"Last-Event-ID: {text[:64]!r} is none that this stream gave out; none at all, or the last `id`, is right"
    )
