"""What the routes of operators have in common: shared answers, filters, and how they are described."""

from collections.abc import Callable, Collection
from typing import Annotated, Any, Literal

from fastapi import HTTPException, Query, Response
from pydantic_core import to_json

from predictq.errors import UserMistake
from predictq_sync.operation.questions import FRESH_SECONDS, Questions

__all__ = ["Limit", "known", "responses", "shared_answer"]

Limit = Annotated[int, Query(ge=1, le=500)]


async def shared_answer(
    questions: Questions, key: tuple[Any, ...], read: Callable[[], Any], fresh_seconds: float = FRESH_SECONDS
) -> Response:
    """What `read` says, to all who ask for this key; 400 where it was asked what cannot be."""
    try:
        body = await questions.shared(key, lambda: questions.read(lambda: to_json(read())), fresh_seconds)
    except UserMistake as error:
        raise HTTPException(400, str(error)) from error
    return Response(body, 200, media_type="application/json")


def known(endpoint: str, endpoints: Collection[str]) -> str:
    """An endpoint to filter by; 400 where there is none of that name."""
    if endpoint not in endpoints:
        raise HTTPException(400, f"endpoint {endpoint[:64]!r} is none; GET /v1/endpoints lists them")
    return endpoint


def responses(
    model: Any, status: Literal[400, 404], description: str, bounded: str | None = None
) -> dict[int | str, dict[str, Any]]:
    """For OpenAPI; `bounded` is a number that may be out of bounds."""
    away = {"description": "The database is away; try again after `Retry-After`."}
    found: dict[int | str, dict[str, Any]] = {200: {"model": model}, status: {"description": description}, 503: away}
    return found if bounded is None else {**found, 422: {"description": f"{bounded} that is out of bounds."}}
