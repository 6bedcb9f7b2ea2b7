"""Rows from the newest back, a page at a time, at a cost that does not grow with the table.

An index leads to the rows by their time. A condition that no index knows is looked for in so many of them and no
further: a page may hold less than was asked for, or nothing, and still say where the next one begins.
"""

import base64
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from pydantic_core import from_json, to_json
from sqlalchemy import Column, ColumnElement, Connection, Row, Select, and_, func, or_, select, true, union_all

from predictq.errors import UserMistake

__all__ = ["LOOKED_AT", "Place", "newest"]

LOOKED_AT = 10_000
"""Rows that one page looks at where it has a condition."""
TOGETHER = 100
"""Ranges of one statement; SQLite takes no more than 500."""


class Place(NamedTuple):
    """Where a row stands."""

    at: str
    id: str

    @classmethod
    def parse(cls, cursor: str) -> "Place":
        """Raises UserMistake for a cursor that is none of ours."""
        with suppress(ValueError):
            match from_json(base64.b64decode(cursor + "=" * (-len(cursor) % 4), b"-_", validate=True)):
                case [str(at), str(last)] if "\0" not in at + last:
                    return cls(at, last)
        raise UserMistake("the cursor is none that was given out; start without one")

    def __str__(self) -> str:
        return base64.urlsafe_b64encode(to_json(self)).decode().rstrip("=")


def newest(
    connection: Connection,
    ranges: Sequence[Select[Any]],
    *,
    at: Column[str],
    row_id: Column[str],
    conditions: Sequence[ColumnElement[bool]],
    cursor: str | None,
    limit: int,
) -> tuple[Sequence[Row[*tuple[Any, ...]]], str | None]:
    """At most `limit` rows behind the cursor that the conditions hold of, and the cursor of what follows them.

    Each of `ranges` selects columns of one table, `at` and `row_id` among them, from a part of it that an index has in
    the order of `at`. Raises UserMistake for a cursor that is none.
    """
    behind = None if cursor is None else Place.parse(cursor)
    most = max(limit + 1, LOOKED_AT // max(1, len(ranges))) if conditions else limit + 1
    parts = []
    for each in ranges:
        seen = each.add_columns(and_(true(), *conditions).label("fits")).order_by(at.desc(), row_id.desc()).limit(most)
        if behind is not None:
            seen = seen.where(at <= behind.at, or_(at < behind.at, row_id < behind.id))
        looked_at = seen.subquery()
        order = (looked_at.c[at.name].desc(), looked_at.c[row_id.name].desc())
        numbered = select(*looked_at.c, func.row_number().over(order_by=order).label("number")).subquery()
        # The last of all that were looked at comes too, to say how far that was.
        wanted = or_(numbered.c.fits, numbered.c.number == most)
        parts.append(select(select(numbered).where(wanted).order_by(numbered.c.number).limit(limit + 1).subquery()))
    rows: list[Row[*tuple[Any, ...]]] = []
    for first in range(0, len(parts), TOGETHER):
        together = union_all(*parts[first : first + TOGETHER]).subquery()
        rows += connection.execute(select(*together.c)).all()

    def place(row: Row[*tuple[Any, ...]]) -> Place:
        return Place(getattr(row, at.name), getattr(row, row_id.name))

    # Behind the end of the range that was left first, another one may have rows that were not looked at.
    end = max((place(row) for row in rows if row.number == most), default=None)
    found = sorted((row for row in rows if row.fits and (end is None or place(row) >= end)), key=place, reverse=True)
    if len(found) > limit:
        return found[:limit], str(place(found[limit - 1]))
    return found, None if end is None else str(end)
