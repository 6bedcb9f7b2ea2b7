"""The settings of the gateway."""

from typing import Annotated

from pydantic import Field

from predictq.sections import Seconds, Section

__all__ = ["GatewaySettings"]


class GatewaySettings(Section):
    """The HTTP process."""

    host: str = "127.0.0.1"
    """Address to listen on. There are no API keys yet: any but a loopback address is warned about."""
    port: Annotated[int, Field(ge=0, le=65_535)] = 8700
    """0 takes any free one."""
    max_body_bytes: Annotated[int, Field(ge=1024)] = 8 * 1024 * 1024
    """Of one HTTP request; above it 413."""
    max_wait_seconds: Seconds = 60.0
    """Upper bound of `Prefer: wait` and `?wait=`."""
    poll_seconds: Seconds = 1.0
    """How often a waiter reads the database again when no announcement comes."""
    max_streams: Annotated[int, Field(ge=1, le=100_000)] = 2000
    """Clients that follow events at a time; beyond it 503."""
    heartbeat_seconds: Seconds = 15.0
    """How often a stream without events sends a comment, so that nobody in between takes it for dead."""
    stream_send_seconds: Seconds = 60.0
    """How long a stream waits for a client that reads nothing; then it ends."""
    job_progress_seconds: Seconds = 1.0
    """How often the stream of a job looks, and at most tells, how far it is."""
    page: bool = True
    """The live page at `/` and the routes for operators that it reads, which show every request to whoever asks."""
    socket_message_bytes: Annotated[int, Field(ge=1024)] = 1024 * 1024
    """Of one message that a client sends by WebSocket; above it the connection is closed."""
    socket_subscriptions: Annotated[int, Field(ge=1, le=10_000)] = 1000
    """What one WebSocket follows at a time, submitted requests included."""
    socket_window: Annotated[int, Field(ge=1, le=10_000)] = 256
    """Events that a client of a WebSocket may have without having acknowledged them; it may ask for fewer."""
    allowed_origins: tuple[str, ...] = ()
    """Origins, such as `https://shop.example`, whose pages may open a WebSocket beside the gateway's own; `*`: all."""

    @property
    def url(self) -> str:
        """Where a client on this machine finds it."""
        everywhere = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - compared, not bound
        host = everywhere.get(self.host, self.host)
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"
