"""Who is told what: the rows of `webhooks`, and a copy of them that costs the path of a message nothing."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic_core import from_json
from sqlalchemy import Connection, Row, select

from predictq.clock import wire_time
from predictq.push.conditions import Condition
from predictq.push.events import is_wanted
from predictq_sync.database import Database
from predictq_sync.tables import webhooks

__all__ = ["Subscription", "Subscriptions", "read_subscriptions"]

FRESH_SECONDS = 2.0
"""How long the copy is used before it is read again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """A webhook."""

    id: str
    url: str
    events: frozenset[str]
    """Empty for every end."""
    endpoint: str | None
    job_id: str | None
    condition: Condition | None
    enabled: bool
    batch: bool
    """Whether it takes several events in one push."""
    secret: str | None = field(repr=False)
    """None for that of the settings."""
    old_secret: str | None = field(repr=False)
    old_secret_until: str | None

    def wants(self, event: str, endpoint: str, job_id: str | None = None) -> bool:
        """Whether it is told of this, its condition aside; `job_id` is that of the job that an event is of."""
        return (
            self.enabled
            and is_wanted(event, self.events)
            and self.endpoint in {None, endpoint}
            and self.job_id in {None, job_id}
            and (self.condition is None or job_id is None)
        )

    def secrets(self, of_settings: Sequence[str], now: float) -> Sequence[str]:
        """Those that sign, the newest first."""
        if self.secret is None:
            return of_settings
        until = self.old_secret_until
        if self.old_secret is None or (until is not None and until <= wire_time(now)):
            return (self.secret,)
        return (self.secret, self.old_secret)


def read_subscriptions(connection: Connection) -> Sequence[Subscription]:
    """All webhooks as the database has them, those that are disabled too."""
    return [_subscription(row) for row in connection.execute(_ALL)]


class Subscriptions:
    """A copy of them, which any thread may read."""

    def __init__(self, database: Database, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._database = database
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._by_id: Mapping[str, Subscription] | None = None
        self._due = float("-inf")

    def current(self, connection: Connection) -> Sequence[Subscription]:
        """As they were at the last look; the first one is taken by this connection, if nobody has looked before."""
        if self._by_id is None:
            self._by_id = {each.id: each for each in read_subscriptions(connection)}
        return tuple(self._by_id.values())

    def by_id(self) -> Mapping[str, Subscription]:
        """The same, by their ids; none before anybody has looked."""
        return self._by_id or {}

    def refresh(self, *, at_once: bool = False) -> None:
        """Look again, if it is time to or `at_once`. Blocks; raises DatabaseUnavailable."""
        with self._lock:
            if not at_once and self._monotonic() < self._due:
                return
            with self._database.read() as connection:
                self._by_id = {each.id: each for each in read_subscriptions(connection)}
            self._due = self._monotonic() + FRESH_SECONDS


def _subscription(row: Row[*tuple[Any, ...]]) -> Subscription:
    return Subscription(
        id=row.id,
        url=row.url,
        events=frozenset(from_json(row.events)),
        endpoint=row.endpoint,
        job_id=row.job_id,
        condition=None if row.condition is None else Condition(row.condition),
        enabled=row.state == "enabled",
        batch=row.batch,
        secret=row.secret,
        old_secret=row.old_secret,
        old_secret_until=row.old_secret_until,
    )


_ALL = select(webhooks).order_by(webhooks.c.id)
