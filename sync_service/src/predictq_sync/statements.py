"""What all statements are made of: bulk inserts compiled once, and sets of ids as one parameter."""

import re
from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any

from pydantic_core import to_json
from sqlalchemy import ColumnElement, Connection, Select, Table, Text, bindparam, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

__all__ = ["BulkInsert", "Insert", "elements_of", "json_ids"]

Insert = sqlite.Insert | postgresql.Insert
Row = tuple[Any, ...]
_SIZES = (256, 64, 16, 4, 1)
_INSERT = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}


class BulkInsert:
    """An `INSERT … ON CONFLICT` of many rows, given as plain tuples.

    The SQL is compiled once and the parameters go straight to the driver: SQLAlchemy's handling of a dictionary a row
    costs as much as the database does. Rows share statements of a few fixed sizes, because drivers pay for each call,
    and keep few statements prepared. PostgreSQL refuses a statement that changes one row twice: rows of one call must
    not share a key there.
    """

    def __init__(
        self, dialect: str, table: Table, columns: Sequence[str], on_conflict: Callable[[Any], Insert]
    ) -> None:
        plain = _INSERT[dialect](table).values({column: bindparam(column) for column in columns})
        self._statement = on_conflict(plain)
        self._columns = list(columns)
        self._sql: dict[int, str] = {}

    def __call__(self, connection: Connection, rows: Sequence[Row]) -> int:
        """Insert 1..N rows, in their order; how many were inserted or updated."""
        if not self._sql:
            self._sql = self._compile(connection)
        changed = start = 0
        for size, sql in self._sql.items():
            while len(rows) - start >= size:
                parameters = tuple(chain.from_iterable(rows[start : start + size]))
                changed += connection.exec_driver_sql(sql, parameters).rowcount
                start += size
        return changed

    def _compile(self, connection: Connection) -> dict[int, str]:
        compiled = self._statement.compile(dialect=connection.dialect)
        if compiled.positiontup != self._columns:
            raise RuntimeError(f"bound in the order {compiled.positiontup}, not {self._columns}")
        head, values, tail = re.split(r" VALUES (\(.*?\))(?= ON CONFLICT)", str(compiled), maxsplit=1)
        return {size: f"{head} VALUES {', '.join([values] * size)}{tail}" for size in _SIZES}


def elements_of(array: ColumnElement[str]) -> Select[tuple[str]]:
    """The strings of a JSON array as a set: `column.in_(elements_of(array))`."""
    return select(_Elements(array).table_valued("value").c.value)


def json_ids(ids: Sequence[str]) -> str:
    """The value of a parameter given to `elements_of`: one statement for any number of ids."""
    return to_json(ids).decode()


class _Elements(FunctionElement[str]):
    type = Text()
    inherit_cache = True


@compiles(_Elements, "sqlite")
def _elements_on_sqlite(element: _Elements, compiler: SQLCompiler, **options: Any) -> str:
    return f"json_each({compiler.process(element.clauses, **options)})"


@compiles(_Elements, "postgresql")
def _elements_on_postgresql(element: _Elements, compiler: SQLCompiler, **options: Any) -> str:
    return f"json_array_elements_text(CAST({compiler.process(element.clauses, **options)} AS json))"
