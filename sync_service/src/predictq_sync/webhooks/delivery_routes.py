"""Deliveries over HTTP."""

import asyncio

from fastapi import APIRouter, HTTPException, Query, Response
from pydantic_core import to_json

from predictq.errors import UserMistake
from predictq_sync.webhooks.reading import STATES, DeliveryBody, DeliveryPage, DeliveryReader
from predictq_sync.webhooks.routes import AWAY

__all__ = ["add_delivery_routes"]

ABSENT = {"description": "No such delivery, or kept no longer."}


def add_delivery_routes(router: APIRouter, reader: DeliveryReader) -> None:
    """Add the routes."""

    @router.get(
        "/v1/deliveries",
        tags=["webhooks"],
        summary="List deliveries",
        operation_id="list_deliveries",
        response_class=Response,
        responses={
            200: {"model": DeliveryPage},
            400: {"description": "A filter or cursor that is none."},
            422: {"description": "A limit that is out of bounds."},
            503: AWAY,
        },
    )
    async def list_deliveries(
        state: str | None = Query(default=None, json_schema_extra={"enum": list(STATES)}),
        webhook: str | None = None,
        subject: str | None = None,
        cursor: str | None = None,
        limit: int = Query(default=50, ge=1, le=500),
    ) -> Response:
        """The latest first; `next` is the cursor of the page that follows."""
        try:
            page = await asyncio.to_thread(
                lambda: reader.page(state=state, webhook=webhook, subject=subject, cursor=cursor, limit=limit)
            )
        except UserMistake as error:
            raise HTTPException(400, str(error)) from error
        return Response(to_json(page), 200, media_type="application/json")

    @router.get(
        "/v1/deliveries/{delivery_id}",
        tags=["webhooks"],
        summary="Show a delivery",
        operation_id="show_delivery",
        response_class=Response,
        responses={200: {"model": DeliveryBody}, 404: ABSENT, 503: AWAY},
    )
    async def show_delivery(delivery_id: str) -> Response:
        """What was tried, and what came of it."""
        return _answer(await asyncio.to_thread(reader.one, delivery_id), 200)

    @router.post(
        "/v1/deliveries/{delivery_id}/replay",
        tags=["webhooks"],
        summary="Deliver again",
        operation_id="replay_delivery",
        status_code=202,
        response_class=Response,
        responses={202: {"model": DeliveryBody}, 404: ABSENT, 503: AWAY},
    )
    async def replay_delivery(delivery_id: str) -> Response:
        """At once, under the same `webhook-id`, and with a new schedule."""
        return _answer(await asyncio.to_thread(reader.replay, delivery_id), 202)


def _answer(body: DeliveryBody | None, status: int) -> Response:
    if body is None:
        raise HTTPException(404, "there is no such delivery; it may be kept no longer")
    return Response(to_json(body), status, media_type="application/json")
