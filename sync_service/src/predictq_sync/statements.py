"""What all statements are made of: bulk inserts compiled once, and sets of ids as one parameter."""

import re
from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any, Self

from pydantic_core import to_json
from sqlalchemy import Boolean, ColumnElement, Connection, Table, bindparam
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.sql.operators import OperatorType

from predictq_sync.arrays import array_literal, unnested

__all__ = ["BulkInsert", "Insert", "among", "json_ids"]

Insert = sqlite.Insert | postgresql.Insert
Row = tuple[Any, ...]
_SIZES = (256, 64, 16, 4, 1)
"""Rows a statement on SQLite."""
_INSERT = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}


class BulkInsert:
    """An `INSERT … ON CONFLICT` of many rows, given as plain tuples.

    The SQL is compiled once and the parameters go straight to the driver: SQLAlchemy's handling of a dictionary a row
    costs as much as the database does. On SQLite rows share statements of a few fixed sizes, because its driver pays
    for each call and keeps few statements prepared; on PostgreSQL a statement takes any number, as an array a column.
    """

    def __init__(
        self, dialect: str, table: Table, columns: Sequence[str], on_conflict: Callable[[Any], Insert]
    ) -> None:
        plain = _INSERT[dialect](table).values({column: bindparam(column) for column in columns})
        self._statement = on_conflict(plain)
        self._columns = list(columns)
        self._source = unnested([table.c[column] for column in columns]) if dialect == "postgresql" else None
        self._sql: dict[int, str] = {}

    def __call__(self, connection: Connection, rows: Sequence[Row]) -> int:
        """Insert 1..N rows, in their order; how many were inserted or updated."""
        if self._source is not None:
            arrays = tuple(array_literal(column) for column in zip(*rows, strict=True))
            return connection.exec_driver_sql(self.sql(connection), arrays).rowcount
        if not self._sql:
            self._sql = self._compile(connection)
        changed = start = 0
        for size, sql in self._sql.items():
            while len(rows) - start >= size:
                parameters = tuple(chain.from_iterable(rows[start : start + size]))
                changed += connection.exec_driver_sql(sql, parameters).rowcount
                start += size
        return changed

    def sql(self, connection: Connection) -> str:
        """On PostgreSQL: the statement of any number of rows, whose parameters are an array a column."""
        if not self._sql:
            self._sql = self._compile(connection)
        return self._sql[0]

    def _compile(self, connection: Connection) -> dict[int, str]:
        compiled = self._statement.compile(dialect=connection.dialect)
        if compiled.positiontup != self._columns:
            raise RuntimeError(f"bound in the order {compiled.positiontup}, not {self._columns}")
        head, values, tail = re.split(r" VALUES (\(.*?\))(?= ON CONFLICT)", str(compiled), maxsplit=1)
        if self._source is not None:
            return {0: f"{head} {self._source}{tail}"}
        return {size: f"{head} VALUES {', '.join([values] * size)}{tail}" for size in _SIZES}


def among(column: ColumnElement[str], array: ColumnElement[str]) -> ColumnElement[bool]:
    """Whether the column is one of the strings of a JSON array."""
    return _Among(column, array)


def json_ids(ids: Sequence[str]) -> str:
    """The value of a parameter given to `among`: one statement for any number of ids."""
    return to_json(ids).decode()


class _Among(FunctionElement[bool]):
    type = Boolean()
    inherit_cache = True

    def self_group(self, against: OperatorType | None = None) -> Self:  # noqa: ARG002 - SQLAlchemy's names
        """As it is: compared with 1, which SQLAlchemy would add on SQLite, no index is used for it."""
        return self


@compiles(_Among, "sqlite")
def _among_on_sqlite(element: _Among, compiler: SQLCompiler, **options: Any) -> str:
    column, array = (compiler.process(clause, **options) for clause in element.clauses)
    return f"{column} IN (SELECT value FROM json_each({array}))"  # noqa: S608 - SQL of SQLAlchemy's own


@compiles(_Among, "postgresql")
def _among_on_postgresql(element: _Among, compiler: SQLCompiler, **options: Any) -> str:
    # `IN` would be a join, and could end in reading all of the table; an array is looked up in the index.
    column, array = (compiler.process(clause, **options) for clause in element.clauses)
    return f"{column} = ANY (ARRAY(SELECT json_array_elements_text(CAST({array} AS json))))"
