"""WebSockets on the wire: uvicorn's implementation on `websockets`, with the memory of a client bounded."""

from typing import Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

__all__ = ["SocketProtocol"]

CLOSE_SECONDS = 5.0
"""For the client to answer a close; then the connection is cut, whatever it has not read."""


class SocketProtocol(WebSocketsSansIOProtocol):
    """Reads nothing while it cannot write, and lets go of a client that reads nothing."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.close_timeout = CLOSE_SECONDS

    def pause_writing(self) -> None:
        """A client that pings and never reads would fill the buffer with pongs."""
        super().pause_writing()
        self.transport.pause_reading()

    def resume_writing(self) -> None:
        """Read on, unless the app has still to take what was read."""
        super().resume_writing()
        if not self.read_paused:
            self.transport.resume_reading()

    async def send(self, message: Any) -> None:
        """A close goes behind whatever the client has not read; it may never be able to take more."""
        closing = message["type"] == "websocket.close"
        if closing:
            self.writable.set()
        await super().send(message)
        if closing and self.close_timer is not None:
            self.close_timer.cancel()
            self.close_timer = self.loop.call_later(self.close_timeout, self.transport.abort)

    def handle_parser_exception(self) -> None:
        """Say why, and throw away what still comes: cut at once, the connection would be reset, and nobody hear it."""
        if self.close_sent:
            return
        said = self.conn.close_sent
        if said is not None:
            self.queue.put_nowait({"type": "websocket.disconnect", "code": said.code, "reason": said.reason})
        self.transport.write(b"".join(self.conn.data_to_send()))
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self.close_sent = True
        self.close_timer = self.loop.call_later(self.close_timeout, self.transport.abort)

    def keepalive_timeout(self) -> None:
        """No pong came: nobody is there who would read what is left."""
        super().keepalive_timeout()
        self.loop.call_later(self.close_timeout, self.transport.abort)

    def shutdown(self) -> None:
        """An open connection is closed by the app, which is told to stop as well and says why."""
        if not self.handshake_complete or self.close_sent:
            super().shutdown()
