"""The outbox is written with what it tells of, and costs those nothing who never asked."""

from typing import Any

import pytest
from sqlalchemy.event import listen
from tests.unit.sync.conftest import prediction, request, rows_of
from tests.unit.sync.webhooks.conftest import Pushing
from tests.unit.sync.webhooks.receiver import TheReceiver
from tests.unit.sync.webhooks.test_delivering import keeper, make, spec

from predictq.errors import DatabaseUnavailable
from predictq.ids import new_id

URL = "https://example.org/hook"


def test_where_nobody_asked_no_statement_is_added(pushing: Pushing) -> None:
    pushing.subscriptions.refresh()
    said: list[str] = []
    listen(pushing.database.engine, "before_cursor_execute", lambda *given: said.append(given[2]))
    for _ in range(3):
        pushing.finish()

    assert said
    assert [each for each in said if "deliveries" in each or "webhooks" in each] == []


def test_what_ends_before_anyone_has_looked_is_told_too(pushing: Pushing) -> None:
    keeper(pushing).make(spec(URL))
    assert pushing.subscriptions.by_id() == {}
    pushing.finish()
    assert [row["url"] for row in pushing.deliveries()] == [URL]


def test_no_result_without_its_push(pushing: Pushing) -> None:
    request_id = new_id()
    pushing.ledger.handle([request(request_id, callback={"url": URL})])
    with pushing.database.write() as connection:
        connection.exec_driver_sql("ALTER TABLE deliveries RENAME TO elsewhere")

    with pytest.raises(DatabaseUnavailable):
        pushing.store.handle([prediction(request_id)])

    assert [row["status"] for row in rows_of(pushing.database, "requests", "id")] == ["queued"]
    assert rows_of(pushing.database, "predictions", "request_id") == []


def test_the_last_of_several_deployments_completes_it_once(pushing: Pushing, receiver: TheReceiver) -> None:
    make(pushing, receiver.url)
    request_id = new_id()
    pushing.ledger.handle([request(request_id, deployments=["linear", "forest"], callback={"url": URL})])
    pushing.store.handle([prediction(request_id, deployment="linear")])
    assert pushing.deliveries() == []
    for _ in range(2):
        pushing.store.handle([prediction(request_id, deployment="forest", status="failed", outputs=[])])

    assert [(row["event"], row["url"]) for row in sorted(pushing.deliveries(), key=_by_url)] == [
        ("prediction.partial", receiver.url),
        ("prediction.partial", URL),
    ]


def test_a_redrive_that_mends_it_is_told_too(pushing: Pushing) -> None:
    request_id = pushing.finish({"url": URL}, status="failed", outputs=[])
    pushing.store.handle([prediction(request_id, redrive=1)])

    assert sorted(row["event"] for row in pushing.deliveries()) == ["prediction.failed", "prediction.succeeded"]


def test_a_shadow_is_told_to_nobody(pushing: Pushing, receiver: TheReceiver) -> None:
    make(pushing, receiver.url, when="output > 0")
    request_id = new_id()
    pushing.ledger.handle([request(request_id)])
    pushing.store.handle([prediction(request_id, deployment="dark", shadow=True, outputs=[1])])
    pushing.store.handle([prediction(request_id, outputs=[-1])])

    assert pushing.deliveries() == []


@pytest.mark.parametrize("count", [1, 1000])
def test_many_that_end_in_one_commit_are_all_told(pushing: Pushing, receiver: TheReceiver, count: int) -> None:
    make(pushing, receiver.url)
    ids = sorted(new_id() for _ in range(count))
    for _ in range(2):
        pushing.ledger.handle([request(each) for each in ids])
        pushing.store.handle([prediction(each) for each in ids])

    assert sorted(row["subject"] for row in pushing.deliveries()) == ids


def _by_url(row: dict[str, Any]) -> str:
    return str(row["url"])
