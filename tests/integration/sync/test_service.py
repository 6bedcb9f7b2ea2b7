"""The sync service between a broker and a database."""

import random
import threading
import time
from typing import Any

import pytest
from tests.integration.sync.conftest import NAMES, Installation, eventually, predicted, request, submitted

from predictq.brokers import Done, Message, Subscription
from predictq.ids import new_id
from predictq.messages import COMMIT
from predictq_sync.redriving import Filter, find, redrive


def test_what_is_published_becomes_readable_and_is_announced(installation: Installation) -> None:
    event = request(new_id(), deployments=["linear", "forest"])
    hearing = installation.broker.consumer(Subscription(topics=(NAMES.commits,), member="listener", idle_seconds=30))

    with installation.sync():
        installation.publish(submitted(event))
        eventually(lambda: event["id"] in installation.reader.requests([event["id"]]))
        installation.publish(predicted(event), predicted(event, deployment="forest"))
        heard = hearing.poll(10, 1 << 20, 0.0)

    assert [COMMIT.decode(record.value)["data"]["ids"] for record in heard] == [[event["id"]]]
    body = installation.reader.requests([event["id"]])[event["id"]]
    assert body["status"] == "succeeded"
    assert [prediction["deployment"] for prediction in body["predictions"]] == ["forest", "linear"]
    hearing.close()


def test_two_services_write_everything_once(installation: Installation) -> None:
    events = [request(new_id(), deployments=["linear", "forest"]) for _ in range(400)]
    messages = [submitted(event) for event in events]
    messages += [predicted(event, deployment=name) for event in events for name in ("linear", "forest")]
    doubled = random.Random(7).sample([*messages, *messages[::3]], k=len(messages) + len(messages[::3]))
    hearing = installation.broker.consumer(Subscription(topics=(NAMES.commits,), member="listener"))
    ids = {event["id"] for event in events}

    with installation.sync(processes=2):
        for start in range(0, len(doubled), 100):
            installation.publish(*doubled[start : start + 100])
        eventually(lambda: _finished(installation) == len(events))
        announced: list[str] = []

        def all_announced() -> bool:
            batch = hearing.poll(1000, 1 << 20, 0.0)
            hearing.settle(batch, [Done()] * len(batch))
            announced.extend(i for record in batch for i in COMMIT.decode(record.value)["data"]["ids"])
            return set(announced) == ids

        eventually(all_announced)
        eventually(lambda: _nothing_left(installation))

    assert sorted(announced) == sorted(ids)
    with installation.database.read() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM predictions").scalar() == 2 * len(events)
    hearing.close()


def test_garbage_is_a_dead_letter_once_and_can_be_redriven(installation: Installation) -> None:
    garbage = [
        Message(NAMES.requests("tumours"), b""),
        Message(NAMES.bulk("tumours"), b"\xff\xfe not json"),
        Message(NAMES.predictions("tumours"), b'{"type": "unknown"}'),
    ]
    good = request(new_id())

    with installation.sync():
        installation.publish(garbage[0], submitted(good), *garbage[1:])
        eventually(lambda: len(find(installation.database, Filter(), limit=10)) == 3)
        eventually(lambda: good["id"] in installation.reader.requests([good["id"]]))
        letters = find(installation.database, Filter(), limit=10)
        assert {letter.group_name: bytes(letter.value) for letter in letters if letter.value} == {
            NAMES.ledger_group: b"\xff\xfe not json",
            NAMES.store_group: b'{"type": "unknown"}',
        }
        assert all(letter.reason for letter in letters)

        producer, topics = installation.broker.producer(), {message.topic for message in garbage}
        redrive(installation.database, producer, NAMES, letters, topics, time.time())
        producer.close()
        eventually(lambda: len(find(installation.database, Filter(state="open"), limit=10)) == 3)

    again = find(installation.database, Filter(state="open"), limit=10)
    assert {letter.redrive for letter in again} == {1}
    assert {letter.origin_topic for letter in again} == {message.topic for message in garbage}


def test_the_watermark_passes_what_was_published(installation: Installation) -> None:
    with installation.sync():
        installation.publish(submitted(request(new_id())))
        published = time.time()
        eventually(lambda: (installation.reader.watermark() or 0.0) > published)


def test_a_file_that_is_away_loses_nothing(installation_on_sqlite: Installation) -> None:
    path = installation_on_sqlite.database.path
    assert path is not None
    hidden = path.with_name("hidden")
    events = [request(new_id()) for _ in range(50)]
    path.rename(hidden)

    with installation_on_sqlite.sync():
        installation_on_sqlite.publish(*[message for e in events for message in (submitted(e), predicted(e))])
        eventually(lambda: _claimed(installation_on_sqlite))
        hidden.rename(path)
        eventually(lambda: _finished(installation_on_sqlite) == len(events))
        eventually(lambda: _nothing_left(installation_on_sqlite))

    assert find(installation_on_sqlite.database, Filter(), limit=10) == []


def test_a_sink_that_fails_holds_its_predictions_back_and_loses_none(
    installation: Installation, caplog: pytest.LogCaptureFixture
) -> None:
    events = [request(new_id()) for _ in range(5)]
    mended, failed = threading.Event(), threading.Event()
    taken: list[dict[str, Any]] = []

    def sink(predictions: list[dict[str, Any]]) -> None:
        if not mended.is_set():
            failed.set()
            raise ConnectionError("away")
        taken.extend(predictions)

    with installation.sync(sinks={"mail": sink}):
        installation.publish(*[message for event in events for message in (submitted(event), predicted(event))])
        assert failed.wait(60)
        mended.set()
        eventually(lambda: {p["request_id"] for p in taken} == {event["id"] for event in events})
        eventually(lambda: _nothing_left(installation))

    assert "sink mail" in caplog.text
    assert find(installation.database, Filter(), limit=10) == []


def _finished(installation: Installation) -> int | None:
    with installation.database.read() as connection:
        return connection.exec_driver_sql("SELECT count(*) FROM requests WHERE status <> 'queued'").scalar()


def _nothing_left(installation: Installation) -> bool:
    return all(ready == 0 and in_flight == 0 for ready, in_flight in _lags(installation))


def _claimed(installation: Installation) -> bool:
    return all(in_flight > 0 for _, in_flight in _lags(installation))


def _lags(installation: Installation) -> list[tuple[int, int]]:
    admin = installation.broker.admin()
    try:
        lags = [
            admin.lag(NAMES.requests("tumours"), NAMES.ledger_group),
            admin.lag(NAMES.predictions("tumours"), NAMES.store_group),
        ]
    finally:
        admin.close()
    return [(lag.ready, lag.in_flight or 0) for lag in lags]
