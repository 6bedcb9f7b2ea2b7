"""The ledger keeps every request once, and says what is no request."""

import pytest
from tests.unit.sync.conftest import INSTANCES, NAMES, NOW, prediction, record, request, rows_of

from predictq.brokers import Dead, Done
from predictq.clock import wire_time
from predictq.ids import new_id
from predictq.messages import COMMIT, REQUEST, hash_of, referring_to
from predictq_sync.database import Database
from predictq_sync.ledger import Ledger
from predictq_sync.store import Store


def test_a_request_becomes_a_queued_row(ledger: Ledger, database: Database) -> None:
    request_id = new_id()
    made = request(
        request_id, deployments=["linear", "forest"], deadline=NOW + 60, metadata={"ward": "3b", "note": "ä ✓"}
    )

    outcome = ledger.handle([made])

    assert list(outcome.verdicts) == [Done()]
    assert outcome.also == ()
    assert rows_of(database, "requests", "id") == [
        {
            "id": request_id,
            "endpoint": "tumours",
            "deployments": '["linear","forest"]',
            "owed": 2,
            "status": "queued",
            "instances_hash": hash_of(INSTANCES),
            "metadata": '{"ward":"3b","note":"ä ✓"}',
            "created_at": wire_time(NOW),
            "deadline": wire_time(NOW + 60),
            "completed_at": None,
            "callback": None,
        }
    ]


def test_a_request_that_comes_again_changes_nothing(ledger: Ledger, database: Database) -> None:
    made = request(new_id())
    ledger.handle([made, made])
    before = rows_of(database, "requests", "id")

    ledger.handle([made])

    assert rows_of(database, "requests", "id") == before
    assert len(before) == 1
    assert ledger.conflicts == 0


def test_one_whose_instances_are_elsewhere_is_the_same_row_and_nothing_is_fetched(
    ledger: Ledger, database: Database
) -> None:
    nowhere = "s3://nowhere/requests/2026-11-30T15/x.json"
    both = [request(new_id()), request(new_id())]
    referring = [
        each._replace(value=REQUEST.encode(referring_to(nowhere, REQUEST.decode(each.value)))) for each in both
    ]

    first = ledger.handle([both[0], referring[1]])
    rows = rows_of(database, "requests", "id")
    again = ledger.handle([referring[0], both[1]])

    assert list(first.verdicts) == list(again.verdicts) == [Done(), Done()]
    assert [row["instances_hash"] for row in rows] == [hash_of(INSTANCES)] * 2
    assert rows_of(database, "requests", "id") == rows
    assert ledger.conflicts == 0


def test_an_id_that_is_used_again_with_other_instances_keeps_the_first(ledger: Ledger, database: Database) -> None:
    request_id = new_id()
    first, second = request(request_id), request(request_id, instances=[[9.0]], deployments=["forest"])

    ledger.handle([first, second])
    ledger.handle([second])

    assert ledger.conflicts == 2
    assert [row["deployments"] for row in rows_of(database, "requests", "id")] == ['["linear"]']


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"", "message: Invalid JSON"),
        (b"\xff\x00", "message: Invalid JSON"),
        (b"[]", "message: Input should be an object"),
        (b'{"specversion":"1.0"}', "id: Field required"),
    ],
)
def test_what_is_no_request_is_dead_with_its_reason_and_its_neighbours_are_written(
    ledger: Ledger, database: Database, value: bytes, reason: str
) -> None:
    good = [request(new_id()), request(new_id())]

    outcome = ledger.handle([good[0], record(NAMES.bulk("tumours"), value), good[1]])

    first, dead, last = outcome.verdicts
    assert isinstance(dead, Dead)
    assert dead.reason.startswith(reason)
    assert (first, last) == (Done(), Done())
    assert len(rows_of(database, "requests", "id")) == 2


def test_a_request_on_the_topic_of_another_endpoint_is_dead(ledger: Ledger, database: Database) -> None:
    stray = request(new_id(), endpoint="fraud")._replace(topic=NAMES.requests("tumours"))

    (verdict,) = ledger.handle([stray]).verdicts

    assert verdict == Dead("data/endpoint: is 'fraud' on the topic of 'tumours'")
    assert rows_of(database, "requests", "id") == []


def test_a_time_that_is_not_ours_is_written_as_ours(ledger: Ledger, database: Database) -> None:
    ours = request(new_id())
    offset = ours._replace(value=ours.value.replace(wire_time(NOW).encode(), b"2026-11-30T17:04:05+02:00"))
    other = request(new_id())
    none = other._replace(value=other.value.replace(wire_time(NOW).encode(), b"yesterday"))

    ledger.handle([offset])
    ledger.handle([none])

    assert {row["created_at"] for row in rows_of(database, "requests", "id")} == {
        "2026-11-30T15:04:05.000Z",
        wire_time(none.published_at),
    }


def test_a_request_that_comes_after_its_predictions_is_completed_and_announced(
    ledger: Ledger, store: Store, database: Database
) -> None:
    request_id = new_id()
    early = store.handle([prediction(request_id), prediction(request_id, deployment="forest")])
    assert early.also == ()
    assert [row["status"] for row in rows_of(database, "requests", "id")] == ["queued"]

    outcome = ledger.handle([request(request_id, deployments=["forest", "linear"])])

    (announced,) = outcome.also
    assert announced.topic == NAMES.commits
    assert COMMIT.decode(announced.value)["data"]["ids"] == [request_id]
    (row,) = rows_of(database, "requests", "id")
    assert (row["status"], row["completed_at"], row["created_at"]) == ("succeeded", wire_time(NOW), wire_time(NOW))


def test_a_request_of_other_instances_than_its_prediction_is_dropped(
    ledger: Ledger, store: Store, database: Database
) -> None:
    request_id = new_id()
    store.handle([prediction(request_id, instances=[[9.0]])])

    outcome = ledger.handle([request(request_id)])

    assert outcome.also == ()
    assert ledger.conflicts == 1
    assert rows_of(database, "requests", "id")[0]["owed"] is None


def test_a_deployment_that_is_listed_twice_owes_one_answer(ledger: Ledger, store: Store, database: Database) -> None:
    request_id = new_id()
    ledger.handle([request(request_id, deployments=["linear", "linear"])])

    store.handle([prediction(request_id)])

    assert [row["status"] for row in rows_of(database, "requests", "id")] == ["succeeded"]
