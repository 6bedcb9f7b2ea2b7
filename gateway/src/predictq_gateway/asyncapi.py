"""`/asyncapi.json`: the topics and messages behind the routes, as `/openapi.json` tells of the routes themselves."""

from fastapi import APIRouter, Response
from pydantic_core import to_json

from predictq.asyncapi import asyncapi_document
from predictq.settings import Settings

__all__ = ["asyncapi_router"]

MEDIA_TYPE = "application/vnd.aai.asyncapi+json;version=3.0.0"


def asyncapi_router(settings: Settings) -> APIRouter:
    """The route. The document is made once: settings do not change while a process runs."""
    router = APIRouter()
    document = to_json(asyncapi_document(settings))

    # Like /openapi.json it describes the interface and is no part of it.
    @router.get("/asyncapi.json", include_in_schema=False)
    async def asyncapi() -> Response:
        return Response(document, media_type=MEDIA_TYPE)

    return router
