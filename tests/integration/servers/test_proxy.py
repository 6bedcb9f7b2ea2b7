"""What is between a client and its server can be broken on purpose."""

import socket
import socketserver
import time
from collections.abc import Iterator
from functools import partial

import pytest
from tests.beside import running
from tests.servers.proxy import Proxy, through_proxy

_TIMEOUT_SECONDS = 20.0


class _Echo(socketserver.ThreadingTCPServer):
    """Answers every line with itself, and remembers what it was asked."""

    daemon_threads = True

    def __init__(self) -> None:
        self.asked: list[bytes] = []
        super().__init__(("127.0.0.1", 0), _EchoHandler)
        self.url = f"echo://user:word@127.0.0.1:{self.server_address[1]}/0"


class _EchoHandler(socketserver.StreamRequestHandler):
    server: _Echo

    def handle(self) -> None:
        for line in self.rfile:
            self.server.asked.append(line)
            self.wfile.write(line)


@pytest.fixture
def echo() -> Iterator[_Echo]:
    with _Echo() as server, running(partial(server.serve_forever, poll_interval=0.01), stop=server.shutdown):
        yield server


@pytest.fixture
def proxy(echo: _Echo) -> Iterator[Proxy]:
    with through_proxy(echo.url) as one:
        yield one


def connected(proxy: Proxy) -> socket.socket:
    return socket.create_connection(("127.0.0.1", proxy.port), _TIMEOUT_SECONDS)


def ask(client: socket.socket, line: bytes) -> bytes:
    """The answer; empty when the connection has ended instead."""
    try:
        client.sendall(line)
        return client.recv(100)
    except ConnectionError:
        return b""


def test_bytes_pass_both_ways(proxy: Proxy) -> None:
    with connected(proxy) as client:
        assert ask(client, b"one\n") == b"one\n"
        assert ask(client, b"two\n") == b"two\n"


def test_the_url_leads_through_it_and_keeps_the_rest(proxy: Proxy) -> None:
    assert proxy.url == f"echo://user:word@127.0.0.1:{proxy.port}/0"


def test_a_cut_ends_connections_and_refuses_new_ones_until_mended(proxy: Proxy) -> None:
    with connected(proxy) as client:
        ask(client, b"one\n")
        proxy.cut()
        assert ask(client, b"two\n") == b""
    with pytest.raises(ConnectionRefusedError):
        connected(proxy)
    proxy.mend()
    with connected(proxy) as client:
        assert ask(client, b"three\n") == b"three\n"


def test_a_dropped_reply_means_that_the_server_was_asked_and_the_client_not_told(proxy: Proxy, echo: _Echo) -> None:
    proxy.drop_replies(lambda request: request.startswith(b"publish"))
    with connected(proxy) as client:
        assert ask(client, b"hello\n") == b"hello\n"
        assert ask(client, b"publish\n") == b""
    assert proxy.dropped == 1
    assert echo.asked == [b"hello\n", b"publish\n"]
    with connected(proxy) as client:
        assert ask(client, b"publish\n") == b"publish\n"
    assert proxy.dropped == 1


def test_a_delay_holds_answers_back(proxy: Proxy) -> None:
    proxy.delay_seconds = 0.2
    with connected(proxy) as client:
        started = time.monotonic()
        assert ask(client, b"one\n") == b"one\n"
    assert time.monotonic() - started >= 0.2


def test_a_server_that_is_away_ends_the_connection(echo: _Echo) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        away = listener.getsockname()[1]
    with through_proxy(echo.url, target_port=away) as proxy, connected(proxy) as client:
        assert ask(client, b"one\n") == b""
