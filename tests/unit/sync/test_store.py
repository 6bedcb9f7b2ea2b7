"""The store keeps one answer a (request, deployment), and settles the status of requests."""

from collections.abc import Sequence
from typing import Any

import pytest
from tests.unit.sync.conftest import NAMES, NOW, batch, make_store, prediction, record, request, rows_of

from predictq.brokers import Dead, Done, Message, Record
from predictq.clock import wire_time
from predictq.errors import Unavailable
from predictq.ids import new_id
from predictq.messages import COMMIT
from predictq_sync.database import Database
from predictq_sync.ledger import Ledger
from predictq_sync.store import Store


def test_a_prediction_is_stored_as_it_came(store: Store, database: Database) -> None:
    request_id = new_id()
    outputs = [{"label": "benign", "probabilities": {"benign": 0.75, "malignant": 0.25}}, None]
    errors = [{"index": 1, "type": "invalid_input", "detail": "1: too short — “2” of 30"}]

    store.handle([prediction(request_id, status="partial", outputs=outputs, errors=errors)])

    assert rows_of(database, "predictions", "request_id") == [
        {
            "request_id": request_id,
            "deployment": "linear",
            "endpoint": "tumours",
            "model_version": "7",
            "status": "partial",
            "outputs": '[{"label":"benign","probabilities":{"benign":0.75,"malignant":0.25}},null]',
            "errors": '[{"index":1,"type":"invalid_input","detail":"1: too short — “2” of 30"}]',
            "batch_id": "batch-1",
            "redrive": 0,
            "visible": 1,
            "created_at": wire_time(NOW + 1),
        }
    ]


def test_not_a_number_is_stored_as_json_has_it(store: Store, database: Database) -> None:
    made = prediction(new_id(), outputs=["here"])
    store.handle([made._replace(value=made.value.replace(b'"here"', b'NaN,[Infinity],{"a":-Infinity}'))])

    assert rows_of(database, "predictions", "request_id")[0]["outputs"] == '[null,[null],{"a":null}]'


@pytest.mark.parametrize(
    ("answers", "status"),
    [
        ({}, "queued"),
        ({"linear": "succeeded"}, "queued"),
        ({"linear": "succeeded", "forest": "succeeded"}, "succeeded"),
        ({"linear": "failed", "forest": "failed"}, "failed"),
        ({"linear": "expired", "forest": "expired"}, "expired"),
        ({"linear": "succeeded", "forest": "failed"}, "partial"),
        ({"linear": "partial", "forest": "succeeded"}, "partial"),
        ({"linear": "succeeded", "unlisted": "succeeded"}, "queued"),
        ({"linear": "succeeded", "forest": "succeeded", "unlisted": "failed"}, "succeeded"),
    ],
)
def test_a_request_rolls_up_the_deployments_that_owe_it_an_answer(
    ledger: Ledger, store: Store, database: Database, answers: dict[str, str], status: str
) -> None:
    request_id = new_id()
    ledger.handle([request(request_id, deployments=["linear", "forest"])])

    announced: list[str] = []
    for deployment, answer in answers.items():
        announced += _ids(store.handle([prediction(request_id, deployment=deployment, status=answer)]).also)

    assert [row["status"] for row in rows_of(database, "requests", "id")] == [status]
    assert announced == ([] if status == "queued" else [request_id])


def test_a_shadow_answers_for_nobody(ledger: Ledger, store: Store, database: Database) -> None:
    request_id = new_id()
    ledger.handle([request(request_id)])

    outcome = store.handle([prediction(request_id, deployment="linear", shadow=True)])

    assert outcome.also == ()
    assert [row["status"] for row in rows_of(database, "requests", "id")] == ["queued"]
    assert [row["visible"] for row in rows_of(database, "predictions", "request_id")] == [0]


def test_one_commit_announces_all_that_it_finished_at_once(ledger: Ledger, store: Store) -> None:
    ids = sorted(new_id() for _ in range(600))
    ledger.handle([request(request_id) for request_id in ids])

    outcome = store.handle([prediction(request_id) for request_id in ids])

    assert list(outcome.verdicts) == [Done()] * 600
    assert len(outcome.also) == 1
    assert outcome.also[0].topic == NAMES.commits
    assert sorted(_ids(outcome.also)) == ids


def test_an_answer_that_comes_again_is_neither_a_second_row_nor_announced(
    ledger: Ledger, store: Store, database: Database
) -> None:
    request_id = new_id()
    ledger.handle([request(request_id)])
    store.handle([prediction(request_id)])
    before = rows_of(database, "predictions", "request_id")

    outcome = store.handle([prediction(request_id), prediction(request_id, status="failed", redrive=3, outputs=[])])

    assert outcome.also == ()
    assert rows_of(database, "predictions", "request_id") == before


@pytest.mark.parametrize("together", [True, False])
def test_a_redrive_replaces_what_had_failed(
    ledger: Ledger, store: Store, database: Database, *, together: bool
) -> None:
    request_id = new_id()
    ledger.handle([request(request_id)])
    failed = prediction(request_id, status="failed", outputs=[])
    again = prediction(request_id, redrive=1)
    announced: list[str] = []

    for records in [[failed, again, failed]] if together else [[failed], [again], [failed]]:
        announced += _ids(store.handle(records).also)

    (row,) = rows_of(database, "predictions", "request_id")
    assert (row["status"], row["redrive"], row["outputs"]) == ("succeeded", 1, "[0.5]")
    assert announced == [request_id] * (1 if together else 2)
    assert [row["status"] for row in rows_of(database, "requests", "id")] == ["succeeded"]


def test_an_answer_to_other_instances_is_dropped_and_counted(ledger: Ledger, store: Store, database: Database) -> None:
    known, unknown = new_id(), new_id()
    ledger.handle([request(known)])

    outcome = store.handle(
        [
            prediction(known, instances=[[9.0]]),
            prediction(unknown),
            prediction(unknown, deployment="forest", instances=[[9.0]]),
        ]
    )

    assert list(outcome.verdicts) == [Done()] * 3
    assert store.conflicts == 2
    kept = [(row["request_id"], row["deployment"]) for row in rows_of(database, "predictions", "request_id")]
    assert kept == [(unknown, "linear")]


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (record(NAMES.predictions("tumours"), b"{"), "message: Invalid JSON"),
        (record(NAMES.predictions("tumours"), b'{"type":"predictq.request.v1"}'), "message: Input tag"),
        (prediction(new_id(), status="queued"), "predictq.prediction.v1/data/status: Input should be"),
        (prediction(new_id(), deployment="No Name"), "predictq.prediction.v1/data/deployment: String should match"),
        (prediction("\0"), "predictq.prediction.v1/data/request_id: String should match"),
        (
            prediction(new_id(), endpoint="fraud")._replace(topic=NAMES.predictions("tumours")),
            "data/endpoint: is 'fraud' on a topic of 'tumours'",
        ),
    ],
)
def test_what_is_no_prediction_is_dead_with_its_reason_and_its_neighbours_are_written(
    store: Store, database: Database, bad: Record, reason: str
) -> None:
    outcome = store.handle([prediction(new_id()), bad, batch("batch-1")])

    first, dead, last = outcome.verdicts
    assert isinstance(dead, Dead)
    assert dead.reason.startswith(reason)
    assert (first, last) == (Done(), Done())
    assert len(rows_of(database, "predictions", "request_id")) == 1


def test_mini_batches_are_kept_once(store: Store, database: Database) -> None:
    store.handle([batch("batch-1"), batch("batch-2"), batch("batch-1")])
    store.handle([batch("batch-2", now=NOW + 9)])

    rows = rows_of(database, "batches", "id")
    assert [row["id"] for row in rows] == ["batch-1", "batch-2"]
    assert rows[1] == {
        "id": "batch-2",
        "endpoint": "tumours",
        "deployment": "linear",
        "model_version": "7",
        "worker": "host-1-abc",
        "requests": 3,
        "size": 30,
        "ingested_at": wire_time(NOW - 2),
        "started_at": wire_time(NOW - 1),
        "finished_at": wire_time(NOW),
        "status": "succeeded",
        "finished_second": int(NOW),
        "predict_seconds": 1.0,
        "latency_seconds": 2.0,
    }


def test_what_was_finished_is_announced_although_what_follows_the_commit_failed_once(
    ledger: Ledger, database: Database
) -> None:
    failures = [Unavailable("sink mail: away")]
    committed: list[int] = []

    def after_commit(rows: Sequence[Any]) -> None:
        if failures:
            raise failures.pop()
        committed.append(len(rows))

    store = make_store(database, after_commit=after_commit)
    request_id = new_id()
    ledger.handle([request(request_id)])
    records = [prediction(request_id)]

    with pytest.raises(Unavailable, match="away"):
        store.handle(records)
    outcome = store.handle(records)

    assert _ids(outcome.also) == [request_id]
    assert committed == [1]
    assert store.handle(records).also == ()


@pytest.mark.parametrize("by", ["ledger", "store"])
def test_what_a_killed_process_may_not_have_announced_is_announced_when_it_comes_again(
    ledger: Ledger, store: Store, by: str
) -> None:
    done, waiting = new_id(), new_id()
    records = {
        "ledger": [request(done), request(waiting)],
        "store": [prediction(done), prediction(waiting, deployment="unlisted")],
    }
    ledger.handle(records["ledger"])
    store.handle(records["store"])
    handler = ledger if by == "ledger" else store

    assert handler.handle(records[by]).also == (), "comes again, but was not given back by anyone"
    outcome = handler.handle([each._replace(redeliveries=1) for each in records[by]])

    assert _ids(outcome.also) == [done]


def _ids(also: Sequence[Message]) -> list[str]:
    return [request_id for message in also for request_id in COMMIT.decode(message.value)["data"]["ids"]]
