"""`COPY` straight into a table of PostgreSQL: half the time of an `INSERT … ON CONFLICT`, but of new rows only."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast

import psycopg
from sqlalchemy import Connection, Table
from sqlalchemy.exc import DBAPIError, IntegrityError

__all__ = ["Attempt", "NotNew", "all_or_none", "copy_into", "copy_text"]

Fields = Sequence[str | None]

_NULL = "\0"
_ESCAPES = str.maketrans({"\\": r"\\", "\t": r"\t", "\n": r"\n", "\r": r"\r"})


class NotNew(Exception):
    """Something is there already, or not as it was expected."""


@dataclass(slots=True)
class Attempt:
    """What became of a block."""

    succeeded: bool = False


@contextmanager
def all_or_none(connection: Connection) -> Iterator[Attempt]:
    """Take back what the block wrote, and end it quietly, when it raises NotNew or inserts what is there already."""
    attempt = Attempt()
    try:
        with connection.begin_nested():
            yield attempt
        attempt.succeeded = True
    except NotNew:
        return
    except IntegrityError as error:
        if not isinstance(error.orig, psycopg.errors.UniqueViolation):
            raise


def copy_into(connection: Connection, table: Table, columns: Sequence[str], rows: Sequence[Fields]) -> None:
    """Insert 1..N rows, their fields as text. A row that is there already is an IntegrityError."""
    statement = f"COPY {table.name} ({', '.join(columns)}) FROM STDIN"
    text = copy_text(rows)
    driver = cast("psycopg.Connection[Any]", connection.connection.dbapi_connection)
    with _as_sqlalchemy(connection, statement), driver.cursor() as cursor, cursor.copy(statement) as copy:
        copy.write(text)


def copy_text(rows: Sequence[Fields]) -> bytes:
    """Rows in COPY's text format (https://www.postgresql.org/docs/current/sql-copy.html).

    Nearly always nothing but backslashes has to be escaped, which takes one pass over all; a count of the separators
    tells whether a field holds any of them.
    """
    nulls = sum(row.count(None) for row in rows)
    lines = ["\t".join([_NULL if field is None else field for field in row]) for row in rows]
    text = "\n".join(lines) + "\n"
    plain = (
        text.count("\t") == len(rows) * (len(rows[0]) - 1)
        and text.count("\n") == len(rows)
        and text.count(_NULL) == nulls
        and "\r" not in text
    )
    if plain:
        return text.replace("\\", r"\\").replace(_NULL, r"\N").encode()
    escaped = ("\t".join([r"\N" if field is None else field.translate(_ESCAPES) for field in row]) for row in rows)
    return ("\n".join(escaped) + "\n").encode()


@contextmanager
def _as_sqlalchemy(connection: Connection, statement: str) -> Iterator[None]:
    """The driver's own errors as SQLAlchemy would raise them, a connection that broke given up as it would."""
    try:
        yield
    except psycopg.Error as error:
        driver = connection.connection.dbapi_connection
        if driver is not None and cast("psycopg.Connection[Any]", driver).closed:
            connection.invalidate(error)
        raise DBAPIError.instance(statement, None, error, psycopg.Error) from error
