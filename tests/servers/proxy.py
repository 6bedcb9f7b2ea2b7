"""A TCP proxy between a client and its server, to break what is between them on purpose."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit

from tests.servers.ports import free_port

_PIECE_BYTES = 1 << 16


class Proxy:
    """Listens on a port of 127.0.0.1 and hands all bytes on, until it is told otherwise. For any thread."""

    def __init__(self, url: str, *, target_port: int | None = None, port: int | None = None) -> None:
        """In front of the server of `url`, whose port may be another than the URL says."""
        parts = urlsplit(url)
        self._target = (parts.hostname or "", target_port or parts.port or 0)
        self.port = port or free_port()
        self.url = url.replace(parts.netloc, f"{parts.netloc.rpartition('@')[0]}@127.0.0.1:{self.port}".lstrip("@"), 1)
        """`url`, through the proxy."""
        self.delay_seconds = 0.0
        """What every piece of an answer waits."""
        self.dropped = 0
        """Answers that never came back."""
        self._drop: Callable[[bytes], bool] | None = None
        self._lock = threading.Lock()
        self._links: set[_Link] = set()
        self._listener: socket.socket | None = None
        self.mend()

    def drop_replies(self, when: Callable[[bytes], bool]) -> None:
        """Once, for the first request of which `when` says so: it reaches the server, whose answer the client never
        sees; the connection ends instead.

        `when` is asked of each piece of up to 64 KiB as it comes, so look for what stands at a request's beginning.
        """
        self._drop = when

    def cut(self) -> None:
        """Drop all connections and refuse new ones until `mend`; may be called again."""
        with self._lock:
            listener, self._listener = self._listener, None
            links = list(self._links)
        if listener is not None:
            # Closing alone would leave the thread in accept(), and the port open.
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        for link in links:
            link.end()

    def mend(self) -> None:
        """Let connections through again; may be called again."""
        with self._lock:
            if self._listener is None:
                self._listener = socket.create_server(("127.0.0.1", self.port))
                threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(self._target)
            except OSError:
                client.close()
                continue
            link = _Link(client, server, self)
            with self._lock:
                cut = self._listener is not listener
                if not cut:
                    self._links.add(link)
            if cut:
                link.drop()
            else:
                link.start()

    def _wants_dropped(self, request: bytes) -> bool:
        with self._lock:
            wanted = self._drop is not None and self._drop(request)
            if wanted:
                self._drop = None
            return wanted

    def _ended(self, link: "_Link", *, dropped: bool) -> None:
        with self._lock:
            self._links.discard(link)
            self.dropped += dropped


class _Link:
    """One client's connection and its other half."""

    def __init__(self, client: socket.socket, server: socket.socket, proxy: Proxy) -> None:
        for one in (client, server):
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._client = client
        self._server = server
        self._proxy = proxy
        self._muted = False

    def start(self) -> None:
        for target in (self._requests, self._answers):
            threading.Thread(target=target, daemon=True).start()

    def end(self) -> None:
        """Both threads find their socket at its end, and close it."""
        for one in (self._client, self._server):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def drop(self) -> None:
        """Instead of a start."""
        for one in (self._client, self._server):
            one.close()

    def _requests(self) -> None:
        try:
            while piece := self._client.recv(_PIECE_BYTES):
                # Before the request goes out: its answer may be here sooner than we are back.
                self._muted = self._muted or self._proxy._wants_dropped(piece)
                self._server.sendall(piece)
        except OSError:
            pass  # one side is gone; so is the link
        finally:
            self.end()
            self._client.close()

    def _answers(self) -> None:
        dropped = False
        try:
            while piece := self._server.recv(_PIECE_BYTES):
                if self._muted:
                    dropped = True
                    break
                if self._proxy.delay_seconds:
                    time.sleep(self._proxy.delay_seconds)
                self._client.sendall(piece)
        except OSError:
            pass  # one side is gone; so is the link
        finally:
            # Counted before the client can see the end.
            self._proxy._ended(self, dropped=dropped)
            self.end()
            self._server.close()


@contextmanager
def through_proxy(url: str, *, target_port: int | None = None, port: int | None = None) -> Iterator[Proxy]:
    """A proxy in front of a server, for a moment. Kafka sends its clients past it: see `KafkaServer.through_proxy`."""
    proxy = Proxy(url, target_port=target_port, port=port)
    try:
        yield proxy
    finally:
        proxy.cut()
