"""Up to when the ledger is complete (DESIGN §3.4)."""

import time
from collections.abc import Callable, Sequence

from sqlalchemy import bindparam, delete, func, or_, select
from sqlalchemy.dialects import postgresql, sqlite

from predictq.brokers import Admin, Lag
from predictq_sync.database import Database
from predictq_sync.tables import watermarks

__all__ = ["Watermark", "read_watermark"]

EVERY_SECONDS = 1.0


class Watermark:
    """Everything published before it is in the ledger. Written by every ledger process, one row for each topic: on
    RabbitMQ a process can tell it only of those topics that it reads itself just now.

    A row goes back only when it lies in the future: it was written by a clock that ran ahead and was set right, and
    until then it would vouch for requests that the ledger has not read.
    """

    def __init__(
        self,
        *,
        database: Database,
        admin: Callable[[], Admin],
        group: str,
        topics: Sequence[str],
        clock: Callable[[], float],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._open_admin = admin
        self._admin: Admin | None = None
        self._group = group
        self._topics = topics
        self._clock = clock
        self._monotonic = monotonic
        self._due = float("-inf")
        self._begun = False
        insert = (sqlite if database.dialect == "sqlite" else postgresql).insert(watermarks)
        new = insert.values(name=bindparam("name"), at=bindparam("at"))
        self._begin = new.on_conflict_do_nothing()
        self._raise = new.on_conflict_do_update(
            index_elements=[watermarks.c.name],
            set_={"at": new.excluded.at},
            where=or_(watermarks.c.at < new.excluded.at, watermarks.c.at > bindparam("now")),
        )

    def advance(self) -> None:
        """Ask the broker and store the answers, at most once a second. Raises Unavailable when either is away."""
        if self._monotonic() < self._due or not self._topics:
            return
        self._due = self._monotonic() + EVERY_SECONDS
        # In one order everywhere, so that two processes wait for, and never lock, each other.
        told = [(topic, at) for topic, at in sorted(self._ask().items()) if at is not None]
        with self._database.write() as connection:
            if not self._begun:
                # A topic that is there no more, or not read yet, must not speak for those that are.
                connection.execute(delete(watermarks).where(watermarks.c.name.not_in(self._topics)))
                connection.execute(self._begin, [{"name": topic, "at": 0.0} for topic in sorted(self._topics)])
            now = self._clock()
            if told:
                connection.execute(self._raise, [{"name": topic, "at": at, "now": now} for topic, at in told])
        self._begun = True

    def _ask(self) -> dict[str, float | None]:
        """Of each topic the publish time of the group's oldest unsettled message, else the moment before asking; None:
        cannot be told."""
        if self._admin is None:
            self._admin = self._open_admin()
        before = self._clock()
        lags = self._admin.lags(self._topics, self._group)
        return {topic: _complete_until(lag, before) for topic, lag in zip(self._topics, lags, strict=True)}


def _complete_until(lag: Lag, asked_at: float) -> float | None:
    if lag.oldest_published_at is not None:
        return min(asked_at, lag.oldest_published_at)
    return None if lag.ready or lag.in_flight != 0 else asked_at


def read_watermark(database: Database) -> float | None:
    """Unix seconds before which the ledger has everything; None where nobody can tell."""
    with database.read() as connection:
        return connection.execute(_READ).scalar() or None


_READ = select(func.min(watermarks.c.at))
