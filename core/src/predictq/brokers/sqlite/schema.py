"""The tables, and the check that a file is ours and of a version that this code reads."""

from functools import lru_cache

import apsw

from predictq.errors import UserMistake

__all__ = ["APPLICATION_ID", "CREATE_RECORDS", "DROP_RECORDS", "VERSION", "prepare", "statement"]

VERSION = 1
APPLICATION_ID = 0x70647131
"""Marks the file as ours (SQLite's `application_id`): "pdq1"."""

_TABLES = """
CREATE TABLE topics(
    topic TEXT PRIMARY KEY,
    retention REAL NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE partitions(
    tp INTEGER PRIMARY KEY AUTOINCREMENT,   -- never used twice
    topic TEXT NOT NULL,
    partition INTEGER NOT NULL,
    next INTEGER NOT NULL DEFAULT 0,        -- offset of the next record
    low INTEGER NOT NULL DEFAULT 0,         -- offset of the oldest one that is kept
    UNIQUE(topic, partition)
) STRICT;

CREATE TABLE delayed(
    id INTEGER PRIMARY KEY,
    topic TEXT NOT NULL,
    due REAL NOT NULL,
    value BLOB NOT NULL,
    key BLOB,
    headers BLOB,
    ts REAL NOT NULL
) STRICT;
CREATE INDEX delayed_due ON delayed(topic, due);

CREATE TABLE consumer_groups(
    g TEXT PRIMARY KEY,
    generation INTEGER NOT NULL DEFAULT 0   -- counts joins and leaves
) STRICT, WITHOUT ROWID;

CREATE TABLE offsets(
    g TEXT NOT NULL,
    tp INTEGER NOT NULL,
    off INTEGER NOT NULL,                   -- everything below is settled
    handed INTEGER NOT NULL,                -- everything from off to below this is in the owner's hands
    suspect INTEGER NOT NULL DEFAULT 0,     -- everything from off to below this was in the hands of a member that died,
    redeliveries INTEGER NOT NULL DEFAULT 0,-- so often at most
    owner TEXT,
    epoch INTEGER NOT NULL DEFAULT 0,       -- counts the takes: the fence
    PRIMARY KEY(g, tp)
) STRICT, WITHOUT ROWID;
CREATE INDEX offsets_tp ON offsets(tp, off);

CREATE TABLE members(
    g TEXT NOT NULL,
    topic TEXT NOT NULL,
    member TEXT NOT NULL,
    seen REAL NOT NULL,                     -- last sign of life
    claim REAL NOT NULL,                    -- seconds for which that sign counts
    PRIMARY KEY(g, topic, member)
) STRICT, WITHOUT ROWID;

CREATE TABLE pulse(
    last REAL NOT NULL,                     -- the newest sign of life of any member of any group
    since REAL NOT NULL                     -- when signs began to come again after a time without any
) STRICT;
INSERT INTO pulse(last, since) VALUES(0, 0);
"""


CREATE_RECORDS = """
CREATE TABLE records_N(
    off INTEGER PRIMARY KEY,
    value BLOB NOT NULL,
    key BLOB,
    headers BLOB,                           -- JSON object; NULL when empty
    ts REAL NOT NULL
) STRICT
"""
"""A table for each partition, so that appending always happens at a B-tree's end, where it is cheapest."""
DROP_RECORDS = "DROP TABLE records_N"


@lru_cache(maxsize=10_000)
def statement(sql: str, tp: int) -> str:
    """A statement on `records_N`, for the partition of this number."""
    return sql.replace("records_N", f"records_{tp}")


def prepare(db: apsw.Connection, where: str) -> None:
    """Create the tables where there are none. Safe when several processes do it at once.

    Raises UserMistake for a file of something else, or of a newer predictq.
    """
    if _version(db, where) == VERSION:
        return
    db.execute("BEGIN IMMEDIATE")
    try:
        if _version(db, where) != VERSION:
            db.execute(_TABLES)
            db.execute(f"PRAGMA application_id={APPLICATION_ID}")
            db.execute(f"PRAGMA user_version={VERSION}")
        db.execute("COMMIT")
    finally:
        if db.in_transaction:
            db.execute("ROLLBACK")


def _version(db: apsw.Connection, where: str) -> int:
    version: int = db.pragma("user_version")
    if db.pragma("application_id") == APPLICATION_ID:
        if version > VERSION:
            raise UserMistake(
                f"broker {where}: written by a newer predictq (schema {version}, this one reads {VERSION})"
            )
        return version
    if version or db.execute("SELECT 1 FROM sqlite_schema").fetchone():
        raise UserMistake(f"broker {where}: is a database of something else; name another file")
    return 0
