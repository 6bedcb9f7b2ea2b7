"""Rows on their way into PostgreSQL: an array a column, which `unnest` puts together again on the server.

One statement takes any number of rows, and the planner knows how many they are. A temporary table, filled by `COPY`,
takes no less time for a thousand rows, and a multiple for ten: the server empties it at each commit.
"""

from collections.abc import Sequence

from sqlalchemy import BigInteger, Boolean, Column, Double, Integer, LargeBinary

from predictq_sync.tables import JsonText

__all__ = ["array_literal", "unnested"]

Field = str | int | float | bytes | None
_TYPES = {
    JsonText: "json",
    Integer: "integer",
    BigInteger: "bigint",
    Double: "double precision",
    Boolean: "boolean",
    LargeBinary: "bytea",
}


def unnested(columns: Sequence[Column[str]]) -> str:
    """A SELECT of rows in the order in which they are given, with a parameter a column: `array_literal` makes them."""
    arrays = ", ".join(f"%s::{_TYPES.get(type(column.type), 'text')}[]" for column in columns)
    return f"SELECT * FROM unnest({arrays})"  # noqa: S608 - types of our own


def array_literal(fields: Sequence[Field]) -> str:
    """An array as text (https://www.postgresql.org/docs/current/arrays.html#ARRAYS-IO).

    Of plain text all fields are escaped in one pass.
    """
    if None in fields or isinstance(fields[0], bytes):
        return _one_by_one(fields)
    if isinstance(fields[0], int | float):
        return f"{{{','.join(map(str, fields))}}}"
    text = "\0".join(fields)  # type: ignore[arg-type] # nothing but text is left
    if text.count("\0") != len(fields) - 1:
        return _one_by_one(fields)
    text = text.replace("\\", r"\\").replace('"', r"\"").replace("\0", '","')
    return f'{{"{text}"}}'


def _one_by_one(fields: Sequence[Field]) -> str:
    return f"{{{','.join(map(_element, fields))}}}"


def _element(field: Field) -> str:
    if field is None:
        return "NULL"
    text = rf"\x{field.hex()}" if isinstance(field, bytes) else str(field)
    text = text.replace("\\", r"\\").replace('"', r"\"")
    return f'"{text}"'
