"""Pages from the newest back: all rows once, whatever the condition, and bounded work for each page."""

import random
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from tests.unit.sync.conftest import NOW, prediction, request

from predictq.clock import wire_time
from predictq.errors import UserMistake
from predictq.ids import new_id
from predictq_sync.database import Database
from predictq_sync.ledger import Ledger
from predictq_sync.operation import newest
from predictq_sync.operation.requests import RequestReader
from predictq_sync.store import Store
from predictq_sync.tables import requests

ENDPOINTS = ("tumours", "fraud", "empty")
Stored = Sequence[tuple[str, str, str, float]]
"""Id, endpoint, status, made at."""


@pytest.fixture
def few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(newest, "LOOKED_AT", 12)


def _store(database: Database, rows: Stored) -> None:
    made: list[dict[str, Any]] = [
        {
            "id": request_id,
            "endpoint": endpoint,
            "deployments": '["linear"]',
            "owed": 1,
            "status": status,
            "instances_hash": "",
            "created_at": wire_time(at),
        }
        for request_id, endpoint, status, at in rows
    ]
    with database.write() as connection:
        connection.execute(requests.insert(), made)


@pytest.fixture
def stored(database: Database) -> Stored:
    """Bursts of requests that were made at the same moment, most of one endpoint, a few of which failed."""
    luck = random.Random(7)
    rows = [
        (
            new_id(),
            luck.choice(ENDPOINTS[:1] * 4 + ENDPOINTS[1:2]),
            "failed" if luck.random() < 0.05 else "succeeded",
            NOW + number // 9,
        )
        for number in range(120)
    ]
    _store(database, rows)
    return rows


def _expected(stored: Stored, holds: Callable[[str, str], bool]) -> list[str]:
    return [row[0] for row in sorted(stored, key=lambda row: (row[3], row[0]), reverse=True) if holds(row[1], row[2])]


def _walked(database: Database, endpoints: Sequence[str], status: str | None, limit: int) -> tuple[list[str], int]:
    """All ids, page by page, and how many pages that were."""
    reader, found, cursor, pages = RequestReader(database), list[str](), None, 0
    while True:
        page = reader.page(endpoints, status=status, cursor=cursor, limit=limit)
        assert len(page["predictions"]) <= limit
        found += [each["id"] for each in page["predictions"]]
        pages, cursor = pages + 1, page["next"]
        if cursor is None:
            return found, pages


@pytest.mark.usefixtures("few_at_a_time")
@pytest.mark.parametrize("limit", [3, 200])
@pytest.mark.parametrize("status", [None, "failed", "succeeded"])
def test_every_row_is_on_one_page_in_its_order(
    database: Database, stored: Stored, status: str | None, limit: int
) -> None:
    for endpoints in [ENDPOINTS, ("tumours",), ("fraud",), ("empty",), ()]:
        found, _ = _walked(database, endpoints, status, limit)
        assert found == _expected(stored, lambda e, s, of=endpoints: e in of and status in {None, s})  # type: ignore[misc]


@pytest.mark.usefixtures("few_at_a_time")
def test_a_page_without_a_row_says_where_the_next_begins(database: Database, stored: Stored) -> None:
    page = RequestReader(database).page(("tumours",), status="cancelled", cursor=None, limit=3)

    assert page["predictions"] == []
    assert page["next"] is not None
    found, pages = _walked(database, ("tumours",), "cancelled", 3)
    assert found == []
    assert pages == sum(row[1] == "tumours" for row in stored) // 12 + 1


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "x",
        "ä",
        "bm8",
        "WzEsMl0",
        "WyJhIiwiYiIsImMiXQ",
        "WyJcdTAwMDAiLCJhIl0",  # a NUL
        "WyJcdWQ4MDAiLCJhIl0",  # half a surrogate pair
        "A" * 10_000,
        "\0",
    ],
)
def test_a_cursor_that_was_never_given_out_is_refused(cursor: str) -> None:
    with pytest.raises(UserMistake, match="start without one"):
        newest.Place.parse(cursor)


def test_any_number_of_endpoints_is_asked_at_once(database: Database, stored: Stored) -> None:
    many = [*(f"other-{number}" for number in range(500)), "tumours"]

    page = RequestReader(database).page(many, status="failed", cursor=None, limit=200)

    assert [each["id"] for each in page["predictions"]] == _expected(
        stored, lambda e, s: (e, s) == ("tumours", "failed")
    )


def test_a_status_that_is_none_is_refused(database: Database) -> None:
    with pytest.raises(UserMistake, match="'done' is none of a request; queued, "):
        RequestReader(database).page(ENDPOINTS, status="done", cursor=None, limit=3)


def test_what_did_not_succeed_is_told_with_the_first_reason_that_clients_see(
    ledger: Ledger, store: Store, database: Database
) -> None:
    good, bad, long, late = (new_id() for _ in range(4))
    ledger.handle([request(each, deployments=["forest", "linear"]) for each in (good, bad, long)])
    ledger.handle([request(late)])
    store.handle(
        [
            prediction(good, deployment="forest"),
            prediction(good),
            prediction(bad, deployment="forest"),
            prediction(bad, status="failed", outputs=[], errors=[_error("no such mood"), _error("another")]),
            prediction(
                bad, deployment="a-shadow", shadow=True, status="failed", outputs=[], errors=[_error("of a shadow")]
            ),
            prediction(long, deployment="forest", status="failed", outputs=[], errors=[_error("é" * 1000)]),
            prediction(long, status="failed", outputs=[], errors=[_error("the second")]),
        ]
    )

    found = RequestReader(database).page(ENDPOINTS, status=None, cursor=None, limit=10)["predictions"]

    assert {each["id"]: each["reason"] for each in found} == {
        good: None,
        bad: "no such mood",
        long: "é" * 200,
        late: None,
    }


def _error(detail: str) -> dict[str, Any]:
    return {"index": 0, "type": "error", "detail": detail}
