"""Webhooks over HTTP."""

import asyncio
from collections.abc import Collection
from typing import Any, TypeVar

from fastapi import APIRouter, HTTPException, Request, Response
from pydantic import TypeAdapter
from pydantic_core import to_json
from typing_extensions import TypedDict

from predictq.push.targets import Targets
from predictq_sync.webhooks.asking import NEW_SECRET, NEW_WEBHOOK, checked, read
from predictq_sync.webhooks.keeping import WebhookBody, WebhookKeeper

__all__ = ["add_webhook_routes"]

ABSENT = {"description": "No such webhook."}
AWAY = {"description": "The database is away; try again after `Retry-After`."}
CONFLICT = {"description": "A webhook that cannot be changed so."}
Responses = dict[int | str, dict[str, Any]]
MADE: Responses = {
    201: {"model": WebhookBody},
    409: CONFLICT,
    413: {"description": "A larger body."},
    422: {"description": "A URL, event, condition or secret that is none."},
    503: AWAY,
}
TESTED: Responses = {
    202: {"description": "It is on its way; `Location` tells what came of it."},
    404: ABSENT,
    409: CONFLICT,
    503: AWAY,
}
ROTATED: Responses = {
    200: {"model": WebhookBody},
    404: ABSENT,
    409: CONFLICT,
    422: {"description": "A secret that is none."},
    503: AWAY,
}

FoundT = TypeVar("FoundT")


class WebhookList(TypedDict):
    """All webhooks, the oldest first."""

    webhooks: list[WebhookBody]


def add_webhook_routes(
    router: APIRouter, keeper: WebhookKeeper, *, targets: Targets, endpoints: Collection[str]
) -> None:
    """Add the routes."""

    @router.post(
        "/v1/webhooks",
        tags=["webhooks"],
        summary="Make a webhook",
        operation_id="make_webhook",
        status_code=201,
        response_class=Response,
        responses=MADE,
        openapi_extra=_body_of(NEW_WEBHOOK),
    )
    async def make_webhook(request: Request) -> Response:
        """Whatever ends from a few seconds on is pushed to it. The secret is told here, and never again."""
        spec = checked(await read(request, NEW_WEBHOOK), targets, endpoints)
        made = await asyncio.to_thread(keeper.make, spec)
        return _answer(made, 201, {"location": f"/v1/webhooks/{made['id']}"})

    @router.get(
        "/v1/webhooks",
        tags=["webhooks"],
        summary="List webhooks",
        operation_id="list_webhooks",
        response_class=Response,
        responses={200: {"model": WebhookList}, 503: AWAY},
    )
    async def list_webhooks() -> Response:
        """Those of the settings too; secrets are never listed."""
        found: WebhookList = {"webhooks": await asyncio.to_thread(keeper.all)}
        return Response(to_json(found), 200, media_type="application/json")

    @router.get(
        "/v1/webhooks/{webhook_id}",
        tags=["webhooks"],
        summary="Show a webhook",
        operation_id="show_webhook",
        response_class=Response,
        responses={200: {"model": WebhookBody}, 404: ABSENT, 503: AWAY},
    )
    async def show_webhook(webhook_id: str) -> Response:
        """All but its secret."""
        return _answer(await asyncio.to_thread(keeper.one, webhook_id))

    @router.delete(
        "/v1/webhooks/{webhook_id}",
        tags=["webhooks"],
        summary="Delete a webhook",
        operation_id="delete_webhook",
        status_code=204,
        response_class=Response,
        responses={404: ABSENT, 409: CONFLICT, 503: AWAY},
    )
    async def delete_webhook(webhook_id: str) -> Response:
        """What was due to it fails. One of the settings is deleted there."""
        deleted = await asyncio.to_thread(keeper.delete, webhook_id)
        _there(deleted or None)
        return Response(status_code=204)

    @router.post(
        "/v1/webhooks/{webhook_id}/test",
        tags=["webhooks"],
        summary="Test a webhook",
        operation_id="test_webhook",
        status_code=202,
        response_class=Response,
        responses=TESTED,
    )
    async def test_webhook(webhook_id: str) -> Response:
        """Push the event `webhook.test` to it, signed and delivered as any other."""
        delivery_id = _there(await asyncio.to_thread(keeper.test, webhook_id))
        location = {"location": f"/v1/deliveries/{delivery_id}"}
        return Response(to_json({"delivery": delivery_id}), 202, location, "application/json")

    @router.post(
        "/v1/webhooks/{webhook_id}/rotate",
        tags=["webhooks"],
        summary="Give a webhook a new secret",
        operation_id="rotate_webhook",
        response_class=Response,
        responses=ROTATED,
        openapi_extra=_body_of(NEW_SECRET, required=False),
    )
    async def rotate_webhook(webhook_id: str, request: Request) -> Response:
        """The old one goes on signing beside it for `push.rotation_seconds`."""
        secret = (await read(request, NEW_SECRET)).get("secret")
        return _answer(await asyncio.to_thread(keeper.rotate, webhook_id, secret))

    @router.post(
        "/v1/webhooks/{webhook_id}/disable",
        tags=["webhooks"],
        summary="Disable a webhook",
        operation_id="disable_webhook",
        response_class=Response,
        responses={200: {"model": WebhookBody}, 404: ABSENT, 503: AWAY},
    )
    async def disable_webhook(webhook_id: str) -> Response:
        """Push to it no more."""
        return _answer(await asyncio.to_thread(lambda: keeper.switch(webhook_id, enabled=False)))

    @router.post(
        "/v1/webhooks/{webhook_id}/enable",
        tags=["webhooks"],
        summary="Enable a webhook",
        operation_id="enable_webhook",
        response_class=Response,
        responses={200: {"model": WebhookBody}, 404: ABSENT, 503: AWAY},
    )
    async def enable_webhook(webhook_id: str) -> Response:
        """Push to it again, what ends from now on; what failed meanwhile can be replayed."""
        return _answer(await asyncio.to_thread(lambda: keeper.switch(webhook_id, enabled=True)))


def _body_of(adapter: TypeAdapter[Any], *, required: bool = True) -> dict[str, Any]:
    return {"requestBody": {"required": required, "content": {"application/json": {"schema": adapter.json_schema()}}}}


def _answer(body: WebhookBody | None, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(to_json(_there(body)), status, headers, "application/json")


def _there(found: FoundT | None) -> FoundT:
    if found is None:
        raise HTTPException(404, "there is no such webhook")
    return found
