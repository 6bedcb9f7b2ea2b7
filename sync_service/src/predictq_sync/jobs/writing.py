"""Results of a job as a file: CSV, JSON Lines or Parquet, a chunk at a time."""

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal

from pydantic_core import to_json

from predictq.errors import MissingExtra
from predictq_sync.jobs.flattening import column_of, paths_of
from predictq_sync.jobs.results import Page, RowError

__all__ = ["MEDIA_TYPES", "ResultFormat", "write_errors", "write_results"]

ResultFormat = Literal["csv", "jsonl", "parquet"]
MEDIA_TYPES: Mapping[ResultFormat, str] = {
    "csv": "text/csv; charset=utf-8",
    "jsonl": "application/x-ndjson",
    "parquet": "application/vnd.apache.parquet",
}


def write_results(pages: Iterable[Page], deployments: Sequence[str], form: ResultFormat) -> Iterator[bytes]:
    """The file, in parts. The columns of CSV and Parquet are those of the first chunk that has any outputs."""
    if form == "jsonl":
        return _json_lines(pages)
    columns = _Columns(deployments)
    return _csv(pages, columns) if form == "csv" else _parquet(pages, columns)


def write_errors(pages: Iterable[Sequence[RowError]]) -> Iterator[bytes]:
    """JSON Lines."""
    for page in pages:
        yield b"".join(
            to_json(
                {
                    "row": error.row,
                    "column": error.column,
                    "reason": error.reason,
                    "deployment": error.deployment,
                    "value": error.value,
                },
                inf_nan_mode="null",
            )
            + b"\n"
            for error in page
        )


def _json_lines(pages: Iterable[Page]) -> Iterator[bytes]:
    for page in pages:
        yield b"".join(
            to_json(
                {
                    "row": page.first_row + at,
                    **(
                        {"carried": {name: column[at] for name, column in page.carried.items()}} if page.carried else {}
                    ),
                    "status": status,
                    "outputs": {name: column[at] for name, column in page.outputs.items()},
                    "error": page.errors[at],
                },
                inf_nan_mode="null",
            )
            + b"\n"
            for at, status in enumerate(page.statuses)
        )


_Table = list[tuple[str, Sequence[Any]]]


class _Columns:
    """The columns of a table of results: a group for each deployment, its name before them where there are several."""

    def __init__(self, deployments: Sequence[str]) -> None:
        self._deployments = deployments
        self._paths: dict[str, Mapping[str, tuple[str, ...]]] = {}
        self._carried: list[str] = []

    def settle(self, page: Page) -> bool:
        """Learn from the rows of a chunk; whether that was enough."""
        self._carried = list(page.carried)
        for deployment, outputs in page.outputs.items():
            if found := paths_of(outputs):
                self._paths[deployment] = found
        return bool(self._paths)

    def of(self, page: Page) -> "_Table":
        """All of a chunk, with their names: what was kept may be called as one of ours."""
        rows = len(page.statuses)
        nothing: list[Any] = [None] * rows
        several = len(self._deployments) > 1
        table: _Table = [("row", range(page.first_row, page.first_row + rows))]
        table += [(name, page.carried.get(name, nothing)) for name in self._carried]
        table.append(("status", page.statuses))
        for deployment in self._deployments:
            outputs = page.outputs.get(deployment)
            for name, path in self._paths.get(deployment, {}).items():
                column = nothing if outputs is None else column_of(outputs, path)
                table.append((f"{deployment}.{name}" if several else name, column))
        table.append(("error", page.errors))
        return table


def _settled(pages: Iterable[Page], columns: _Columns) -> Iterator[_Table]:
    """The tables of all pages; the first ones are held until the columns are known."""
    held: list[Page] = []
    settled = False
    for page in pages:
        if settled:
            yield columns.of(page)
            continue
        held.append(page)
        if columns.settle(page):
            settled = True
            yield from map(columns.of, held)
            held = []
    yield from map(columns.of, held or ([] if settled else [_EMPTY]))


_EMPTY = Page(1, [], {}, [], {})


def _csv(pages: Iterable[Page], columns: _Columns) -> Iterator[bytes]:
    first = True
    for table in _settled(pages, columns):
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        if first:
            writer.writerow([name for name, _ in table])
            first = False
        writer.writerows(zip(*(column for _, column in table), strict=True))
        yield text.getvalue().encode()


def _parquet(pages: Iterable[Page], columns: _Columns) -> Iterator[bytes]:
    try:
        import pyarrow as pa  # noqa: PLC0415 - an extra
        import pyarrow.parquet as pq  # noqa: PLC0415
    except ImportError as error:
        raise MissingExtra("a job", "files") from error
    out = _Parts()
    writer: Any = None
    schema: Any = None
    for table in _settled(pages, columns):
        if writer is None:
            schema = pa.schema([(name, _kind(pa, name, column)) for name, column in table])
            writer = pq.ParquetWriter(pa.PythonFile(out, mode="w"), schema, compression="zstd")
        arrays = [_array(pa, field.type, column) for field, (_, column) in zip(schema, table, strict=True)]
        writer.write_table(pa.table(arrays, schema=schema))
        yield out.taken()
    writer.close()
    yield out.taken()


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
