"""PostgreSQL's shorter ways: taken for what is common, and taken back without a trace for all else."""

from collections.abc import Sequence
from typing import Any

import psycopg
import pytest
from tests.unit.sync.conftest import make_ledger, make_store, prediction, request, rows_of

from predictq.brokers import Record
from predictq.ids import new_id
from predictq_sync.database import Database
from predictq_sync.store import Store
from predictq_sync.writing import postgresql as module

OTHERS = [[3.0, 4.0]]


@pytest.fixture
def copied(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was sent by COPY."""
    sent: list[str] = []
    write = psycopg.Copy.write

    def kept(copy: Any, text: bytes) -> None:
        sent.append(text.decode())
        write(copy, text)

    monkeypatch.setattr(psycopg.Copy, "write", kept)
    return sent


def _unusual(case: str, request_id: str) -> tuple[Sequence[Record], Sequence[Record]]:
    """Requests that are there before, and predictions that complete no request of their own."""
    plain = request(request_id)
    two = request(request_id, deployments=["linear", "forest"])
    return {
        "nobody knows the request": ([], [prediction(request_id)]),
        "other instances": ([plain], [prediction(request_id, instances=OTHERS)]),
        "a shadow": ([plain], [prediction(request_id, deployment="forest", shadow=True)]),
        "a shadow beside it": (
            [plain],
            [prediction(request_id), prediction(request_id, deployment="forest", shadow=True)],
        ),
        "not asked": ([plain], [prediction(request_id, deployment="forest")]),
        "one of two": ([two], [prediction(request_id)]),
        "both of two": ([two], [prediction(request_id), prediction(request_id, deployment="forest")]),
        "twice": ([plain], [prediction(request_id), prediction(request_id, status="failed", outputs=[])]),
        "redriven at once": (
            [plain],
            [prediction(request_id, status="failed", outputs=[]), prediction(request_id, redrive=1)],
        ),
    }[case]


CASES = (
    "nobody knows the request",
    "other instances",
    "a shadow",
    "a shadow beside it",
    "not asked",
    "one of two",
    "both of two",
    "twice",
    "redriven at once",
)


@pytest.mark.parametrize("case", CASES)
def test_what_is_unusual_gives_the_same_rows_after_what_is_usual(postgresql: Database, case: str) -> None:
    fresh, primed = make_store(postgresql), _primed(postgresql)
    left = []
    for store in (fresh, primed):
        ids = sorted(new_id() for _ in range(3))
        before, answers = _unusual(case, ids[1])
        make_ledger(postgresql).handle([request(ids[0]), *before, request(ids[2])])
        outcome = store.handle([prediction(ids[0]), *answers, prediction(ids[2])])
        left.append((_rows(postgresql, ids), len(outcome.also), store.conflicts))

    assert left[0] == left[1]


def test_answers_that_come_again_change_nothing(postgresql: Database) -> None:
    request_id = new_id()
    make_ledger(postgresql).handle([request(request_id)])
    store = _primed(postgresql)
    store.handle([prediction(request_id)])
    written = _rows(postgresql, [request_id])
    store = _primed(postgresql)

    assert store.handle([prediction(request_id, status="failed", outputs=[])]).also == ()
    assert _rows(postgresql, [request_id]) == written


def test_an_answer_that_is_there_although_its_request_is_open_is_not_written_again(postgresql: Database) -> None:
    request_id = new_id()
    make_ledger(postgresql).handle([request(request_id)])
    make_store(postgresql).handle([prediction(request_id, shadow=True)])

    assert _primed(postgresql).handle([prediction(request_id)]).also == ()
    assert [row["status"] for row in _rows(postgresql, [request_id])[0]] == ["queued"]


def test_what_is_usual_is_copied(postgresql: Database, copied: list[str]) -> None:
    store = _primed(postgresql)
    ids = [new_id() for _ in range(3)]
    make_ledger(postgresql).handle([request(request_id) for request_id in ids])
    store.handle([prediction(request_id) for request_id in ids])

    assert [text.count("\n") for text in copied[-2:]] == [3, 3]
    assert [row["status"] for row in _rows(postgresql, ids)[0]] == ["succeeded"] * 3


def test_a_request_that_comes_to_be_known_meanwhile_is_entered_all_the_same(
    postgresql: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = sorted(new_id() for _ in range(3))
    make_store(postgresql).handle([prediction(ids[1])])
    monkeypatch.setattr(module, "any_known", lambda *_: False)

    outcome = make_ledger(postgresql).handle([request(request_id) for request_id in ids])

    assert len(outcome.also) == 1
    assert [row["status"] for row in _rows(postgresql, ids)[0]] == ["queued", "succeeded", "queued"]


def _primed(database: Database) -> Store:
    """A store that has just completed requests one by one, and takes the next to be such too."""
    store, request_id = make_store(database), new_id()
    make_ledger(database).handle([request(request_id)])
    store.handle([prediction(request_id)])
    return store


def _rows(database: Database, ids: Sequence[str]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Of these requests, their ids replaced by their places."""
    return (
        [{**row, "id": ids.index(row["id"])} for row in rows_of(database, "requests", "id") if row["id"] in ids],
        [
            {**row, "request_id": ids.index(row["request_id"])}
            for row in rows_of(database, "predictions", "request_id, deployment")
            if row["request_id"] in ids
        ],
    )
