"""The HTTP server: uvicorn, started and stopped the way of our other processes."""

import ipaddress
import logging
import socket
from types import FrameType

import uvicorn

from predictq.errors import UserMistake
from predictq.process import announce_ready
from predictq_gateway.app import Gateway
from predictq_gateway.socket.protocol import SocketProtocol

__all__ = ["GatewayServer", "is_loopback", "listen", "serve"]

GRACE_SECONDS = 10
"""After a signal, for requests that are being answered; those that only wait are let go at once."""

log = logging.getLogger(__name__)


def serve(gateway: Gateway, *, host: str, port: int) -> None:
    """Serve until SIGTERM or SIGINT. Port 0 takes a free one, which the log tells.

    A signal stops accepting, answers whoever waits, publishes what was taken on, and returns; a second one hurries.
    Raises UserMistake where the address cannot be had, or the broker's topics cannot be as the settings say.
    """
    listening = listen(host, port)
    if not is_loopback(host):
        log.warning("listening on %s: there is no authentication yet, so anyone who can reach it can use it", host)
    GatewayServer(gateway).run(sockets=[listening])
    log.info("stopped")
    if gateway.mistake is not None:
        raise gateway.mistake


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens. Raises UserMistake where the address cannot be had."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        reason = error.strerror or str(error)
        raise UserMistake(f"{host}:{port} cannot be listened on: {reason}; another --port may be free") from error


class GatewayServer(uvicorn.Server):
    """uvicorn, which tells when it listens, lets go of whoever waits before it stops, and stops for a mistake."""

    def __init__(self, gateway: Gateway) -> None:
        config = uvicorn.Config(
            gateway.app,
            log_config=None,
            log_level="warning",
            access_log=False,
            server_header=False,
            ws=SocketProtocol,
            ws_max_size=gateway.limits.socket_message_bytes,
            ws_ping_interval=gateway.limits.heartbeat_seconds,
            ws_ping_timeout=gateway.limits.stream_send_seconds,
            ws_per_message_deflate=False,  # it would cost each connection memory, and the texts are short
            lifespan="on",
            timeout_keep_alive=75,
            timeout_graceful_shutdown=GRACE_SECONDS,
        )
        super().__init__(config)
        self._gateway = gateway

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        for each in sockets or []:
            host, port = each.getsockname()[:2]
            log.info("listening on http://%s:%d", f"[{host}]" if ":" in host else host, port)
        announce_ready()

    async def on_tick(self, counter: int) -> bool:
        return await super().on_tick(counter) or self._gateway.mistake is not None

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._gateway.release()
        await super().shutdown(sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002 - uvicorn's names
        # Not uvicorn's way, which raises the signal again in the end: an orderly stop exits with 0.
        self.force_exit = self.should_exit
        self.should_exit = True


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach the address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
