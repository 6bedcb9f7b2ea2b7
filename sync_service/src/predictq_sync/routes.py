"""The read side of the HTTP API: `GET /v1/predictions/{id}` and its cancellation."""

import math
import time
from collections.abc import Callable
from typing import Any

from fastapi import APIRouter, HTTPException, Response
from pydantic_core import to_json

from predictq.brokers.port import Message
from predictq.ids import is_uuid
from predictq.messages import CANCEL, COMMIT, new_cancel, new_commit
from predictq.names import Names
from predictq_sync.lookup import Lookup
from predictq_sync.reading import RequestBody
from predictq_sync.waiting import Waiting

__all__ = ["add_read_routes", "canonical", "no_such_request"]

RETRY_AFTER = "1"
READ_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {
        "model": RequestBody,
        "description": "The request as it stands. Until the ledger has it, `endpoint` may be null.",
        "headers": {"Retry-After": {"schema": {"type": "integer"}, "description": "Seconds; while it is queued."}},
    },
    400: {"description": "A `wait` that is no number of seconds."},
    404: {"description": "Never submitted, or kept no longer."},
    503: {"description": "The database is away; try again after `Retry-After`."},
}
CANCEL_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {"model": RequestBody, "description": "The request as it stands now: cancelled, or finished before."},
    404: READ_RESPONSES[404],
    503: {"description": "The ledger has not come to it yet, or the database is away; try again after `Retry-After`."},
}


def add_read_routes(
    router: APIRouter,
    lookup: Lookup,
    waiting: Waiting,
    hint: Callable[[Message], None],
    *,
    names: Names,
    max_wait_seconds: float,
) -> None:
    """Add the routes that read and cancel. `hint` publishes without a promise."""

    @router.get(
        "/v1/predictions/{request_id}",
        tags=["predictions"],
        summary="Read a request and its predictions",
        operation_id="read",
        response_class=Response,
        responses=READ_RESPONSES,
    )
    async def read(request_id: str, wait: str | None = None) -> Response:
        """The status of the request and what each visible deployment has answered.

        With `?wait=N` the answer is held until the request is finished, for at most N seconds.
        """
        arrived = time.monotonic()
        seconds = _seconds(wait, max_wait_seconds)
        request_id = canonical(request_id)
        if not seconds:
            return _answer(request_id, await lookup.request(request_id))
        with waiting.expect(request_id) as expectation:
            body = await lookup.request(request_id)
            if body is not None and body["status"] == "queued":
                left = seconds - (time.monotonic() - arrived)
                body = await expectation.finished(left) or await lookup.request(request_id)
        return _answer(request_id, body)

    @router.post(
        "/v1/predictions/{request_id}/cancel",
        tags=["predictions"],
        summary="Cancel a request",
        operation_id="cancel",
        response_class=Response,
        responses=CANCEL_RESPONSES,
    )
    async def cancel(request_id: str) -> Response:
        """From now on the request is `cancelled`, and a prediction that comes later is dropped.

        What is finished already stays as it is, and so does what was cancelled before.
        """
        request_id = canonical(request_id)
        body = await lookup.cancel(request_id)
        # Partial where one deployment had answered: what the others owed is cancelled all the same.
        if body is not None and "cancelled" in {body["status"], *(each["status"] for each in body["predictions"])}:
            now = time.time()
            hint(Message(names.cancels, CANCEL.encode(new_cancel([request_id], now))))
            hint(Message(names.commits, COMMIT.encode(new_commit([request_id], now))))
        return _answer(request_id, body)


def _answer(request_id: str, body: RequestBody | None) -> Response:
    if body is None:
        raise no_such_request(request_id)
    headers = {"retry-after": RETRY_AFTER} if body["status"] == "queued" else None
    return Response(to_json(body), 200, headers, "application/json")


def canonical(text: str) -> str:
    """The id as the database has it. Raises the 404 of what cannot be one."""
    request_id = text.lower()
    if not is_uuid(request_id):
        raise no_such_request(text)
    return request_id


def no_such_request(request_id: str) -> HTTPException:
    """The 404 of an id that nobody submitted."""
    return HTTPException(404, f"there is no request {request_id[:64]!r}; it was never submitted, or is kept no longer")


def _seconds(text: str | None, most: float) -> float:
    try:
        seconds = float(text) if text else 0.0
    except ValueError:
        seconds = math.nan
    if not seconds >= 0:
        raise HTTPException(400, "the query parameter wait is no number of seconds; ?wait=10 would be right")
    return min(seconds, most)
