"""Webhooks as their owners see them: made, listed, tested, switched off, given a new secret, deleted."""

import time
from collections.abc import Callable, Sequence
from typing import Any, NotRequired

from pydantic_core import from_json, to_json
from sqlalchemy import Connection, Row, bindparam, delete, func, select, update
from typing_extensions import TypedDict

from predictq.clock import wire_time
from predictq.errors import UserMistake
from predictq.ids import new_id
from predictq.push.secrets import new_secret
from predictq_sync.database import Database
from predictq_sync.tables import deliveries, jobs, webhooks
from predictq_sync.webhooks.named import could_be_id
from predictq_sync.webhooks.outbox import TEST_EVENT, Outbox, pending
from predictq_sync.webhooks.places import place_for

__all__ = ["CannotChange", "WebhookBody", "WebhookKeeper", "WebhookSpec"]

MOST = 1000
"""Webhooks that may be made: each is compared with everything that ends."""


class CannotChange(UserMistake):
    """A webhook that cannot be changed so; the message says why."""


class WebhookSpec(TypedDict):
    """A webhook as it is asked for, checked."""

    url: str
    events: Sequence[str]
    endpoint: str | None
    job: str | None
    when: str | None
    secret: str | None
    batch: bool


class WebhookBody(TypedDict):
    """A webhook."""

    id: str
    url: str
    events: list[str]
    """Empty for all but `job.progress`."""
    endpoint: str | None
    job: str | None
    when: str | None
    batch: bool
    """Whether one push holds several events."""
    source: str
    """`settings` or `api`."""
    state: str
    """`enabled` or `disabled`."""
    reason: str | None
    """Why it is disabled."""
    created_at: str
    secret: NotRequired[str]
    """Told once, where it was made."""


class WebhookKeeper:
    """Reads and writes webhooks. Blocks; may be used by any thread; every method is one transaction."""

    def __init__(self, database: Database, *, rotation_seconds: float, clock: Callable[[], float] = time.time) -> None:
        """`rotation_seconds`: how long an old secret goes on signing."""
        self._database = database
        self._rotation_seconds = rotation_seconds
        self._clock = clock
        self._outbox = Outbox(database.dialect)

    def make(self, spec: WebhookSpec) -> WebhookBody:
        """Make one; of a job that is over it is told at once. Raises CannotChange where there are too many."""
        webhook_id, now = new_id(), self._now()
        secret = spec["secret"] or new_secret()
        with self._database.write() as connection:
            if connection.execute(_COUNT).scalar_one() >= MOST:
                raise CannotChange(f"there are {MOST} webhooks, and no more are taken; delete some")
            made = {
                "id": webhook_id,
                "url": spec["url"],
                "secret": secret,
                "events": to_json(spec["events"]).decode(),
                "endpoint": spec["endpoint"],
                "job_id": spec["job"],
                "condition": spec["when"],
                "batch": spec["batch"],
                "source": "api",
                "state": "enabled",
                "created_at": now,
            }
            connection.execute(webhooks.insert().values(**made))
            if spec["job"] is not None:
                status = connection.execute(_STATUS, {"job": spec["job"]}).scalar()
                if status in {"completed", "failed"}:
                    self._outbox.job(connection, spec["job"], status, now)
        return {**self._known(webhook_id), "secret": secret}

    def all(self) -> list[WebhookBody]:
        """All of them, the oldest first."""
        with self._database.read() as connection:
            return [_body(row) for row in connection.execute(_ALL)]

    def one(self, webhook_id: str) -> WebhookBody | None:
        """One; None where there is none of that id."""
        with self._database.read() as connection:
            return _found(connection, webhook_id)

    def switch(self, webhook_id: str, *, enabled: bool) -> WebhookBody | None:
        """Enable or disable it; None where there is none. What was due to a disabled one fails, and can be replayed."""
        state, reason = ("enabled", None) if enabled else ("disabled", "by request")
        with self._database.write() as connection:
            if _found(connection, webhook_id) is None:
                return None
            connection.execute(_CHANGE.values(state=state, reason=reason), {"webhook": webhook_id})
            return _found(connection, webhook_id)

    def rotate(self, webhook_id: str, secret: str | None) -> WebhookBody | None:
        """Give it a new secret; None where there is none. Both sign until the old one has run out.

        Raises CannotChange for one of the settings.
        """
        secret = secret or new_secret()
        until = wire_time(self._clock() + self._rotation_seconds)
        with self._database.write() as connection:
            body = _changeable(connection, webhook_id)
            if body is None:
                return None
            values = {"old_secret": webhooks.c.secret, "old_secret_until": until, "secret": secret}
            connection.execute(_CHANGE.values(**values), {"webhook": webhook_id})
        return {**body, "secret": secret}

    def delete(self, webhook_id: str) -> bool:
        """Delete it; whether there was one. What was due to it fails. Raises CannotChange for one of the settings."""
        with self._database.write() as connection:
            if _changeable(connection, webhook_id) is None:
                return False
            connection.execute(_DELETE, {"webhook": webhook_id})
        return True

    def test(self, webhook_id: str) -> str | None:
        """Push a test to it; the id of the delivery, None where there is none. Raises CannotChange if disabled."""
        delivery_id = new_id()
        with self._database.write() as connection:
            body = _found(connection, webhook_id)
            if body is None:
                return None
            if body["state"] != "enabled":
                raise CannotChange(f"the webhook is disabled ({body['reason']}); enable it first")
            place = place_for(body["url"], webhook_id, batch=body["batch"])
            row = pending(body["url"], TEST_EVENT, webhook_id, self._now(), webhook_id=webhook_id, place=place)
            connection.execute(deliveries.insert().values(**row._replace(id=delivery_id)._asdict()))
        return delivery_id

    def _known(self, webhook_id: str) -> WebhookBody:
        found = self.one(webhook_id)
        if found is None:
            raise CannotChange("the webhook was deleted meanwhile")
        return found

    def _now(self) -> str:
        return wire_time(self._clock())


def _changeable(connection: Connection, webhook_id: str) -> WebhookBody | None:
    body = _found(connection, webhook_id)
    if body is not None and body["source"] == "settings":
        raise CannotChange(f"the webhook {webhook_id!r} stands in the settings, under [webhooks.{webhook_id}]")
    return body


def _found(connection: Connection, webhook_id: str) -> WebhookBody | None:
    if not could_be_id(webhook_id):
        return None
    row = connection.execute(_ONE, {"webhook": webhook_id}).one_or_none()
    return None if row is None else _body(row)


def _body(row: Row[*tuple[Any, ...]]) -> WebhookBody:
    return {
        "id": row.id,
        "url": row.url,
        "events": from_json(row.events),
        "endpoint": row.endpoint,
        "job": row.job_id,
        "when": row.condition,
        "batch": row.batch,
        "source": row.source,
        "state": row.state,
        "reason": row.reason,
        "created_at": row.created_at,
    }


_SHOWN = select(
    *(column for column in webhooks.columns if column.name not in {"secret", "old_secret", "old_secret_until"})
)
_ALL = _SHOWN.order_by(webhooks.c.created_at, webhooks.c.id)
_IS_IT = webhooks.c.id == bindparam("webhook")
_ONE = _SHOWN.where(_IS_IT)
_CHANGE = update(webhooks).where(_IS_IT)
_DELETE = delete(webhooks).where(_IS_IT)
# One of a job that is over tells nothing any more.
_IS_OVER = select(jobs.c.id).where(
    jobs.c.id == webhooks.c.job_id, jobs.c.status.in_(("completed", "failed", "cancelled"))
)
_COUNT = select(func.count()).select_from(webhooks).where(~_IS_OVER.exists())
_STATUS = select(jobs.c.status).where(jobs.c.id == bindparam("job"))
