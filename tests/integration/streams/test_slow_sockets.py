"""A client of a WebSocket that does not keep up costs the gateway little, whatever it does not do."""

import base64
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit

import pytest
from tests.integration.streams.conftest import DEADLINE_SECONDS, Served, Site, eventually
from tests.integration.streams.test_socket import BEGINNING, closed, ids_of, talking

pytestmark = pytest.mark.parametrize("site", ["sqlite"], indirect=True)

EVENT_BYTES = 20_000
BUFFER_BYTES = 64 * 1024
"""Of a transport, before it asks whoever writes to wait."""
PING = b"\x89\xfd" + bytes(4) + b"x" * 125
"""As a client sends it, masked by zeros."""


def held(gateway: Served) -> int:
    """Bytes that wait in the gateway to be sent."""
    return sum(each.transport.get_write_buffer_size() for each in gateway.server.server_state.connections)


@contextmanager
def deaf(gateway: Served) -> Iterator[socket.socket]:
    """A connection behind its handshake, of which nothing more is read."""
    address = urlsplit(gateway.url)
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.settimeout(DEADLINE_SECONDS)
        connection.connect((address.hostname, address.port))
        key = base64.b64encode(bytes(16)).decode()
        connection.sendall(
            f"GET /v1/stream HTTP/1.1\r\nHost: {address.netloc}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        assert b" 101 " in connection.recv(12 + 3)
        yield connection


def text(message: str) -> bytes:
    """A short frame, masked by zeros."""
    assert len(message) < 126
    return bytes([0x81, 0x80 | len(message)]) + bytes(4) + message.encode()


def test_a_client_that_reads_nothing_is_let_go_with_a_reason(site: Site) -> None:
    gateway = site.serve(stream_send_seconds=1.0, heartbeat_seconds=60.0, socket_window=10_000)
    ids = [each for _ in range(30) for each in site.accept(20)]
    site.finish(ids, outputs=["x" * EVENT_BYTES])
    most = 0
    with talking(gateway, max_queue=1) as talk:
        talk.ask(type="subscribe", ref="t", endpoint="tumours", cursor=BEGINNING)

        def let_go() -> bool:
            nonlocal most
            most = max(most, held(gateway))
            return not gateway.gateway._streams._tails._followers

        eventually(let_go)
        assert closed(talk) == 1008
    assert BUFFER_BYTES < most < BUFFER_BYTES + 2 * EVENT_BYTES


def test_one_that_never_acknowledges_is_held_back_and_stays(site: Site) -> None:
    gateway = site.serve(stream_send_seconds=0.5)
    ids = site.accept(5)
    site.finish(ids)
    with talking(gateway, "?window=2") as talk:
        talk.ask(type="subscribe", ref="t", endpoint="tumours", cursor=BEGINNING)
        told = talk.events(2, acknowledge=False)
        with pytest.raises(TimeoutError):  # four times as long as it may read nothing
            talk.connection.recv(2.0)
        talk.say(type="ack", seq=2)
        told += talk.events(3)
    assert sorted(ids_of(told)) == sorted(ids)


def test_one_that_is_gone_without_a_word_is_let_go(site: Site) -> None:
    gateway = site.serve(stream_send_seconds=0.5, heartbeat_seconds=0.2)
    with deaf(gateway) as connection:
        connection.sendall(text('{"type":"subscribe","ref":"t","endpoint":"tumours"}'))
        eventually(lambda: bool(gateway.gateway._streams._tails._followers))
        eventually(lambda: not gateway.gateway._streams._tails._followers)
    eventually(lambda: not gateway.server.server_state.connections)


def test_one_that_never_reads_again_is_cut_off(site: Site) -> None:
    gateway = site.serve(stream_send_seconds=0.5, heartbeat_seconds=60.0, socket_window=10_000)
    for _ in range(30):
        site.finish(site.accept(20), outputs=["x" * EVENT_BYTES])
    with deaf(gateway) as connection:
        connection.sendall(text('{"type":"subscribe","ref":"t","endpoint":"tumours","cursor":"0-0-0"}'))
        eventually(lambda: held(gateway) > 0)
        eventually(lambda: not gateway.server.server_state.connections)


@pytest.mark.parametrize(
    "frame", [PING, text('{"type":"ping","ref":"x"}'), text("{")], ids=["ping", "message", "wrong"]
)
def test_one_that_asks_and_reads_no_answer_is_not_heard_for_long(site: Site, frame: bytes) -> None:
    gateway = site.serve(stream_send_seconds=60.0, heartbeat_seconds=60.0)
    most = 0
    with deaf(gateway) as connection:
        connection.settimeout(1.0)
        with suppress(TimeoutError):
            for _ in range(4000):
                connection.sendall(frame * 500)
                most = max(most, held(gateway))
            pytest.fail("everything was read")
        assert most < 1024 * 1024
