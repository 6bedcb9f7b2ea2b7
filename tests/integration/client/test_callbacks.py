"""Where its end is pushed to is said with the submit, by the client and on the command line."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from tests.conftest import Installation
from tests.integration.client.conftest import SECRET
from tests.unit.sync.webhooks.receiver import Push, TheReceiver, receiving

from predictq.settings import load_settings
from predictq_producers import AsyncClient, Client
from predictq_producers.client import Rejected
from predictq_producers.client.exchange import CallbackOption


@pytest.fixture
def receiver() -> Iterator[TheReceiver]:
    with receiving() as found:
        yield found


def told(push: Push) -> tuple[str, str]:
    event = push.verified(SECRET)
    return event["type"], event["data"]["id"]


def test_a_request_is_pushed_to_a_url(client: Client, receiver: TheReceiver) -> None:
    request = client.submit("sums", [{"a": 1, "b": 2}], callback=receiver.url)
    (push,) = receiver.pushes(1)
    assert told(push) == ("prediction.succeeded", request.id)


def test_a_request_is_pushed_for_the_events_that_are_wanted(client: Client, receiver: TheReceiver) -> None:
    row = [{"a": 1, "b": 2}]
    client.predict("sums", row, callback={"url": receiver.url, "events": ["prediction.failed"]}, wait=60)
    wanted = client.submit("sums", row, callback={"url": receiver.url, "events": ["prediction.succeeded"]})
    (push,) = receiver.pushes(1)
    assert told(push) == ("prediction.succeeded", wanted.id)


def test_coroutines_say_it_the_same_way(site: Installation, receiver: TheReceiver) -> None:
    async def submit() -> str:
        async with AsyncClient(site.url) as client:
            return (await client.submit("sums", [{"a": 1, "b": 2}], callback=receiver.url)).id

    request_id = asyncio.run(submit())
    (push,) = receiver.pushes(1)
    assert told(push) == ("prediction.succeeded", request_id)


def test_without_a_gateway_too(site: Installation, receiver: TheReceiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREDICTQ_CONFIG", str(site.config))
    with Client.direct(load_settings()) as client:
        request = client.submit("sums", [{"a": 1, "b": 2}], callback=receiver.url)
    (push,) = receiver.pushes(1)
    assert told(push) == ("prediction.succeeded", request.id)


def test_a_job_is_pushed_when_it_is_over(client: Client, receiver: TheReceiver, tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("a,b\n1,2\n")
    job = client.submit_file("sums", tmp_path / "rows.csv", callback=receiver.url)
    (push,) = receiver.pushes(1)
    assert told(push) == ("job.completed", job.id)


def test_a_job_on_a_source_takes_an_object(client: Client, receiver: TheReceiver, site: Installation) -> None:
    incoming = site.folder / "incoming"
    incoming.mkdir(exist_ok=True)
    (incoming / "hopeless.csv").write_text("a\n1\n")
    callback: CallbackOption = {"url": receiver.url, "events": ["job.failed", "job.completed"]}
    job = client.submit_source("sums", (incoming / "hopeless.csv").as_uri(), callback=callback)
    (push,) = receiver.pushes(1)
    assert told(push)[1] == job.id


@pytest.mark.parametrize(
    ("callback", "pointer"),
    [
        ("ftp://example.org/", "/callback/url"),
        ({"url": "https://example.org/", "events": ["prediction.failed"]}, "/callback/events"),
    ],
)
def test_a_callback_that_cannot_work_is_rejected(client: Client, tmp_path: Path, callback: str, pointer: str) -> None:
    (tmp_path / "rows.csv").write_text("a,b\n1,2\n")
    with pytest.raises(Rejected) as caught:
        client.submit_file("sums", tmp_path / "rows.csv", callback=callback)
    assert [fault.pointer for fault in caught.value.errors] == [pointer]


@pytest.mark.parametrize("command", [("submit",), ("jobs", "submit")])
def test_the_command_line_takes_a_url(
    site: Installation, receiver: TheReceiver, tmp_path: Path, command: tuple[str, ...]
) -> None:
    (tmp_path / "rows.csv").write_text("a,b\n1,2\n")
    argv = [sys.executable, "-m", "predictq", *command, "sums", "rows.csv", "--callback", receiver.url]
    done = run(argv, site, tmp_path)
    assert done.returncode == 0, done.stderr
    (push,) = receiver.pushes(1)
    assert told(push)[1] == done.stdout.split()[0]


def test_the_command_line_refuses_what_cannot_work(site: Installation, tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("a,b\n1,2\n")
    argv = [sys.executable, "-m", "predictq", "submit", "sums", "rows.csv", "--callback", "ftp://example.org/"]
    done = run(argv, site, tmp_path)
    assert done.returncode == 2
    assert "--callback is no URL of https or http" in done.stderr


def run(argv: Sequence[str], site: Installation, folder: Path) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "PREDICTQ_CONFIG": str(site.config), "PREDICTQ_GATEWAY__PORT": str(site.port)}
    return subprocess.run(argv, env=env, cwd=folder, capture_output=True, text=True, check=False)
