"""Migrations of the database, by Alembic: one file in `versions` a change of the tables."""

from predictq_sync.migrations.upgrading import revision_of, upgrade

__all__ = ["revision_of", "upgrade"]
