"""The outbox: what ends is written to it for everyone who is to be told, in the transaction in which it ends."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from pydantic_core import from_json
from sqlalchemy import Connection, Row, bindparam, select

from predictq.ids import derived_id
from predictq.messages import Callback
from predictq.push.events import JOB_PROGRESS, is_wanted
from predictq_sync.rollup import Finished
from predictq_sync.statements import BulkInsert, Insert, among, json_ids
from predictq_sync.tables import deliveries, jobs, predictions, requests
from predictq_sync.webhooks.places import place_for
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
            _told(each, f"prediction.{row.status}", row.id, now)
            for row, each in pairs
            if each.condition is None or each.condition.holds(outputs.get(row.id, ()))
        ]
        for row in ended:
            if row.callback is not None:
                rows += _called_back(from_json(row.callback), f"prediction.{row.status}", row.id, now)
        return self._write(connection, rows)

    def job(self, connection: Connection, job_id: str, status: str, now: str) -> int:
        """Write what is to be told of a job that is `completed` or `failed`; how much that is."""
        row = connection.execute(_OF_JOB, {"id": job_id}).one()
        return self._write(connection, self._of_job(connection, row, f"job.{status}", now))

    def wants_progress(self, connection: Connection, job: Row[*tuple[Any, ...]]) -> bool:
        """Whether anyone is to be told how far a job is; the job has `id`, `endpoint` and `asked`."""
        return bool(self._of_job(connection, job, JOB_PROGRESS, ""))

    def progress(self, connection: Connection, job: Row[*tuple[Any, ...]], step: int, now: str) -> int:
        """Write that a job has gone on; how much that is. Once a `step`, and to nobody who has not taken the last one:
        data are read when they are sent, so the one that waits will tell it.
        """
        waiting = set(connection.execute(_WAITING, {"job": job.id}).scalars())
        rows = self._of_job(connection, job, JOB_PROGRESS, now, str(step))
        return self._write(connection, [row for row in rows if row.webhook_id not in waiting])

    def _of_job(
        self, connection: Connection, job: Row[*tuple[Any, ...]], event: str, now: str, *step: str
    ) -> list[DeliveryRow]:
        rows = [
            _told(each, event, job.id, now, *step)
            for each in self._subscriptions(connection)
            if each.wants(event, job.endpoint, job.id)
        ]
        if job.asked is not None and (callback := from_json(job.asked).get("callback")) is not None:
            rows += _called_back(callback, event, job.id, now, *step)
        return rows

    def _write(self, connection: Connection, rows: Sequence[DeliveryRow]) -> int:
        return self._insert(connection, rows) if rows else 0


def pending(
    url: str, event: str, subject: str, now: str, *step: str, webhook_id: str | None, place: str
) -> DeliveryRow:
    """A delivery that is due at once. Its id is that of this event to this subscription, whoever writes it; `step`
    tells events apart that come more than once.
    """
    identifier = derived_id("delivery", subject, event, webhook_id or CALLBACK, *step)
    return DeliveryRow(identifier, webhook_id, url, place, event, subject, "pending", 0, "[]", now, now, None, None)


def _told(to: Subscription, event: str, subject: str, now: str, *step: str) -> DeliveryRow:
    place = place_for(to.url, to.id, batch=to.batch)
    return pending(to.url, event, subject, now, *step, webhook_id=to.id, place=place)


def _called_back(callback: Callback, event: str, subject: str, now: str, *step: str) -> list[DeliveryRow]:
    if not is_wanted(event, callback.get("events", ())):
        return []
    url = callback["url"]
    try:
        return [pending(url, event, subject, now, *step, webhook_id=None, place=place_for(url))]
    except ValueError:
        return []  # no URL: the message came past our own producers


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
_OF_JOB = select(jobs.c.id, jobs.c.endpoint, jobs.c.asked).where(jobs.c.id == bindparam("id"))
_WAITING = select(deliveries.c.webhook_id).where(
    deliveries.c.subject == bindparam("job"), deliveries.c.event == JOB_PROGRESS, deliveries.c.state == "pending"
)
_OUTPUTS = select(predictions.c.request_id, predictions.c.outputs).where(
    among(predictions.c.request_id, bindparam("ids")), predictions.c.visible
)
