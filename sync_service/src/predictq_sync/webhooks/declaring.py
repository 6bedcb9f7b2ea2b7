"""The webhooks of the settings, brought into the table where those of the API are."""

from collections.abc import Mapping
from typing import Any

from pydantic_core import to_json
from sqlalchemy import bindparam, delete, not_, select, update

from predictq.clock import wire_time
from predictq.push.settings import WebhookSettings
from predictq_sync.database import Database
from predictq_sync.statements import among, json_ids
from predictq_sync.tables import deliveries, webhooks
from predictq_sync.webhooks.places import place_for

__all__ = ["declare"]


def declare(database: Database, declared: Mapping[str, WebhookSettings], now: float) -> None:
    """Make the table hold these, and none that the settings no longer name. What waits goes to their URLs of now.

    One that was disabled stays so, until its URL is another one. May be called by several processes at once.
    """
    with database.write() as connection:
        connection.execute(_DELETE, {"names": json_ids(list(declared))})
        for name in sorted(declared):
            values = _values(declared[name])
            before = connection.execute(_BEFORE, {"name": name}).one_or_none()
            if before is None:
                made = {"id": name, "source": "settings", "state": "enabled", "created_at": wire_time(now)}
                connection.execute(webhooks.insert().values(**made, **values))
                continue
            if before.url != values["url"]:
                values |= {"state": "enabled", "reason": None}
            if (before.url, before.batch) != (values["url"], values["batch"]):
                moved = {"url": values["url"], "place": place_for(values["url"], name, batch=values["batch"])}
                connection.execute(_MOVE.values(**moved), {"name": name})
            connection.execute(_CHANGE.values(**values), {"name": name})


def _values(webhook: WebhookSettings) -> dict[str, Any]:
    return {
        "url": webhook.url,
        "secret": webhook.secret.get_secret_value() if webhook.secret else None,
        "old_secret": webhook.old_secret.get_secret_value() if webhook.old_secret else None,
        "events": to_json(webhook.events).decode(),
        "endpoint": webhook.endpoint,
        "condition": webhook.when,
        "batch": webhook.batch,
    }


_OURS = webhooks.c.source == "settings"
_DELETE = delete(webhooks).where(_OURS, not_(among(webhooks.c.id, bindparam("names"))))
_BEFORE = select(webhooks.c.url, webhooks.c.batch).where(_OURS, webhooks.c.id == bindparam("name")).with_for_update()
_CHANGE = update(webhooks).where(_OURS, webhooks.c.id == bindparam("name"))
_MOVE = update(deliveries).where(deliveries.c.webhook_id == bindparam("name"), deliveries.c.state == "pending")
