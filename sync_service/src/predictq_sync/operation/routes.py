"""How deployments are doing, and requests, as operators look at them over HTTP. Everything is read, nothing written."""

from collections.abc import Mapping, Sequence
from typing import Annotated

from fastapi import APIRouter, HTTPException, Query, Response
from pydantic_core import to_json

from predictq.names import Names
from predictq_sync.database import Database
from predictq_sync.lookup import Lookup
from predictq_sync.operation.activity import Activity, ActivityReader, Window
from predictq_sync.operation.answering import Limit, known, responses, shared_answer
from predictq_sync.operation.questions import FRESH_SECONDS, Questions
from predictq_sync.operation.requests import RequestPage, RequestReader
from predictq_sync.operation.way import WayBody, WayReader, way_of_queued
from predictq_sync.routes import canonical, no_such_request

__all__ = ["add_operation_routes"]

Seconds = Annotated[float, Query(ge=10, le=3600, allow_inf_nan=False)]


def add_operation_routes(
    router: APIRouter,
    database: Database,
    lookup: Lookup,
    questions: Questions,
    *,
    names: Names,
    deployments: Mapping[str, Sequence[str]],
) -> None:
    """Add the routes; `deployments` names those of each endpoint, shadows too."""
    activities = ActivityReader(database)
    requests = RequestReader(database)
    ways = WayReader(database, names)

    @router.get(
        "/v1/endpoints/{endpoint}/activity",
        tags=["operation"],
        summary="What the mini-batches of an endpoint tell",
        operation_id="show_activity",
        response_class=Response,
        responses=responses(Activity, 404, "No such endpoint.", "Seconds"),
    )
    async def show_activity(endpoint: str, seconds: Seconds = 300) -> Response:
        """Requests, sizes, times and failures of each deployment, in at most 150 steps up to now."""
        if endpoint not in deployments:
            raise HTTPException(404, f"there is no endpoint {endpoint[:64]!r}; GET /v1/endpoints lists them")
        window = Window.of(seconds)
        return await shared_answer(
            questions,
            ("activity", endpoint, window),
            lambda: activities.activity(endpoint, window, deployments[endpoint]),
            # Longer windows cost more, and change less.
            max(FRESH_SECONDS, window.step_seconds / 2),
        )

    @router.get(
        "/v1/predictions",
        tags=["operation"],
        summary="List requests",
        operation_id="list_requests",
        response_class=Response,
        responses=responses(RequestPage, 400, "An endpoint, status or cursor that is none.", "A limit"),
    )
    async def list_requests(
        endpoint: str | None = None, status: str | None = None, limit: Limit = 50, cursor: str | None = None
    ) -> Response:
        """The latest first; `next` is the cursor of the page that follows, which a short or empty page may have too."""
        among = tuple(deployments) if endpoint is None else (known(endpoint, deployments),)
        return await shared_answer(
            questions,
            ("requests", among, status, limit, cursor),
            lambda: requests.page(among, status=status, cursor=cursor, limit=limit),
        )

    @router.get(
        "/v1/predictions/{request_id}/way",
        tags=["operation"],
        summary="Show the way of a request",
        operation_id="show_way",
        response_class=Response,
        responses=responses(WayBody, 404, "Never submitted, or kept no longer."),
    )
    async def show_way(request_id: str) -> Response:
        """Mini-batch, worker and answer of each deployment, what died on the way, and who was told."""
        request_id = canonical(request_id)
        way = await questions.read(lambda: ways.way(request_id))
        if way is None:
            body = await lookup.request(request_id)
            if body is None:
                raise no_such_request(request_id)
            # The ledger may have come meanwhile.
            way = await questions.read(lambda: ways.way(request_id)) or way_of_queued(body)
        return Response(to_json(way), 200, media_type="application/json")
