"""What deployments that were removed from the settings still owe is cancelled."""

import time
from collections.abc import Mapping

from pydantic_core import from_json
from sqlalchemy import bindparam, select

from predictq.clock import wire_time
from predictq.settings import Settings
from predictq_sync.cancelling import Cancelling
from predictq_sync.database import Database, opened
from predictq_sync.migrations import upgrade
from predictq_sync.tables import requests

__all__ = ["cancel_retired", "retire"]

CHUNK = 1000


def retire(settings: Settings) -> int:
    """Cancel what deployments owe that are not among the settings; how many answers that were."""
    with opened(settings.database_url()) as database:
        upgrade(database)
        endpoint_of = {name: deployment.endpoint for name, deployment in settings.deployments.items()}
        return cancel_retired(database, endpoint_of, time.time())


def cancel_retired(database: Database, endpoint_of: Mapping[str, str], now: float) -> int:
    """The same, given the endpoint of each deployment. Goes through all open requests, a chunk a transaction."""
    cancel = Cancelling(database.dialect)
    cancelled, last = 0, ""
    while True:
        with database.write() as connection:
            open_requests = connection.execute(_OPEN, {"last": last, "limit": CHUNK}).all()
            if not open_requests:
                return cancelled
            owed = [
                (row.id, row.endpoint, name)
                for row in open_requests
                for name in dict.fromkeys(from_json(row.deployments))
                if endpoint_of.get(name) != row.endpoint
            ]
            cancelled += cancel(connection, owed, wire_time(now))
            last = open_requests[-1].id


_OPEN = (
    select(requests.c.id, requests.c.endpoint, requests.c.deployments)
    .where(requests.c.id > bindparam("last"), requests.c.status == "queued", requests.c.owed.is_not(None))
    .order_by(requests.c.id)
    .limit(bindparam("limit"))
    .with_for_update()
)
