"""Bringing a database up to the tables of this version."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from predictq.errors import UserMistake
from predictq_sync.database import Database, mistakes_told

__all__ = ["is_current", "migrate", "revision_of", "upgrade"]

LOCK = 7_226_583_146_180_517
"""PostgreSQL advisory lock: one process migrates, the others wait and find nothing left to do."""
WAIT_SECONDS = 300


def upgrade(database: Database) -> bool:
    """Create or migrate the tables, in one transaction; whether anything was left to do.

    May be called by several processes at once. Raises UserMistake for what an operator has to mend first, and when the
    database was written by a newer predictq.
    """
    database.create()
    script = ScriptDirectory.from_config(_config())
    head = script.get_current_head()
    with mistakes_told(), database.write() as connection:
        if database.dialect == "postgresql":
            _prepare_postgresql(connection)
        before = _revision(connection)
        if before == head:
            return False
        if before is not None and before not in {revision.revision for revision in script.walk_revisions()}:
            raise UserMistake(
                f"database: its tables are of revision {before!r}, which this predictq does not know (it knows up to "
                f"{head!r}): they were written by a newer version; install that one, or name another database"
            )
        migrate(connection, "head")
    return True


def migrate(connection: Connection, revision: str) -> None:
    """Bring the tables to that revision, in the connection's transaction."""
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


def is_current(database: Database) -> bool:
    """Whether the tables are those of this version; nothing is changed."""
    return revision_of(database) == ScriptDirectory.from_config(_config()).get_current_head()


def revision_of(database: Database) -> str | None:
    """The revision that the database is at; None when it has no tables yet."""
    with mistakes_told(), database.read() as connection:
        return _revision(connection)


def _prepare_postgresql(connection: Connection) -> None:
    # A large table takes its time, and those who wait for it take as long.
    connection.execute(text("SET LOCAL statement_timeout = 0"))
    connection.execute(text(f"SET LOCAL lock_timeout = '{WAIT_SECONDS}s'"))
    encoding = connection.execute(text("SHOW server_encoding")).scalar_one()
    if encoding != "UTF8":
        raise UserMistake(f"database: its encoding is {encoding}; CREATE DATABASE … ENCODING 'UTF8' would be right")
    connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    return config


def _revision(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()
