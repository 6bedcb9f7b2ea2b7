"""Writing `cancelled` for answers that nobody will give any more."""

from collections.abc import Iterable, Sequence

from sqlalchemy import Connection

from predictq_sync.prediction_rows import PREDICTION_COLUMNS, PredictionRow, first_terminal_wins
from predictq_sync.rollup import roll_up
from predictq_sync.statements import BulkInsert
from predictq_sync.streams.recording import CompletionRecorder
from predictq_sync.tables import predictions
from predictq_sync.webhooks.outbox import Outbox

__all__ = ["Cancelling", "Owed"]

Owed = tuple[str, str, str]
"""Request id, endpoint and deployment of an answer that may still be open."""


class Cancelling:
    """Writes terminal rows without a model; what has been answered stays as it is."""

    def __init__(self, dialect: str) -> None:
        self._insert = BulkInsert(dialect, predictions, PREDICTION_COLUMNS, first_terminal_wins)
        self._outbox = Outbox(dialect)
        self._record_completions = CompletionRecorder(dialect)

    def __call__(self, connection: Connection, owed: Iterable[Owed], now: str) -> int:
        """Cancel those that are open and roll their requests up; how many were open.

        The caller holds the rows of the requests, and names no answer twice.
        """
        rows = [
            PredictionRow(request_id, deployment, endpoint, None, "cancelled", "[]", "[]", None, 0, True, now)
            for request_id, endpoint, deployment in owed
        ]
        if not rows:
            return 0
        cancelled = self._insert(connection, rows)
        finished = roll_up(connection, _ids(rows), now)
        self._record_completions(connection, finished.ids, {row.request_id: row.endpoint for row in rows}, now)
        self._outbox.requests(connection, finished, now)
        return cancelled


def _ids(rows: Sequence[PredictionRow]) -> list[str]:
    return sorted({row.request_id for row in rows})
