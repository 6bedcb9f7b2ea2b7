"""All connections of one gateway, and what they share."""

import asyncio
from collections.abc import Mapping

from starlette.websockets import WebSocket

from predictq.settings import GatewaySettings
from predictq_gateway.problems import Problem
from predictq_gateway.socket.connection import Connection
from predictq_gateway.socket.origin import is_allowed
from predictq_gateway.socket.vocabulary import SUBPROTOCOL
from predictq_producers.accepting import Accepting
from predictq_producers.requests import RequestMaker
from predictq_sync.streams.opening import Streams
from predictq_sync.streams.room import Room, TooManyStreams

__all__ = ["TRY_AGAIN_LATER", "Sockets"]

TRY_AGAIN_LATER = 1013
"""Of IANA's registry of close codes."""


class Sockets:
    """Opens connections and ends them all. For one event loop."""

    def __init__(
        self,
        streams: Streams,
        makers: Mapping[str, RequestMaker],
        accepting: Accepting,
        room: Room,
        settings: GatewaySettings,
    ) -> None:
        self._streams = streams
        self._makers = makers
        self._accepting = accepting
        self._room = room
        self._settings = settings
        self._stopping = asyncio.Event()

    async def serve(self, websocket: WebSocket) -> None:
        """Serve one client until it leaves."""
        problem = self._refusal(websocket)
        if problem is not None:
            await websocket.send_denial_response(problem.response)
            return
        await websocket.accept(subprotocol=SUBPROTOCOL if websocket.scope["subprotocols"] else None)
        try:
            with self._room.one():
                await Connection(
                    websocket,
                    self._streams,
                    self._makers,
                    self._accepting,
                    self._settings,
                    window=self._window(websocket),
                    stopping=self._stopping,
                ).run()
        except TooManyStreams:
            # After the upgrade, for a browser tells its page nothing of an answer before.
            await websocket.close(TRY_AGAIN_LATER, "too many clients follow events; try again in a moment")

    def close(self) -> None:
        """End every connection: the server is about to stop."""
        self._stopping.set()

    def _refusal(self, websocket: WebSocket) -> Problem | None:
        """What is wrong with the opening handshake."""
        if not is_allowed(websocket.headers, self._settings.allowed_origins):
            return Problem(403, "a page of another origin may not use this; gateway.allowed_origins may name it")
        offered = websocket.scope["subprotocols"]
        if offered and SUBPROTOCOL not in offered:
            return Problem(400, f"none of the offered subprotocols is spoken here; {SUBPROTOCOL} would be right")
        asked = websocket.query_params.get("window")
        if asked is not None and self._asked_window(asked) is None:
            most = self._settings.socket_window
            return Problem(400, f"window={asked[:20]!r}: a number from 1 to {most} would be right")
        return None

    def _window(self, websocket: WebSocket) -> int:
        asked = self._asked_window(websocket.query_params.get("window", ""))
        return self._settings.socket_window if asked is None else asked

    def _asked_window(self, text: str) -> int | None:
        number = int(text) if text.isascii() and text.isdigit() and len(text) < 9 else 0
        return number if 1 <= number <= self._settings.socket_window else None
