"""The route of the WebSocket."""

from fastapi import APIRouter, Response
from starlette.websockets import WebSocket

from predictq_gateway.problems import Problem
from predictq_gateway.socket.sockets import Sockets

__all__ = ["add_socket_route"]

PATH = "/v1/stream"


def add_socket_route(router: APIRouter, sockets: Sockets) -> None:
    """Add it, and what a plain GET of it is told."""

    @router.get(
        PATH,
        tags=["endpoints"],
        summary="Submit and follow over one WebSocket",
        operation_id="stream",
        status_code=101,
        response_class=Response,
        responses={
            101: {"description": "The WebSocket is open; it speaks the subprotocol `predictq.v1` (docs/websocket.md)."},
            400: {"description": "Another subprotocol, or a `window` that is none."},
            403: {"description": "A page of another origin."},
            426: {"description": "No WebSocket was asked for."},
        },
    )
    async def plain() -> Response:
        """Needs the opening handshake of a WebSocket (RFC 6455)."""
        headers = {"upgrade": "websocket", "connection": "Upgrade"}
        return Problem(426, "this is a WebSocket; a client that opens one would be right", headers=headers).response

    @router.websocket(PATH)
    async def stream(websocket: WebSocket) -> None:
        await sockets.serve(websocket)
