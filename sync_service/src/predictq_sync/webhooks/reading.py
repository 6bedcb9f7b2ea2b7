"""Deliveries as operators see them: what was pushed, what came of it, and once more."""

import time
from collections.abc import Callable
from typing import Any

from pydantic_core import from_json
from sqlalchemy import Row, and_, bindparam, or_, select, update
from typing_extensions import TypedDict

from predictq.clock import wire_time
from predictq.errors import UserMistake
from predictq_sync.database import Database
from predictq_sync.tables import deliveries
from predictq_sync.webhooks.named import could_be_id

__all__ = ["STATES", "Attempt", "DeliveryBody", "DeliveryPage", "DeliveryReader"]

STATES = ("pending", "delivered", "failed")


class Attempt(TypedDict):
    """One try."""

    at: str
    status: int | None
    """Null where there was no answer."""
    error: str | None
    seconds: float


class DeliveryBody(TypedDict):
    """A delivery."""

    id: str
    webhook: str | None
    """Null for the callback of a request."""
    url: str
    event: str
    subject: str
    """Id of the request or job."""
    state: str
    attempts: int
    """Tries that have ended, since it was last replayed."""
    history: list[Attempt]
    created_at: str
    due_at: str | None
    """When the next try is due; null once it is over."""
    finished_at: str | None


class DeliveryPage(TypedDict):
    """Deliveries, the latest first."""

    deliveries: list[DeliveryBody]
    next: str | None
    """Cursor of the next page."""


class DeliveryReader:
    """Reads and replays deliveries. Blocks; may be used by any thread."""

    def __init__(self, database: Database, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._clock = clock

    def one(self, delivery_id: str) -> DeliveryBody | None:
        """One; None where there is none of that id."""
        if not could_be_id(delivery_id):
            return None
        with self._database.read() as connection:
            row = connection.execute(_ONE, {"delivery": delivery_id}).one_or_none()
        return None if row is None else _body(row)

    def page(
        self,
        *,
        state: str | None = None,
        webhook: str | None = None,
        subject: str | None = None,
        cursor: str | None = None,
        limit: int,
    ) -> DeliveryPage:
        """Some of them, the latest first. Raises UserMistake for a state or cursor that is none."""
        query = select(deliveries).order_by(deliveries.c.created_at.desc(), deliveries.c.id.desc()).limit(limit + 1)
        if state is not None:
            if state not in STATES:
                raise UserMistake(f"state {state[:40]!r} is none of a delivery; {', '.join(STATES)} are")
            query = query.where(deliveries.c.state == state)
        if any(each is not None and not could_be_id(each) for each in (webhook, subject)):
            return {"deliveries": [], "next": None}
        if webhook is not None:
            query = query.where(deliveries.c.webhook_id == webhook)
        if subject is not None:
            query = query.where(deliveries.c.subject == subject)
        if cursor is not None:
            at, last = _of_cursor(cursor)
            older = and_(deliveries.c.created_at == at, deliveries.c.id < last)
            query = query.where(or_(deliveries.c.created_at < at, older))
        with self._database.read() as connection:
            rows = connection.execute(query).all()
        more = rows[limit - 1] if len(rows) > limit else None
        return {
            "deliveries": [_body(row) for row in rows[:limit]],
            "next": f"{more.created_at}~{more.id}" if more is not None else None,
        }

    def replay(self, delivery_id: str) -> DeliveryBody | None:
        """Deliver it again, under the same id and with a new schedule; None where there is none of that id.

        One that is pending is only tried at once, unless a process is at it.
        """
        if not could_be_id(delivery_id):
            return None
        with self._database.write() as connection:
            connection.execute(_REPLAY, {"delivery": delivery_id, "now": wire_time(self._clock())})
        return self.one(delivery_id)


def _body(row: Row[*tuple[Any, ...]]) -> DeliveryBody:
    return {
        "id": row.id,
        "webhook": row.webhook_id,
        "url": row.url,
        "event": row.event,
        "subject": row.subject,
        "state": row.state,
        "attempts": row.attempts,
        "history": from_json(row.history),
        "created_at": row.created_at,
        "due_at": row.due_at if row.state == "pending" else None,
        "finished_at": row.finished_at,
    }


def _of_cursor(cursor: str) -> tuple[str, str]:
    at, _, last = cursor.partition("~")
    if not could_be_id(at) or not could_be_id(last):
        raise UserMistake("the cursor is none that was given out; start without one")
    return at, last


_ONE = select(deliveries).where(deliveries.c.id == bindparam("delivery"))
_REPLAY = (
    update(deliveries)
    .where(deliveries.c.id == bindparam("delivery"), deliveries.c.claim.is_(None))
    .values(state="pending", attempts=0, due_at=bindparam("now"), finished_at=None)
)
