"""What one deployment answered to the rows of a chunk: the JSON that was stored, and what is in it."""

from collections.abc import Sequence
from functools import cached_property
from typing import Any, NamedTuple

from pydantic_core import from_json

from predictq_sync.jobs.flattening import Path

__all__ = ["ArrowOutputs", "Outputs"]


class _Run(NamedTuple):
    """Rows that were one request."""

    at: int
    """Place of the first within the chunk."""
    text: str
    """A JSON array; shorter than the request where it failed."""


class Outputs:
    """Of each row of a chunk; None where there is none."""

    def __init__(self, rows: int) -> None:
        self.rows = rows
        self.runs: list[_Run] = []

    def add(self, at: int, text: str) -> None:
        """What was answered to the rows from a place on."""
        self.runs.append(_Run(at, text))

    @cached_property
    def values(self) -> Sequence[Any]:
        """All of them."""
        values: list[Any] = [None] * self.rows
        for at, text in self.runs:
            some = from_json(text)
            values[at : at + len(some)] = some
        return values


class ArrowOutputs:
    """The same as columns of Arrow, which reads JSON without an object for each value."""

    def __init__(self, pa: Any, outputs: Outputs) -> None:
        self._pa = pa
        self._array = _parsed(pa, outputs)

    def column(self, path: Path, kind: Any) -> Any | None:
        """What stands at a path in each, as an array of a type; None where Arrow sees another type there."""
        if self._array is None:
            return None
        pa = self._pa
        for depth in range(len(path)):
            if not _has(pa, self._array.type, path[: depth + 1]):
                return None
        array = pa.compute.struct_field(self._array, list(path)) if path else self._array
        if pa.types.is_null(array.type):
            return pa.nulls(len(array), kind)
        numbers = kind == pa.float64() and array.type in (pa.int64(), pa.float64())
        return array.cast(kind, safe=False) if numbers or array.type == kind else None


def _has(pa: Any, kind: Any, path: Path) -> bool:
    for key in path:
        if not pa.types.is_struct(kind) or kind.get_field_index(key) < 0:
            return False
        kind = kind.field(key).type
    return True


def _parsed(pa: Any, outputs: Outputs) -> Any | None:
    """None for what Arrow cannot read, such as numbers in one row where another has a text."""
    lines = b"".join(b'{"all":%s}\n' % text.encode() for _, text in outputs.runs)
    options = pa.json.ReadOptions(use_threads=False, block_size=len(lines) + 1)
    try:
        table = pa.json.read_json(pa.BufferReader(lines), read_options=options)
        # Of a list that begins with null pyarrow 26.0 loses that null, and what is left does not fit its lengths.
        table.validate()
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return None
    lists = table.column("all").combine_chunks()
    if not pa.types.is_list(lists.type):
        return None
    array = lists.flatten()
    lengths = lists.value_lengths().to_pylist()
    places: list[int | None] = [None] * outputs.rows
    begin = 0
    for (at, _), length in zip(outputs.runs, lengths, strict=True):
        places[at : at + length] = range(begin, begin + length)
        begin += length
    return array if places == list(range(len(array))) else array.take(pa.array(places, pa.int64()))
