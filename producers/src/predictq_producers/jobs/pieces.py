"""Runs of rows on their way from a file into chunks."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import pyarrow as pa

__all__ = ["Lines", "Piece", "Table", "gathered"]


class Table(NamedTuple):
    """Rows with columns, and what stands between them."""

    table: Any
    """`pyarrow.Table`."""
    refused: list[tuple[int, str, str]]
    """Place within the piece, reason, text; of rows that are not in the table."""

    @property
    def rows(self) -> int:
        """All of them."""
        return int(self.table.num_rows) + len(self.refused)


class Lines(NamedTuple):
    """Rows that are a line of JSON each."""

    lines: list[bytes]

    @property
    def rows(self) -> int:
        """All of them."""
        return len(self.lines)


Piece = Table | Lines


def gathered(pieces: Iterator[Piece], rows: int) -> Iterator[Piece]:
    """The same rows in pieces of exactly so many, the last one of fewer."""
    held: Piece | None = None
    for piece in pieces:
        held = piece if held is None else _joined(held, piece)
        while held is not None and held.rows >= rows:
            first, held = _split(held, rows)
            yield first
    if held is not None and held.rows:
        yield held


def _joined(first: Piece, second: Piece) -> Piece:
    if isinstance(first, Lines) and isinstance(second, Lines):
        return Lines(first.lines + second.lines)
    if isinstance(first, Table) and isinstance(second, Table):
        moved = [(place + first.rows, reason, text) for place, reason, text in second.refused]
        return Table(pa.concat_tables([first.table, second.table]), first.refused + moved)
    raise TypeError("a file is made of rows of one kind")


def _split(piece: Piece, rows: int) -> tuple[Piece, Piece | None]:
    if piece.rows == rows:
        return piece, None
    if isinstance(piece, Lines):
        return Lines(piece.lines[:rows]), Lines(piece.lines[rows:])
    before = [each for each in piece.refused if each[0] < rows]
    after = [(place - rows, reason, text) for place, reason, text in piece.refused if place >= rows]
    good = rows - len(before)
    return Table(piece.table.slice(0, good), before), Table(piece.table.slice(good), after)
