"""The public keys of pushes over HTTP."""

from collections.abc import Sequence

from fastapi import APIRouter, Response
from pydantic_core import to_json
from typing_extensions import TypedDict

__all__ = ["add_key_route"]

CACHED = {"cache-control": "public, max-age=300"}
"""As long as a key that has just been changed may be unknown to who kept the answer; the old one signs meanwhile."""


class PublicKeys(TypedDict):
    """What signatures `v1a` of pushes are verified by."""

    keys: list[str]
    """`whpk_` and 32 bytes in base64 (Ed25519), the newest first; none where `push.signing_key` is not set."""


def add_key_route(router: APIRouter, public_keys: Sequence[str]) -> None:
    """Add the route."""
    keys: PublicKeys = {"keys": list(public_keys)}

    @router.get(
        "/v1/push/keys",
        tags=["webhooks"],
        summary="Show the public keys of pushes",
        operation_id="show_push_keys",
        response_class=Response,
        responses={200: {"model": PublicKeys}},
    )
    async def show_push_keys() -> Response:
        """For who verifies pushes without a secret; a push is signed by each of them."""
        return Response(to_json(keys), 200, CACHED, "application/json")
