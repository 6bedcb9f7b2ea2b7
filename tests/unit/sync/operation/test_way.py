"""Everything that is known of one request."""

from typing import Any

from tests.unit.sync.conftest import LIMITS, NAMES, NOW, batch, prediction, request

from predictq.brokers import Record
from predictq.brokers.copies import dead_letter
from predictq.clock import wire_time
from predictq.ids import new_id
from predictq_sync.database import Database
from predictq_sync.dead_letters import DeadLetterKeeper
from predictq_sync.ledger import Ledger
from predictq_sync.operation.way import WayReader
from predictq_sync.store import Store
from predictq_sync.tables import job_requests


def _died(record: Record, reason: str) -> Record:
    message = dead_letter(record, NAMES.workers("tumours", "linear"), reason, NOW + 2)
    return Record(message.topic, 0, "0", message.value, message.key, message.headers, NOW + 2, 0)


def test_an_id_that_the_database_does_not_have_has_no_way(database: Database) -> None:
    assert WayReader(database, NAMES).way(new_id()) is None


def test_the_way_of_a_request_that_waits(ledger: Ledger, database: Database) -> None:
    request_id = new_id()
    ledger.handle([request(request_id, deployments=["linear", "forest"], metadata={"ward": "3b"}, deadline=NOW + 60)])

    way: Any = WayReader(database, NAMES).way(request_id)

    assert way == {
        "id": request_id,
        "endpoint": "tumours",
        "status": "queued",
        "created_at": wire_time(NOW),
        "deadline": wire_time(NOW + 60),
        "completed_at": None,
        "metadata": {"ward": "3b"},
        "job": None,
        "predictions": [],
        "owed": ["linear", "forest"],
        "dead_letters": [],
        "deliveries": [],
    }


def test_answers_come_with_their_mini_batch_and_shadows_are_shown(
    ledger: Ledger, store: Store, database: Database
) -> None:
    request_id = new_id()
    ledger.handle([request(request_id, deployments=["linear", "forest"])])
    store.handle([prediction(request_id), prediction(request_id, deployment="silent", shadow=True)])
    reader = WayReader(database, NAMES)
    before: Any = reader.way(request_id)
    store.handle([batch("batch-1", now=NOW + 1)])
    after: Any = reader.way(request_id)

    assert after["owed"] == ["forest"]
    assert [(each["deployment"], each["visible"], each["batch"]) for each in before["predictions"]] == [
        ("linear", True, None),
        ("silent", False, None),
    ]
    assert after["predictions"][0] == {
        "deployment": "linear",
        "visible": True,
        "status": "succeeded",
        "model_version": "7",
        "outputs": [0.5],
        "errors": [],
        "redrive": 0,
        "created_at": wire_time(NOW + 1),
        "batch": {
            "id": "batch-1",
            "worker": "host-1-abc",
            "requests": 3,
            "size": 30,
            "ingested_at": wire_time(NOW - 1),
            "started_at": wire_time(NOW),
            "finished_at": wire_time(NOW + 1),
            "status": "succeeded",
        },
    }


def test_a_shadow_of_the_same_name_as_one_that_owes_does_not_answer_for_it(
    ledger: Ledger, store: Store, database: Database
) -> None:
    """It was a shadow when it answered, and visible when the request was submitted."""
    request_id = new_id()
    ledger.handle([request(request_id)])
    store.handle([prediction(request_id, shadow=True)])

    way: Any = WayReader(database, NAMES).way(request_id)
    assert way["owed"] == ["linear"]


def test_what_died_on_the_way_is_told(ledger: Ledger, database: Database) -> None:
    request_id, other = new_id(), new_id()
    ledger.handle([request(request_id), request(other)])
    keeper = DeadLetterKeeper(database=database, limits=LIMITS, clock=lambda: NOW)
    keeper.handle([_died(request(request_id), "the model said no"), _died(prediction(request_id), "cannot be read")])
    keeper.handle([_died(request(other), "not ours")])

    way: Any = WayReader(database, NAMES).way(request_id)

    assert {each["reason"] for each in way["dead_letters"]} == {"the model said no", "cannot be read"}
    assert {each["deployment"] for each in way["dead_letters"]} == {"linear"}


def test_a_request_of_a_job_tells_its_rows_once(ledger: Ledger, store: Store, database: Database) -> None:
    request_id, job_id = new_id(), new_id()
    ledger.handle([request(request_id)])
    store.handle([prediction(request_id)])
    with database.write() as connection:
        # Twice: the file changed while it was read, and was cut anew.
        for chunk in (2, 3):
            row = {"job_id": job_id, "chunk": chunk, "first_row": 400, "request_id": request_id, "rows": 100}
            connection.execute(job_requests.insert(), row)

    way: Any = WayReader(database, NAMES).way(request_id)

    assert way["job"] == {"id": job_id, "chunk": 3, "first_row": 400, "rows": 100}
    assert len(way["predictions"]) == 1


def test_deliveries_are_told_as_their_own_route_tells_them(ledger: Ledger, store: Store, database: Database) -> None:
    request_id = new_id()
    ledger.handle([request(request_id, callback={"url": "https://example.test/hook"})])
    store.handle([prediction(request_id)])

    way: Any = WayReader(database, NAMES).way(request_id)

    assert [(each["url"], each["state"], each["subject"]) for each in way["deliveries"]] == [
        ("https://example.test/hook", "pending", request_id)
    ]
