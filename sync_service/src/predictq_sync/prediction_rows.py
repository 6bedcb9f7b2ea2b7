"""Rows of `predictions`, and which of two on the same answer stays."""

from typing import Any, NamedTuple

from sqlalchemy import and_, literal_column

from predictq_sync.statements import Insert
from predictq_sync.tables import predictions

__all__ = ["PREDICTION_COLUMNS", "PredictionRow", "first_terminal_wins"]

PREDICTION_COLUMNS = tuple(column.name for column in predictions.columns)


class PredictionRow(NamedTuple):
    """A row of `predictions`, its fields in the order of the table."""

    request_id: str
    deployment: str
    endpoint: str
    model_version: str | None
    status: str
    outputs: str
    errors: str
    batch_id: str | None
    redrive: int
    visible: bool
    created_at: str


def first_terminal_wins(insert: Any) -> Insert:
    """New rows, and `failed` ones that a higher redrive answers; nothing else changes a row."""
    new = insert.excluded
    replaced = ("model_version", "status", "outputs", "errors", "batch_id", "redrive", "visible", "created_at")
    statement: Insert = insert.on_conflict_do_update(
        index_elements=[predictions.c.request_id, predictions.c.deployment],
        set_={column: new[column] for column in replaced},
        where=and_(predictions.c.status == literal_column("'failed'"), new.redrive > predictions.c.redrive),
    )
    return statement
