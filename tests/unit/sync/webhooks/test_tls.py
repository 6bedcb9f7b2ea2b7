"""TLS verifies the name of the receiver, although the connection goes to an address that was checked."""

import shutil
import ssl
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from tests.unit.sync.webhooks.conftest import Pushing, push_settings

NEW_CERTIFICATE = (
    "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=receiver.example -keyout key.pem -out cert.pem"
    " -addext subjectAltName=DNS:receiver.example"
)


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing to tell."""


class _Server(HTTPServer):
    def handle_error(self, *_: object) -> None:
        """A client that hung up in the middle of TLS is what the test is about."""


@contextmanager
def _secure(folder: Path) -> Iterator[int]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    server = _Server(("127.0.0.1", 0), _Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=lambda: server.serve_forever(0.02), daemon=True)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.mark.skipif(shutil.which("openssl") is None, reason="there is no openssl here to make a certificate with")
@pytest.mark.parametrize(
    ("host", "trusted", "state"),
    [("receiver.example", True, "delivered"), ("other.example", True, "failed"), ("receiver.example", False, "failed")],
)
def test_the_name_is_verified(pushing: Pushing, tmp_path: Path, host: str, trusted: bool, state: str) -> None:
    subprocess.run(["openssl", *NEW_CERTIFICATE.split()], cwd=tmp_path, check=True, capture_output=True)

    async def resolve(host: str, port: int) -> Sequence[str]:
        return ["127.0.0.1"]

    ca_file = str(tmp_path / "cert.pem") if trusted else None
    push = push_settings(allow_http=False, ca_file=ca_file, schedule_seconds=(0,))
    with _secure(tmp_path) as port, pushing.dispatching(push=push, resolve=resolve):
        pushing.finish({"url": f"https://{host}:{port}/"})
        (row,) = pushing.settled(state)

    if state == "failed":
        assert "certificate" in row["history"][0]["error"].lower()
