"""Parquet and Arrow files as tables."""

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet as pq

from predictq_producers.jobs.faults import BadFile
from predictq_producers.jobs.pieces import Table
from predictq_producers.jobs.reading import OpenFile

__all__ = ["read_arrow", "read_parquet"]


def read_parquet(file: OpenFile, rows: int) -> Iterator[Table]:
    """A row group at a time, at most `rows` rows each."""
    if file.kind.compression is not None:
        raise BadFile("the Parquet file is packed once more; Parquet packs by itself, leave it as it is")
    file.raw.seek(0)
    whole = pq.ParquetFile(file.raw)
    _check(whole.schema_arrow)
    for batch in whole.iter_batches(batch_size=rows):
        yield Table(pa.Table.from_batches([batch]), [])


def read_arrow(file: OpenFile, rows: int) -> Iterator[Table]:
    """A batch at a time, at most `rows` rows each."""
    if file.kind.compression is not None:
        raise BadFile("the Arrow file is packed as a whole; let Arrow pack its batches, or leave it as it is")
    file.raw.seek(0)
    whole = pa.ipc.open_file(file.raw)
    _check(whole.schema)
    for number in range(whole.num_record_batches):
        table = pa.Table.from_batches([whole.get_batch(number)])
        for start in range(0, table.num_rows, rows):
            yield Table(table.slice(start, rows), [])


def _check(schema: Any) -> None:
    if len(schema) == 0:
        raise BadFile("the file has no columns")
    twice = [name for name in dict.fromkeys(schema.names) if schema.names.count(name) > 1]
    if twice:
        raise BadFile(f"column {twice[0]!r} stands twice; a name of its own for each column would be right")
    for field in schema:
        kind = field.type
        if any(test(kind) for test in (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_duration)):
            raise BadFile(f"column {field.name!r} holds {kind}, which JSON has no word for; leave it out")
