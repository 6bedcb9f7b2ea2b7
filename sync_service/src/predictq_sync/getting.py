"""`predictq get`: a request and its predictions, read from the database."""

import json
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager

from predictq.brokers import Subscription, open_broker
from predictq.cli.output import emit_json, emit_table, say
from predictq.members import member_name
from predictq.names import Names
from predictq.settings import Settings
from predictq_sync.database import opened
from predictq_sync.reading import Reader, RequestBody

__all__ = ["get"]

REREAD_SECONDS = 1.0
"""A lost announcement costs this much, never a result."""


def get(settings: Settings, request_id: str, *, wait_seconds: float, as_json: bool) -> int:
    """Print the request; exit code 0 when it is finished, 1 when it is unknown or queued, after the wait."""
    with _reader(settings) as reader:
        body = _wait(settings, reader, request_id, wait_seconds) if wait_seconds else _read(reader, request_id)
    if body is None:
        say(f"{request_id} is not in the database: never submitted, not there yet, or kept no longer")
        return 1
    if as_json:
        emit_json(body)
    else:
        _show(body)
    return 1 if body["status"] == "queued" else 0


@contextmanager
def _reader(settings: Settings) -> Iterator[Reader]:
    with opened(settings.database_url()) as database:
        yield Reader(database)


def _read(reader: Reader, request_id: str) -> RequestBody | None:
    return reader.requests([request_id]).get(request_id)


def _wait(settings: Settings, reader: Reader, request_id: str, seconds: float) -> RequestBody | None:
    """Listen before the first look, so that no announcement falls between them."""
    deadline = time.monotonic() + seconds
    member = member_name()
    commits = Names(settings.prefix).commits
    with closing(open_broker(settings.broker_url())) as broker:
        hearing = Subscription(topics=(commits,), member=member, idle_seconds=min(REREAD_SECONDS, seconds))
        with closing(broker.consumer(hearing)) as consumer:
            reread_at = 0.0
            while True:
                if time.monotonic() >= reread_at:
                    body = _read(reader, request_id)
                    reread_at = time.monotonic() + REREAD_SECONDS
                    if body is not None and body["status"] != "queued":
                        return body
                if time.monotonic() >= deadline:
                    return _read(reader, request_id)
                batch = consumer.poll(1000, 1 << 20, 0.0)
                # Its text is enough: ids stand in an announcement as they are, and a false alarm costs one look.
                if any(request_id.encode() in record.value for record in batch):
                    reread_at = 0.0


def _show(body: RequestBody) -> None:
    sys.stdout.write(f"{body['id']}  {body['endpoint']}  {body['status']}  {body['created_at']}\n")
    rows = [
        (
            prediction["deployment"],
            prediction["model_version"],
            prediction["status"],
            json.dumps(prediction["outputs"], ensure_ascii=False),
            json.dumps(prediction["errors"], ensure_ascii=False) if prediction["errors"] else "",
        )
        for prediction in body["predictions"]
    ]
    if rows:
        emit_table(("deployment", "version", "status", "outputs", "errors"), rows)
