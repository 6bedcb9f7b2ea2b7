"""Whether the database answers, and how far the ledger is."""

import time
from collections.abc import Callable
from typing import NamedTuple

from predictq.errors import DatabaseUnavailable
from predictq_sync.database import Database
from predictq_sync.watermark import read_watermark

__all__ = ["DatabaseHealth", "database_health"]

_PRODUCTS = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}


class DatabaseHealth(NamedTuple):
    """What a question of now said."""

    ok: bool
    detail: str
    behind_seconds: float | None = None
    """How long ago it was that the ledger had everything; None where no ledger ever ran, or nobody can tell."""


def database_health(database: Database, clock: Callable[[], float] = time.time) -> DatabaseHealth:
    """Blocks, as long as the database takes; raises nothing for one that is away."""
    try:
        watermark = read_watermark(database)
    except DatabaseUnavailable as error:
        return DatabaseHealth(False, str(error))
    behind = None if watermark is None else max(0.0, round(clock() - watermark, 3))
    version = ".".join(map(str, database.engine.dialect.server_version_info or ()))
    return DatabaseHealth(True, f"{_PRODUCTS[database.dialect]} {version}", behind)
