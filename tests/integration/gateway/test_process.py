"""`predictq gateway` as a process: its address, its readiness, its end."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest
from tests.beside import running
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from predictq.brokers import open_broker
from predictq.settings import load_settings
from predictq.topology import topology_of

SETTINGS = """
broker = "sqlite:///var/broker.db"
database = "sqlite:///var/predictions.db"
[endpoints.free]
[deployments.any]
endpoint = "free"
model = "m.joblib"
"""
DEADLINE_SECONDS = 30


class Process:
    """A gateway in a process of its own, and the lines of its log."""

    def __init__(self, folder: Path, *options: str, settings: str = SETTINGS) -> None:
        (folder / "predictq.toml").write_text(settings)
        self.ready, writing = os.pipe()
        self.popen = subprocess.Popen(
            [sys.executable, "-m", "predictq", "gateway", *options],
            cwd=folder,
            env={**os.environ, "PREDICTQ_READY_FD": str(writing)},
            pass_fds=(writing,),
            stderr=subprocess.PIPE,
            text=True,
        )
        os.close(writing)

    def wait_until_ready(self) -> str:
        """Its URL, once it has said that it is ready; read from its log."""
        assert os.read(self.ready, 100) == b"ready\n"
        assert self.popen.stderr is not None
        for line in self.popen.stderr:
            if found := re.search(r"listening on (http://\S+)", line):
                return found[1]
        raise AssertionError("it ended without listening")

    def close(self) -> None:
        self.popen.kill()
        self.popen.communicate()
        os.close(self.ready)


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Process]:
    process = Process(tmp_path, "--port", "0")
    yield process
    process.close()


def test_it_says_that_it_is_ready_and_where(gateway: Process) -> None:
    url = gateway.wait_until_ready()
    assert httpx.get(f"{url}/healthz").status_code == 200


def test_a_signal_ends_it_in_order_though_somebody_waits(gateway: Process) -> None:
    url = gateway.wait_until_ready()

    def wait() -> httpx.Response:
        headers = {"content-type": "application/json", "prefer": "wait=60"}
        submit = f"{url}/v1/endpoints/free/predictions"
        return httpx.post(submit, content=json.dumps({"instances": [[1]]}), headers=headers, timeout=60)

    with running(wait, stop=gateway.popen.kill) as [answer]:
        deployment = f"{url}/v1/endpoints/free"
        while httpx.get(deployment).json()["deployments"][0]["lag"]["ready"] == 0:
            assert not answer.done()
        gateway.popen.send_signal(signal.SIGTERM)
        assert answer.result(DEADLINE_SECONDS).status_code == 202
        assert gateway.popen.wait(DEADLINE_SECONDS) == 0


def test_a_signal_closes_a_websocket_with_a_reason(gateway: Process) -> None:
    url = gateway.wait_until_ready()
    with connect(f"ws{url.removeprefix('http')}/v1/stream") as websocket:
        websocket.recv(DEADLINE_SECONDS)  # the welcome
        gateway.popen.send_signal(signal.SIGTERM)
        with pytest.raises(ConnectionClosed) as caught:
            websocket.recv(DEADLINE_SECONDS)
        assert caught.value.rcvd is not None
        assert caught.value.rcvd.code == 1001
    assert gateway.popen.wait(DEADLINE_SECONDS) == 0


def test_a_taken_port_is_the_users_mistake(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        process = Process(tmp_path, "--port", str(taken.getsockname()[1]))
        try:
            _, log = process.popen.communicate(timeout=DEADLINE_SECONDS)
        finally:
            process.close()
    assert process.popen.returncode == 2
    assert "another --port may be free" in log
    assert "Traceback" not in log


def test_topics_that_cannot_be_as_the_settings_say_end_it_as_the_users_mistake(tmp_path: Path) -> None:
    (tmp_path / "predictq.toml").write_text(SETTINGS)
    settings = load_settings(tmp_path / "predictq.toml")
    with closing(open_broker(settings.broker_url())) as broker, closing(broker.admin()) as admin:
        admin.ensure(topology_of(settings))
    changed = SETTINGS.replace("[endpoints.free]", "[endpoints.free]\npartitions = 7")
    process = Process(tmp_path, "--port", "0", settings=changed)
    try:
        _, log = process.popen.communicate(timeout=DEADLINE_SECONDS)
    finally:
        process.close()

    assert process.popen.returncode == 2
    assert log.count("the settings ask for 7: keys") == 1
    assert "Traceback" not in log


def test_a_broken_schema_is_refused_at_start(tmp_path: Path) -> None:
    (tmp_path / "s.json").write_text("{")
    (tmp_path / "predictq.toml").write_text('[endpoints.free]\ninput = "s.json"\n')
    done = subprocess.run(
        [sys.executable, "-m", "predictq", "gateway"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 2
    assert "endpoints.free.input" in done.stderr
    assert "Traceback" not in done.stderr
