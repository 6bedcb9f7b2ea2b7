"""The hint that tells every gateway which requests have just become readable as finished."""

from collections.abc import Sequence

from sqlalchemy import Connection, bindparam, select

from predictq.brokers import Message
from predictq.messages import COMMIT, new_commit
from predictq.names import Names
from predictq_sync.statements import among, json_ids
from predictq_sync.tables import requests

__all__ = ["announcement", "finished_among"]


def announcement(names: Names, finished: Sequence[str], now: float) -> Sequence[Message]:
    """One message for all of them; none when nothing finished."""
    return (Message(names.commits, COMMIT.encode(new_commit(finished, now))),) if finished else ()


def finished_among(connection: Connection, redelivered: Sequence[str]) -> Sequence[str]:
    """Those that are finished of the ids of redelivered records, to be announced whoever finished them.

    Their first delivery may have ended between the commit and the announcement. Told twice, a hint does no harm.
    """
    if not redelivered:
        return ()
    return connection.execute(_FINISHED, {"ids": json_ids(redelivered)}).scalars().all()


_FINISHED = select(requests.c.id).where(among(requests.c.id, bindparam("ids")), requests.c.status != "queued")
