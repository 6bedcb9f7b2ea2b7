"""What all statements are made of: bulk inserts compiled once, and sets of ids as one parameter."""

from collections.abc import Callable, Sequence
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
_INSERT = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}


class BulkInsert:
    """An `INSERT … ON CONFLICT` whose rows are plain tuples.

    The SQL is compiled once and the rows go straight to the driver: SQLAlchemy's handling of a dictionary a row would
    cost more than the database does.
    """

    def __init__(
        self, dialect: str, table: Table, columns: Sequence[str], on_conflict: Callable[[Any], Insert]
    ) -> None:
        plain = _INSERT[dialect](table).values({column: bindparam(column) for column in columns})
        self._statement = on_conflict(plain)
        self._columns = list(columns)
        self._sql: str | None = None

    def __call__(self, connection: Connection, rows: Sequence[Row]) -> int:
        """Insert 1..N rows, in their order; how many were inserted or updated."""
        if self._sql is None:
            compiled = self._statement.compile(dialect=connection.dialect)
            if compiled.positiontup != self._columns:
                raise RuntimeError(f"bound in the order {compiled.positiontup}, not {self._columns}")
            self._sql = str(compiled)
        return connection.exec_driver_sql(self._sql, list(rows)).rowcount


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
