"""A receiver of pushes: a real HTTP server on 127.0.0.1 that keeps what it was sent and answers as it is told."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

from pydantic_core import from_json
from standardwebhooks import Webhook

__all__ = ["Push", "Reply", "TheReceiver", "receiving"]


class Push(NamedTuple):
    """What came."""

    path: str
    headers: Mapping[str, str]
    body: bytes
    connection: tuple[str, int]

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def data(self) -> Any:
        return from_json(self.body)["data"]

    def verified(self, secret: str) -> Any:
        """The body, once the library of Standard Webhooks has verified it."""
        return Webhook(secret).verify(self.body, dict(self.headers))


class Reply(NamedTuple):
    """What is answered."""

    status: int = 204
    headers: Mapping[str, str] = {}
    body: bytes = b""
    before: Callable[[], object] = lambda: None


class TheReceiver:
    """What has come, and what is answered to what comes next."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.reply: Callable[[Push], Reply] = lambda _: Reply()
        self._pushes: list[Push] = []
        self._came = threading.Condition()

    def answers(self, *replies: Reply) -> None:
        """These one after another, the last one from then on."""
        left = list(replies)
        self.reply = lambda _: left.pop(0) if len(left) > 1 else left[0]

    def pushes(self, count: int = 0, *, seconds: float = 20.0) -> list[Push]:
        """All that have come, once there are so many; fails where they do not come."""
        deadline = time.monotonic() + seconds
        with self._came:
            while len(self._pushes) < count:
                left = deadline - time.monotonic()
                assert left > 0, f"{len(self._pushes)} of {count} came"
                self._came.wait(left)
            return list(self._pushes)

    def take(self, push: Push) -> Reply:
        with self._came:
            self._pushes.append(push)
            self._came.notify_all()
            return self.reply(push)


@contextmanager
def receiving(port: int = 0) -> Iterator[TheReceiver]:
    """The receiver, until the end of the block."""
    receiver: TheReceiver

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            reply = receiver.take(Push(self.path, headers, body, self.client_address))
            reply.before()
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            if "transfer-encoding" not in reply.headers:
                self.send_header("content-length", str(len(reply.body)))
            self.end_headers()
            self.wfile.write(reply.body)

        def log_message(self, *_: object) -> None:
            """Nothing to tell."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 128

        def handle_error(self, *_: object) -> None:
            """A client that hung up is no error of a test's."""

    server = Server(("127.0.0.1", port), Handler)
    receiver = TheReceiver(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=lambda: server.serve_forever(0.02), name="receiver", daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
