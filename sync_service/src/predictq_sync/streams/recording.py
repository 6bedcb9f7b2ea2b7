"""The order of completions, written in the transaction that makes them: one row for many requests.

Not a column of `requests`: that would need an index, and on PostgreSQL every roll-up would then make new entries in all
indexes of the row.
"""

from collections.abc import Iterable, Mapping

from sqlalchemy import BigInteger, Connection, Insert, Text, bindparam, cast, func, insert, literal

from predictq_sync.statements import json_ids
from predictq_sync.tables import completions

__all__ = ["CompletionRecorder"]

IDS = 500
"""In one row: what a stream has to read at least."""


class CompletionRecorder:
    """Notes which requests a transaction has completed."""

    def __init__(self, dialect: str) -> None:
        self._insert = _insert(dialect)

    def __call__(
        self, connection: Connection, finished: Iterable[str], endpoint_of: Mapping[str, str], now: str
    ) -> None:
        """Write 0..N ids, in their order; to be called before the commit, by whoever changed their status."""
        of_endpoint: dict[str, list[str]] = {}
        for request_id in finished:
            of_endpoint.setdefault(endpoint_of[request_id], []).append(request_id)
        for endpoint, ids in of_endpoint.items():
            for start in range(0, len(ids), IDS):
                some = ids[start : start + IDS]
                row = {"endpoint": endpoint, "requests": len(some), "ids": json_ids(some), "completed_at": now}
                connection.execute(self._insert, row)


def _insert(dialect: str) -> Insert:
    # Of two transactions the one that began to write first may commit last: readers go by the transactions, and wait
    # for the oldest that runs. On SQLite there is one writer at a time.
    transaction = (
        cast(cast(func.pg_current_xact_id(), Text), BigInteger) if dialect == "postgresql" else literal(0, BigInteger())
    )
    return insert(completions).values(
        transaction_id=transaction,
        endpoint=bindparam("endpoint"),
        requests=bindparam("requests"),
        ids=bindparam("ids"),
        completed_at=bindparam("completed_at"),
    )
