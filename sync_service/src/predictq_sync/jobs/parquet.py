"""Results of a job as a file of Parquet, in parts."""

import io
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from pydantic_core import to_json

from predictq.errors import MissingExtra
from predictq_sync.jobs.outputs import ArrowOutputs, Outputs
from predictq_sync.jobs.result_table import Leaf, Table

__all__ = ["write_parquet"]


def write_parquet(tables: Iterable[Table]) -> Iterator[bytes]:
    """A row group for each table. The types of the columns are those of the first. Raises MissingExtra."""
    try:
        import pyarrow as pa  # noqa: PLC0415 - an extra
        import pyarrow.compute  # noqa: PLC0415
        import pyarrow.json  # noqa: PLC0415
        import pyarrow.parquet as pq  # noqa: PLC0415
    except ImportError as error:
        raise MissingExtra("a job", "files") from error
    out = _Parts()
    writer: Any = None
    schema: Any = None
    for table in tables:
        if writer is None:
            schema = pa.schema([(name, _kind(pa, name, _values(column))) for name, column in table])
            writer = pq.ParquetWriter(pa.PythonFile(out, mode="w"), schema, compression="zstd")
        writer.write_table(pa.table(_arrays(pa, schema, table), schema=schema))
        yield out.taken()
    writer.close()
    yield out.taken()


def _arrays(pa: Any, schema: Any, table: Table) -> list[Any]:
    parsed: dict[int, ArrowOutputs] = {}

    def of(outputs: Outputs) -> ArrowOutputs:
        if id(outputs) not in parsed:
            parsed[id(outputs)] = ArrowOutputs(pa, outputs)
        return parsed[id(outputs)]

    arrays = []
    for field, (_, column) in zip(schema, table, strict=True):
        array = of(column.outputs).column(column.path, field.type) if isinstance(column, Leaf) else None
        arrays.append(_array(pa, field.type, _values(column)) if array is None else array)
    return arrays


def _values(column: Sequence[Any] | Leaf) -> Sequence[Any]:
    return column.values() if isinstance(column, Leaf) else column


def _kind(pa: Any, name: str, values: Sequence[Any]) -> Any:
    if name == "row":
        return pa.int64()
    kinds = {type(value) for value in values if value is not None}
    if kinds and kinds <= {int, float}:
        return pa.float64()  # a later chunk may have fractions
    return pa.bool_() if kinds == {bool} else pa.string()


def _array(pa: Any, kind: Any, values: Sequence[Any]) -> Any:
    try:
        return pa.array(values, kind)
    except (pa.ArrowInvalid, pa.ArrowTypeError):  # one of another kind than those of the first chunk
        fits = _text if kind == pa.string() else _number if kind == pa.float64() else _truth
        return pa.array([None if value is None else fits(value) for value in values], kind)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else to_json(value).decode()


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def _truth(value: Any) -> bool | None:
    return value if isinstance(value, bool) else None


class _Parts(io.RawIOBase):
    """A file that is taken away in parts while it is written."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._size = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        part = bytes(data)
        self._parts.append(part)
        self._size += len(part)
        return len(part)

    def tell(self) -> int:
        return self._size

    def taken(self) -> bytes:
        """What was written since the last time."""
        parts, self._parts = self._parts, []
        return b"".join(parts)
