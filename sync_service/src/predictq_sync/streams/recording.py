"""The order of completions, written in the transaction that makes them: one row for many requests.

Not a column of `requests`: that would need an index, and on PostgreSQL every roll-up would then make new entries in all
indexes of the row.
"""

from collections.abc import Mapping, Sequence

from sqlalchemy import Connection

from predictq_sync.statements import json_ids

__all__ = ["CompletionRecorder"]

IDS = 1000
"""In one row: what a stream has to read at least."""


class CompletionRecorder:
    """Notes which requests a transaction has completed."""

    def __init__(self, dialect: str) -> None:
        self._sql = _INSERT[dialect]

    def __call__(
        self, connection: Connection, finished: Sequence[str], endpoint_of: Mapping[str, str], now: str
    ) -> None:
        """Write 0..N ids, in their order; to be called before the commit, by whoever changed their status."""
        for endpoint, ids in _by_endpoint(finished, endpoint_of).items():
            for start in range(0, len(ids), IDS):
                some = ids[start : start + IDS]
                connection.exec_driver_sql(self._sql, (endpoint, len(some), json_ids(some), now))


def _by_endpoint(finished: Sequence[str], endpoint_of: Mapping[str, str]) -> Mapping[str, Sequence[str]]:
    endpoints = set(endpoint_of.values())
    if len(endpoints) == 1:
        return dict.fromkeys(endpoints, finished)
    grouped: dict[str, list[str]] = {}
    for request_id in finished:
        grouped.setdefault(endpoint_of[request_id], []).append(request_id)
    return grouped


# Of two transactions the one that began to write first may commit last: on PostgreSQL readers go by the transactions,
# and wait for the oldest that runs. On SQLite there is one writer at a time.
_INSERT = {
    "postgresql": (
        "INSERT INTO completions (transaction_id, endpoint, requests, ids, completed_at) "
        "VALUES (pg_current_xact_id()::text::bigint, %s, %s, %s, %s)"
    ),
    "sqlite": (
        "INSERT INTO completions (transaction_id, endpoint, requests, ids, completed_at) VALUES (0, ?, ?, ?, ?)"
    ),
}
