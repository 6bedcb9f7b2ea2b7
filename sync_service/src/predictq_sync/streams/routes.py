"""The routes of streams."""

from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Response

from predictq_sync.streams.opening import Opened, Streams
from predictq_sync.streams.room import Room
from predictq_sync.streams.sse import MEDIA_TYPE, EventStream

__all__ = ["add_stream_routes"]

HeardHeader = Annotated[
    str | None, Header(alias="Last-Event-ID", description="The `id` of the last event that was received.")
]
HeardQuery = Annotated[
    str | None, Query(alias="last_event_id", description="The same, for clients that cannot send the header.")
]


def add_stream_routes(router: APIRouter, streams: Streams, room: Room, *, send_seconds: float) -> None:
    """Add the routes. `send_seconds`: for which a client may read nothing."""

    def answer(opened: Opened) -> Response:
        if opened.pieces is None:
            return Response(status_code=204)
        return EventStream(opened.pieces, room, send_seconds=send_seconds)

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
        return answer(await streams.request(request_id, header or query))

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
        return answer(await streams.job(job_id, header or query))

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
        return answer(await streams.endpoint(endpoint, header or query))


def _responses(events: str) -> dict[int | str, dict[str, Any]]:
    return {
        200: {"description": f"Events: {events}", "content": {MEDIA_TYPE: {"schema": {"type": "string"}}}},
        204: {"description": "The last event was received already; a browser then asks no more."},
        400: {"description": "A Last-Event-ID that is none of this stream."},
        404: {"description": "There is no such thing, or it is kept no longer."},
        503: {"description": "The database is away, or too many clients follow events already."},
    }
