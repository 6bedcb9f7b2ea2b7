"""Migrations of the database, by Alembic: one file in `versions` a change of the tables."""

from predictq_sync.migrations.upgrading import is_current, revision_of, upgrade

__all__ = ["is_current", "revision_of", "upgrade"]
