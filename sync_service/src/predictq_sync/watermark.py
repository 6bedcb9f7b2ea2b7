"""Up to when the ledger is complete (DESIGN §3.4)."""

import time
from collections.abc import Callable, Sequence

from sqlalchemy import bindparam, or_, select
from sqlalchemy.dialects import postgresql, sqlite

from predictq.brokers import Admin
from predictq_sync.database import Database
from predictq_sync.tables import watermarks

__all__ = ["LEDGER", "Watermark", "read_watermark"]

LEDGER = "ledger"
EVERY_SECONDS = 1.0


class Watermark:
    """Everything published before it is in the ledger. Written by every ledger process.

    It goes back only when it lies in the future: it was written by a clock that ran ahead and was set right, and until
    then it would vouch for requests that the ledger has not read.
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
        insert = (sqlite if database.dialect == "sqlite" else postgresql).insert(watermarks)
        new = insert.values(name=bindparam("name"), at=bindparam("at"))
        self._raise = new.on_conflict_do_update(
            index_elements=[watermarks.c.name],
            set_={"at": new.excluded.at},
            where=or_(watermarks.c.at < new.excluded.at, watermarks.c.at > bindparam("now")),
        )

    def advance(self) -> None:
        """Ask the broker and store the answer, at most once a second. Raises Unavailable when either is away."""
        if self._monotonic() < self._due:
            return
        self._due = self._monotonic() + EVERY_SECONDS
        at = self._ask()
        if at is not None:
            with self._database.write() as connection:
                connection.execute(self._raise, {"name": LEDGER, "at": at, "now": self._clock()})

    def _ask(self) -> float | None:
        """Publish time of the group's oldest unsettled message, else the moment before asking; None: cannot be told."""
        if self._admin is None:
            self._admin = self._open_admin()
        before = self._clock()
        oldest = before
        for topic in self._topics:
            lag = self._admin.lag(topic, self._group)
            if lag.oldest_published_at is not None:
                oldest = min(oldest, lag.oldest_published_at)
            elif lag.ready or lag.in_flight:
                return None
        return oldest


def read_watermark(database: Database) -> float | None:
    """Unix seconds; None before any ledger ran."""
    with database.read() as connection:
        return connection.execute(_READ).scalar()


_READ = select(watermarks.c.at).where(watermarks.c.name == LEDGER)
