"""What clients see of a request."""

from typing import Any

from tests.unit.sync.conftest import INSTANCES, NOW, prediction, request, rows_of

from predictq.clock import wire_time
from predictq.ids import new_id
from predictq.messages import hash_of
from predictq_sync.database import Database
from predictq_sync.ledger import Ledger
from predictq_sync.reading import Reader
from predictq_sync.store import Store


def test_a_request_reads_as_its_predictions_come(ledger: Ledger, store: Store, database: Database) -> None:
    reader, request_id = Reader(database), new_id()
    assert reader.requests([request_id]) == {}
    ledger.handle([request(request_id, deployments=["linear", "forest"], metadata={"ward": "3b"}, deadline=NOW + 60)])
    queued: Any = {
        "id": request_id,
        "endpoint": "tumours",
        "status": "queued",
        "created_at": wire_time(NOW),
        "deadline": wire_time(NOW + 60),
        "metadata": {"ward": "3b"},
        "predictions": [],
    }
    assert reader.requests([request_id]) == {request_id: queued}

    store.handle([prediction(request_id)])
    linear = {
        "deployment": "linear",
        "model_version": "7",
        "status": "succeeded",
        "outputs": [0.5],
        "errors": [],
        "batch_id": "batch-1",
        "created_at": wire_time(NOW + 1),
    }
    assert reader.requests([request_id]) == {request_id: {**queued, "predictions": [linear]}}

    errors = [{"index": None, "type": "model_error", "detail": "no"}]
    store.handle([prediction(request_id, deployment="forest", status="failed", outputs=[], errors=errors)])
    forest = {**linear, "deployment": "forest", "status": "failed", "outputs": [], "errors": errors}
    assert reader.requests([request_id]) == {
        request_id: {**queued, "status": "partial", "predictions": [forest, linear]}
    }


def test_a_shadows_answer_is_never_shown(ledger: Ledger, store: Store, database: Database) -> None:
    request_id = new_id()
    ledger.handle([request(request_id)])
    store.handle([prediction(request_id, deployment="shadow", shadow=True)])

    assert Reader(database).requests([request_id])[request_id]["predictions"] == []
    assert len(rows_of(database, "predictions", "request_id")) == 1


def test_many_are_read_at_once(ledger: Ledger, database: Database) -> None:
    ids = [new_id() for _ in range(1000)]
    ledger.handle([request(request_id) for request_id in ids])

    assert set(Reader(database).requests([*ids, new_id(), "'; --"])) == set(ids)


def test_the_hash_that_an_id_stands_for(ledger: Ledger, store: Store, database: Database) -> None:
    reader, accepted, predicted = Reader(database), new_id(), new_id()
    ledger.handle([request(accepted)])
    store.handle([prediction(predicted)])

    assert reader.hash_of(accepted) == reader.hash_of(predicted) == hash_of(INSTANCES)
    assert reader.hash_of(new_id()) is None


def test_cancelling_ends_what_is_open_and_keeps_what_was_answered(
    ledger: Ledger, store: Store, database: Database
) -> None:
    reader, request_id = Reader(database), new_id()
    ledger.handle([request(request_id, deployments=["linear", "forest"])])
    store.handle([prediction(request_id)])

    body = reader.cancel(request_id, NOW + 5)

    assert body is not None
    assert body["status"] == "partial"
    assert [(p["deployment"], p["status"], p["model_version"]) for p in body["predictions"]] == [
        ("forest", "cancelled", None),
        ("linear", "succeeded", "7"),
    ]
    late = store.handle([prediction(request_id, deployment="forest", redrive=1)])
    assert late.also == ()
    assert reader.requests([request_id]) == {request_id: body}


def test_cancelling_what_is_finished_changes_nothing(ledger: Ledger, store: Store, database: Database) -> None:
    reader, request_id = Reader(database), new_id()
    ledger.handle([request(request_id)])
    store.handle([prediction(request_id)])
    before = reader.requests([request_id])[request_id]

    assert reader.cancel(request_id, NOW + 5) == before
    assert reader.cancel(request_id, NOW + 6) == before


def test_what_the_ledger_does_not_have_cannot_be_cancelled_yet(store: Store, database: Database) -> None:
    reader, predicted = Reader(database), new_id()
    store.handle([prediction(predicted)])

    assert reader.cancel(new_id(), NOW) is None
    assert reader.cancel(predicted, NOW) is None
