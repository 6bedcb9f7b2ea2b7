"""Reading the order of completions: where it ends now, and what follows a place in it."""

import re
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple, Self

from pydantic_core import from_json
from sqlalchemy import BigInteger, ColumnElement, Connection, Text, bindparam, cast, func, select, true, tuple_

from predictq_sync.database import Database
from predictq_sync.tables import completions

__all__ = ["START", "CompletionLog", "Following", "Position"]

ROWS = 25
"""Read at a time, each of at most a thousand ids."""
_POSITION = re.compile(r"(\d{1,18})-(\d{1,18})-(\d{1,6})", re.ASCII)


class Position(NamedTuple):
    """A place in the order: after the first `offset` ids of the row that a transaction wrote under a number."""

    transaction_id: int
    number: int
    offset: int

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """The position that `str` gave; None for anything else."""
        match = _POSITION.fullmatch(text)
        return None if match is None else cls(*map(int, match.groups()))

    def __str__(self) -> str:
        return f"{self.transaction_id}-{self.number}-{self.offset}"


START = Position(0, 0, 0)
"""Before the first of all."""


class Following(NamedTuple):
    """What follows a position."""

    ids: Sequence[tuple[str, Position]]
    """Each with the position behind it."""
    lost_until: Position | None
    """Where the rest begins, when what came before it is kept no longer; `ids` is empty then."""


class CompletionLog:
    """Blocks; may be used by any thread.

    On PostgreSQL what a transaction wrote counts from when all that began to write before it are over. So nothing ever
    appears before what was read, and a transaction that commits late is waited for.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        settled: ColumnElement[bool] = true()
        self.shows_late = database.dialect == "postgresql"
        """Whether what was committed, and announced, may have to wait for others before it counts."""
        if self.shows_late:
            oldest = cast(cast(func.pg_snapshot_xmin(func.pg_current_snapshot()), Text), BigInteger)
            settled = completions.c.transaction_id < oldest
        place = tuple_(completions.c.transaction_id, completions.c.number)
        of_endpoint = select(completions).where(completions.c.endpoint == bindparam("endpoint"), settled)
        self._last = of_endpoint.order_by(completions.c.transaction_id.desc(), completions.c.number.desc()).limit(1)
        self._next = (
            of_endpoint.where(place >= tuple_(bindparam("transaction_id"), bindparam("number")))
            .order_by(completions.c.transaction_id, completions.c.number)
            .limit(ROWS)
        )

    def ends(self, endpoints: Collection[str]) -> Mapping[str, Position]:
        """Behind the last completion of each endpoint."""
        with self._database.read() as connection:
            return {endpoint: self._end(connection, endpoint) for endpoint in endpoints}

    def after(self, endpoint: str, position: Position, most: int) -> Following:
        """At most `most` ids that follow."""
        found: list[tuple[str, Position]] = []
        with self._database.read() as connection:
            rows = connection.execute(self._next, {"endpoint": endpoint, **position._asdict()}).all()
        for row in rows:
            here = (row.transaction_id, row.number)
            said = position.offset if here == position[:2] else 0
            if row.ids is None:
                if said < row.requests:
                    return Following((), Position(*here, row.requests))
                continue
            ids = from_json(row.ids)[said : said + most - len(found)]
            found += [(each, Position(*here, offset)) for offset, each in enumerate(ids, start=said + 1)]
            if len(found) == most:
                break
        return Following(found, None)

    def _end(self, connection: Connection, endpoint: str) -> Position:
        row = connection.execute(self._last, {"endpoint": endpoint}).one_or_none()
        return START if row is None else Position(row.transaction_id, row.number, row.requests)
