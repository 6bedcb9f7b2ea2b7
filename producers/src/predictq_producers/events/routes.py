"""`POST /v1/events`: events of other systems by HTTP."""

import asyncio
import time
from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter, Request, Response
from pydantic_core import to_json

from predictq_producers.bodies import read_body
from predictq_producers.claim_check import PayloadWriter
from predictq_producers.events.http_binding import received
from predictq_producers.events.openapi import EVENT_BODY, EVENT_PARAMETERS, EVENT_RESPONSES
from predictq_producers.events.taking import Taken, Taker
from predictq_producers.headers import check_content_type, check_encoding
from predictq_producers.parsing import parse_json
from predictq_producers.publishing import Publisher

__all__ = ["add_event_route"]

SNS = "x-amz-sns-message-type"
"""SNS sends its JSON as text/plain."""


def add_event_route(
    router: APIRouter, taker: Taker, publisher: Publisher, writer: PayloadWriter, *, max_body_bytes: int
) -> None:
    """Add the route."""

    @router.post(
        "/v1/events",
        tags=["events"],
        summary="Take events",
        operation_id="take_events",
        status_code=202,
        response_class=Response,
        responses=EVENT_RESPONSES,
        openapi_extra={"requestBody": EVENT_BODY, "parameters": EVENT_PARAMETERS},
    )
    async def take_events(request: Request) -> Response:
        """CloudEvents become requests; what object stores send becomes jobs, by the rules of the settings.

        Accepted means that the broker holds all of it durably. The same event is the same request, however often it is
        sent. Of a batch all events are taken, or none.
        """
        raw = await read_body(request, max_body_bytes)
        found = received(request.headers, raw)
        if found is None:
            if SNS in request.headers:
                check_encoding(request.headers)
            else:
                check_content_type(request.headers)
            taken: Sequence[Taken] = [taker.notification(parse_json(raw))]
        else:
            taken = taker.events(found, request.query_params.get("endpoint"), time.time())
        if payloads := [payload for each in taken for payload in each.payloads]:
            await writer.write(payloads)
        await _publish(publisher, taken)
        if found is not None and found.batched:
            return _answer([each.answer for each in taken], taken)
        return _answer(taken[0].answer, taken)


async def _publish(publisher: Publisher, taken: Sequence[Taken]) -> None:
    """Return when all are durable. Raises Unavailable, but not before something has become of each."""
    waiting = [publisher.publish(message) for each in taken for message in each.messages]
    for outcome in await asyncio.gather(*waiting, return_exceptions=True):
        if isinstance(outcome, BaseException):
            raise outcome


def _answer(body: Any, taken: Sequence[Taken]) -> Response:
    if not any(each.messages for each in taken):
        return Response(to_json(body), 200, media_type="application/json")
    headers = {"retry-after": "1"}
    if len(taken) == 1 and taken[0].place is not None:
        headers["location"] = taken[0].place
    return Response(to_json(body), 202, headers, "application/json")
