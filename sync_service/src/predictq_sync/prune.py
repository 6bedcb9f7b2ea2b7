"""Retention: what is old enough is deleted, a chunk at a time, so that no writer waits long."""

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import ColumnElement, Connection, Table, and_, bindparam, delete, func, or_, select

from predictq.clock import wire_time
from predictq.settings import RetentionSettings
from predictq_sync.database import Database
from predictq_sync.jobs.forgetting import ForgetJobs, old_jobs
from predictq_sync.statements import among, json_ids
from predictq_sync.streams.forgetting import forget_completions, old_completions
from predictq_sync.tables import batches, dead_letters, deliveries, jobs, predictions, requests, webhooks

__all__ = ["Pruned", "Retention", "prune"]

log = logging.getLogger(__name__)

CHUNK = 1000
EVERY_SECONDS = 60.0
TICK_SECONDS = 0.1
"""How long one tick may go on deleting: the messages of the loop that it is called in wait for so long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pruned:
    """How many rows went, or with a dry run would go. A request's predictions go with it and are not counted.

    Of webhooks those go whose job is kept no longer.
    """

    requests: int
    batches: int
    dead_letters: int
    jobs: int = 0
    deliveries: int = 0
    webhooks: int = 0
    completions: int = 0
    """Rows of their order, each of which names many requests."""

    @property
    def most(self) -> int:
        """Of the table that lost most."""
        return max(
            self.requests,
            self.batches,
            self.dead_letters,
            self.jobs,
            self.deliveries,
            self.webhooks,
            self.completions,
        )

    def __add__(self, other: "Pruned") -> "Pruned":
        return Pruned(
            requests=self.requests + other.requests,
            batches=self.batches + other.batches,
            dead_letters=self.dead_letters + other.dead_letters,
            jobs=self.jobs + other.jobs,
            deliveries=self.deliveries + other.deliveries,
            webhooks=self.webhooks + other.webhooks,
            completions=self.completions + other.completions,
        )


NOTHING = Pruned(requests=0, batches=0, dead_letters=0)


def prune(
    database: Database,
    retention: RetentionSettings,
    now: float,
    *,
    forget_jobs: ForgetJobs,
    dry_run: bool = False,
    open_too: bool = True,
) -> Pruned:
    """Delete all that is older than its retention.

    A request counts from its last change of status, or, if it was never answered, from when it was made; without
    `open_too` those that still wait for an answer stay, however old they are, and so do pending deliveries.
    """
    over = wire_time(now - retention.requests_seconds)
    old = _old(retention, now, open_too=open_too)
    long_ago = wire_time(now - retention.completions_seconds)
    if dry_run:
        with database.read() as connection:
            return Pruned(
                jobs=old_jobs(database, over),
                completions=old_completions(connection, long_ago),
                **{
                    table.name: connection.execute(select(func.count()).select_from(table).where(is_old)).scalar_one()
                    for table, is_old in old.items()
                },
            )
    total = NOTHING
    while forgotten := forget_jobs(over):
        total += replace(NOTHING, jobs=forgotten)
    while True:
        chunk = _delete_chunk(database, old, long_ago)
        total += chunk
        if chunk.most < CHUNK:
            return total


class Retention:
    """Enforces the retention in the background: a while each time as long as there is some left, else once a minute.

    Open requests go too when they are old enough, for a table without an end would fill the disk.
    """

    def __init__(
        self,
        database: Database,
        retention: RetentionSettings,
        forget_jobs: ForgetJobs,
        *,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._retention = retention
        self._forget_jobs = forget_jobs
        self._clock = clock
        self._monotonic = monotonic
        self._due = float("-inf")

    def __call__(self) -> None:
        """Delete what there is time for, if it is due. Raises DatabaseUnavailable."""
        started = self._monotonic()
        if started < self._due:
            return
        now = self._clock()
        forgotten = self._forget_jobs(wire_time(now - self._retention.requests_seconds))
        old = _old(self._retention, now, open_too=True)
        long_ago = wire_time(now - self._retention.completions_seconds)
        pruned = chunk = replace(_delete_chunk(self._database, old, long_ago), jobs=forgotten)
        while chunk.most == CHUNK and self._monotonic() - started < TICK_SECONDS:
            chunk = _delete_chunk(self._database, old, long_ago)
            pruned += chunk
        if pruned.most:
            log.info(
                "retention: deleted %d jobs, %d requests, %d mini-batches, %d dead letters, %d deliveries, "
                "%d webhooks, %d rows of completions",
                pruned.jobs,
                pruned.requests,
                pruned.batches,
                pruned.dead_letters,
                pruned.deliveries,
                pruned.webhooks,
                pruned.completions,
            )
        if chunk.most < CHUNK and not forgotten:
            self._due = self._monotonic() + EVERY_SECONDS


def _old(retention: RetentionSettings, now: float, *, open_too: bool) -> Mapping[Table, ColumnElement[bool]]:
    made = wire_time(now - retention.requests_seconds)
    finished = requests.c.completed_at < made
    over = or_(requests.c.completed_at.is_(None), finished) if open_too else finished
    pushed_before = deliveries.c.created_at < wire_time(now - retention.deliveries_seconds)
    return {
        requests: and_(requests.c.created_at < made, over),
        batches: batches.c.finished_at < wire_time(now - retention.batches_seconds),
        dead_letters: dead_letters.c.dead_at < wire_time(now - retention.dead_letters_seconds),
        webhooks: and_(webhooks.c.job_id.is_not(None), webhooks.c.created_at < made, ~_ITS_JOB.exists()),
        deliveries: pushed_before if open_too else and_(pushed_before, deliveries.c.state != "pending"),
    }


def _delete_chunk(database: Database, old: Mapping[Table, ColumnElement[bool]], long_ago: str) -> Pruned:
    """Delete at most a thousand rows of each table, in one transaction."""
    with database.write() as connection:
        return Pruned(
            completions=forget_completions(connection, long_ago, CHUNK),
            **{table.name: _delete_some(connection, table, is_old) for table, is_old in old.items()},
        )


def _delete_some(connection: Connection, table: Table, old: ColumnElement[bool]) -> int:
    if table is not requests:
        return len(_delete(connection, table, old, CHUNK))
    gone = 0
    for endpoint in _endpoints(connection):
        ids = _delete(connection, requests, and_(requests.c.endpoint == endpoint, old), CHUNK - gone)
        connection.execute(_DELETE_PREDICTIONS, {"ids": json_ids(ids)})
        gone += len(ids)
        if gone == CHUNK:
            break
    return gone


def _delete(connection: Connection, table: Table, old: ColumnElement[bool], limit: int) -> Sequence[str]:
    # What another writer holds is not old for long, or will be here next time.
    query = select(table.c.id).where(old).limit(limit).with_for_update(skip_locked=True)
    ids = connection.execute(query).scalars().all()
    connection.execute(delete(table).where(among(table.c.id, bindparam("ids"))), {"ids": json_ids(ids)})
    return ids


def _endpoints(connection: Connection) -> Iterator[str]:
    """All endpoints that have requests, those that the settings no longer know too: one probe of the index each."""
    endpoint = ""
    while True:
        query = select(func.min(requests.c.endpoint)).where(requests.c.endpoint > endpoint)
        following = connection.execute(query).scalar()
        if following is None:
            return
        endpoint = following
        yield endpoint


_ITS_JOB = select(jobs.c.id).where(jobs.c.id == webhooks.c.job_id)
_DELETE_PREDICTIONS = delete(predictions).where(among(predictions.c.request_id, bindparam("ids")))
