"""The outbox: what ends is written to it for everyone who is to be told, in the transaction in which it ends."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from pydantic_core import from_json
from sqlalchemy import Connection, Row, bindparam, select

from predictq.ids import derived_id
from predictq.push.targets import place_of
from predictq_sync.rollup import Finished
from predictq_sync.statements import BulkInsert, Insert, among, json_ids
from predictq_sync.tables import deliveries, jobs, predictions, requests
from predictq_sync.webhooks.subscriptions import Subscription, read_subscriptions

__all__ = ["TEST_EVENT", "DeliveryRow", "Outbox", "pending"]

TEST_EVENT = "webhook.test"
CALLBACK = "callback"
"""Stands for the subscription that a request brings with itself."""


class DeliveryRow(NamedTuple):
    """A row of `deliveries`, its fields in the order of the table."""

    id: str
    webhook_id: str | None
    url: str
    place: str
    event: str
    subject: str
    state: str
    attempts: int
    history: str
    created_at: str
    due_at: str
    claim: str | None
    finished_at: str | None


class Outbox:
    """Called within a transaction that writes, after the rows of `requests` or `jobs` have changed."""

    def __init__(
        self,
        dialect: str,
        subscriptions: Callable[[Connection], Sequence[Subscription]] = read_subscriptions,
        ring: Callable[[], None] = lambda: None,
    ) -> None:
        """`ring` wakes whoever delivers; without it deliveries are found by looking now and then."""
        self._subscriptions = subscriptions
        self._insert = BulkInsert(dialect, deliveries, DeliveryRow._fields, _first_stays)
        self.ring = ring
        """To be called after the commit of a transaction in which something was written."""

    def requests(self, connection: Connection, finished: Finished, now: str) -> int:
        """Write what is to be told of requests whose status changed; how much that is.

        Where nobody has subscribed and no request has a callback, the database is asked nothing.
        """
        if not finished.ids:
            return 0
        told = [each for each in self._subscriptions(connection) if each.enabled and each.job_id is None]
        if not told and not finished.called_back:
            return 0
        ended = connection.execute(_ENDED, {"ids": json_ids(finished.ids)}).all()
        pairs = [(row, each) for row in ended for each in told if each.wants(f"prediction.{row.status}", row.endpoint)]
        outputs = _outputs(connection, [row.id for row, each in pairs if each.condition is not None])
        rows = [
            pending(each.url, f"prediction.{row.status}", row.id, now, webhook_id=each.id)
            for row, each in pairs
            if each.condition is None or each.condition.holds(outputs.get(row.id, ()))
        ]
        rows += [called for row in ended if (called := _called_back(row, now)) is not None]
        return self._write(connection, rows)

    def job(self, connection: Connection, job_id: str, status: str, now: str) -> int:
        """Write what is to be told of a job that is `completed` or `failed`; how much that is."""
        told = self._subscriptions(connection)
        if not told:
            return 0
        event = f"job.{status}"
        endpoint = connection.execute(_OF_JOB, {"id": job_id}).scalar_one()
        return self._write(
            connection,
            [
                pending(each.url, event, job_id, now, webhook_id=each.id)
                for each in told
                if each.wants(event, endpoint, job_id)
            ],
        )

    def _write(self, connection: Connection, rows: Sequence[DeliveryRow]) -> int:
        return self._insert(connection, rows) if rows else 0


def pending(url: str, event: str, subject: str, now: str, *, webhook_id: str | None) -> DeliveryRow:
    """A delivery that is due at once. Its id is that of this event to this subscription, whoever writes it."""
    identifier = derived_id("delivery", subject, event, webhook_id or CALLBACK)
    place = place_of(url)
    return DeliveryRow(identifier, webhook_id, url, place, event, subject, "pending", 0, "[]", now, now, None, None)


def _called_back(row: Row[*tuple[Any, ...]], now: str) -> DeliveryRow | None:
    if row.callback is None:
        return None
    callback = from_json(row.callback)
    event = f"prediction.{row.status}"
    if event not in callback.get("events", [event]):
        return None
    try:
        return pending(callback["url"], event, row.id, now, webhook_id=None)
    except ValueError:
        return None  # no URL: the message came past our own producers


def _outputs(connection: Connection, ids: Sequence[str]) -> Mapping[str, Sequence[Any]]:
    """All outputs that the client sees, by request."""
    found: dict[str, list[Any]] = {}
    if ids:
        for request_id, outputs in connection.execute(_OUTPUTS, {"ids": json_ids(ids)}):
            found.setdefault(request_id, []).extend(from_json(outputs))
    return found


def _first_stays(insert: Any) -> Insert:
    statement: Insert = insert.on_conflict_do_nothing()
    return statement


_ENDED = select(requests.c.id, requests.c.endpoint, requests.c.status, requests.c.callback).where(
    among(requests.c.id, bindparam("ids"))
)
_OF_JOB = select(jobs.c.endpoint).where(jobs.c.id == bindparam("id"))
_OUTPUTS = select(predictions.c.request_id, predictions.c.outputs).where(
    among(predictions.c.request_id, bindparam("ids")), predictions.c.visible
)
