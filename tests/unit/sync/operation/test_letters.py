"""Dead letters as operators see them."""

from typing import Any

import pytest
from tests.unit.sync.conftest import LIMITS, NAMES, NOW, request

from predictq.brokers import Record
from predictq.brokers.copies import dead_letter
from predictq.clock import wire_time
from predictq.errors import UserMistake
from predictq.ids import new_id
from predictq_sync.database import Database
from predictq_sync.dead_letters import DeadLetterKeeper, request_of
from predictq_sync.operation import newest
from predictq_sync.operation.letters import LetterReader

WORKERS = NAMES.workers("tumours", "linear")


@pytest.fixture
def keeper(database: Database) -> DeadLetterKeeper:
    return DeadLetterKeeper(database=database, limits=LIMITS, clock=lambda: NOW)


def _died(value: bytes, *, group: str = WORKERS, position: str = "17", now: float = NOW) -> Record:
    origin = Record(NAMES.requests("tumours"), 2, position, value, b"key", {"attempt": "4"}, NOW - 9, 1)
    message = dead_letter(origin, group, "model said no", now)
    return Record(message.topic, 0, "0", message.value, message.key, message.headers, now, 0)


def _page(database: Database, *, limit: int = 10, **filters: Any) -> Any:
    return LetterReader(database, NAMES).page(limit=limit, **filters)


def test_a_dead_letter_is_listed_without_and_shown_with_its_body(keeper: DeadLetterKeeper, database: Database) -> None:
    request_id = new_id()
    value = request(request_id).value
    keeper.handle([_died(value)])

    [listed] = _page(database)["dead_letters"]
    assert listed == {
        "id": listed["id"],
        "endpoint": "tumours",
        "group": WORKERS,
        "deployment": "linear",
        "reason": "model said no",
        "attempts": 4,
        "redeliveries": 1,
        "redrive": 0,
        "origin": {"topic": NAMES.requests("tumours"), "partition": 2, "position": "17"},
        "request_id": request_id,
        "published_at": wire_time(NOW - 9),
        "dead_at": wire_time(NOW),
        "state": "open",
        "redriven_at": None,
        "bytes": len(value),
    }
    assert LetterReader(database, NAMES).one(listed["id"]) == {
        **listed,
        "headers": {"attempt": "4"},
        "value": value.decode(),
        "truncated": False,
    }


def test_a_group_of_no_deployment_has_none(keeper: DeadLetterKeeper, database: Database) -> None:
    keeper.handle([_died(b"no json", group=NAMES.ledger_group)])

    [letter] = _page(database)["dead_letters"]
    assert (letter["deployment"], letter["request_id"]) == (None, None)


@pytest.mark.parametrize(
    ("value", "shown", "truncated"),
    [
        (b"", "", False),
        (b"\xff\x00 \x1b[31m", "\ufffd\0 \x1b[31m", False),
        (b"a" * 65_536, "a" * 65_536, False),
        (b"a" * 65_535 + "ä".encode(), "a" * 65_535, True),
        (b"a" * 65_535 + b"\xc3", "a" * 65_535 + "\ufffd", False),
    ],
    ids=["empty", "any bytes", "as much as is shown", "cut in a character", "ends in half a character"],
)
def test_a_body_is_shown_as_text_as_far_as_it_goes(
    keeper: DeadLetterKeeper, database: Database, value: bytes, shown: str, truncated: bool
) -> None:
    keeper.handle([_died(value)])
    [listed] = _page(database)["dead_letters"]

    letter: Any = LetterReader(database, NAMES).one(listed["id"])

    assert letter["value"] == shown
    assert (letter["truncated"], letter["bytes"]) == (truncated, len(value))


def test_they_are_found_by_state_and_endpoint_newest_first(keeper: DeadLetterKeeper, database: Database) -> None:
    keeper.handle([_died(b"x", position=str(number), now=NOW + number) for number in range(5)])

    first = _page(database, endpoint="tumours", state="open", limit=3)
    second = _page(database, endpoint="tumours", state="open", limit=3, cursor=first["next"])

    assert [each["origin"]["position"] for each in first["dead_letters"]] == ["4", "3", "2"]
    assert [each["origin"]["position"] for each in second["dead_letters"]] == ["1", "0"]
    assert second["next"] is None
    assert _page(database, state="redriven")["dead_letters"] == _page(database, endpoint="fraud")["dead_letters"] == []


def test_the_latest_are_found_however_far_back_they_are(
    keeper: DeadLetterKeeper, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(newest, "LOOKED_AT", 3)
    groups = [WORKERS] * 2 + [NAMES.ledger_group] * 9 + [WORKERS]
    died = [_died(b"x", group=each, position=str(at), now=NOW - at) for at, each in enumerate(groups)]
    keeper.handle(died)

    def positions(limit: int) -> list[str]:
        latest = LetterReader(database, NAMES).latest(endpoint="tumours", group=WORKERS, limit=limit)
        return [each["origin"]["position"] for each in latest]

    assert positions(10) == ["0", "1", "11"]
    assert positions(1) == ["0"]
    assert positions(0) == []


def test_a_letter_whose_time_was_written_by_hand_is_no_obstacle(keeper: DeadLetterKeeper, database: Database) -> None:
    letters = [_died(b"x", position=str(number)) for number in range(2)]
    keeper.handle([each._replace(headers={**each.headers, "dead-at": "~ \0 morgen|ä"}) for each in letters])

    first = _page(database, limit=1)
    second = _page(database, limit=1, cursor=first["next"])
    assert len({each["id"] for page in (first, second) for each in page["dead_letters"]}) == 2


def test_a_state_that_is_none_is_refused(database: Database) -> None:
    with pytest.raises(UserMistake, match="'shut' is none of a dead letter; open, redriven are"):
        _page(database, state="shut")


@pytest.mark.parametrize("letter_id", ["", "no-such", "\0", "x" * 10_240, "ä"])
def test_an_id_that_is_none_is_not_found(database: Database, letter_id: str) -> None:
    assert LetterReader(database, NAMES).one(letter_id) is None


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"[" * 100_000,
        b"\xff",
        b'{"type":"predictq.request.v1"}',
        b'{"type":"predictq.request.v1","id":"mine"}',
        b'{"type":"predictq.request.v1","id":["x"]}',
        b'{"type":"predictq.chunk.v1","id":"01a20926-9364-7c79-bfe6-b64123b7a98e"}',
        b'{"type":"predictq.prediction.v1","data":[]}',
    ],
)
def test_what_is_no_request_of_ours_has_no_request(value: bytes) -> None:
    assert request_of(value) is None
