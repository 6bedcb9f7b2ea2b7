"""The keeper of dead letters: from their topics into a table, where every command finds them."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pydantic_core import from_json, to_json

from predictq.brokers import Done, Message, Record
from predictq.clock import wire_time
from predictq.ids import derived_id, is_uuid
from predictq.loop import Limits, Outcome
from predictq.names import endpoint_of
from predictq_sync.database import Database
from predictq_sync.statements import BulkInsert, Insert
from predictq_sync.tables import dead_letters

__all__ = ["DeadLetterKeeper", "request_of"]

COLUMNS = tuple(column.name for column in dead_letters.columns if column.name != "redriven_at")
_DONE = Done()


class DeadLetterKeeper:
    """Writes dead letters: whatever comes is stored, for nobody would bury what this cannot."""

    def __init__(
        self,
        *,
        database: Database,
        limits: Limits,
        housekeeping: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`housekeeping` is called on each tick: this loop is idle nearly always, so others' chores wait here."""
        self._database = database
        self._limits = limits
        self._housekeeping = housekeeping
        self._clock = clock
        self._insert = BulkInsert(database.dialect, dead_letters, COLUMNS, _first_stays)

    def limits(self) -> Limits:
        return self._limits

    def handle(self, records: Sequence[Record]) -> Outcome:
        now = wire_time(self._clock())
        rows = [_row(record, now) for record in records]
        with self._database.write() as connection:
            self._insert(connection, rows)
        return Outcome([_DONE] * len(records))

    def buried(self, record: Record, reason: str) -> Sequence[Message]:  # noqa: ARG002 - nothing stands for it
        return ()

    def tick(self) -> None:
        self._housekeeping()


def _row(record: Record, now: str) -> tuple[Any, ...]:
    """The row of a dead letter; of one that carries no origin, because someone put it there by hand, its own place."""
    headers = record.headers
    group = _plain(headers.get("dead-group", ""))
    topic = _plain(headers.get("dead-topic", record.topic))
    partition = _number(headers, "dead-partition", record.partition)
    position = _plain(headers.get("dead-position", record.position))
    published_at = _plain(headers.get("dead-published-at", wire_time(record.published_at)))
    own = {name: value for name, value in headers.items() if not name.startswith("dead-")}
    return (
        # The time tells apart what stands at the same place of a log that was deleted and begun anew.
        derived_id(topic, str(partition), position, group, published_at),
        endpoint_of(record.topic),
        group,
        _plain(headers.get("dead-reason", "unknown")),
        _number(headers, "dead-attempts", 1),
        _number(headers, "dead-redeliveries", 0),
        _number(headers, "redrive", 0),
        topic,
        partition,
        position,
        record.key,
        record.value,
        to_json({_plain(name): _plain(value) for name, value in own.items()}).decode(),
        published_at,
        _plain(headers.get("dead-at", now)),
        "open",
        request_of(record.value),
    )


def request_of(value: bytes) -> str | None:
    """Id of the request that a message is, or that it answers; None where it is neither, or nobody can read it."""
    try:
        event = from_json(value)
        match event:
            case {"type": "predictq.request.v1", "id": str(found)} if is_uuid(found):
                return found
            case {"type": "predictq.prediction.v1", "data": {"request_id": str(found)}} if is_uuid(found):
                return found
    except (ValueError, RecursionError):
        pass
    return None


def _plain(text: str) -> str:
    """Text that both databases take: no NUL, no lone surrogates."""
    return text.replace("\0", "\\0").encode("utf-8", "backslashreplace").decode()


def _number(headers: Mapping[str, str], name: str, default: int) -> int:
    text = headers.get(name, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else default


def _first_stays(insert: Any) -> Insert:
    statement: Insert = insert.on_conflict_do_nothing()
    return statement
