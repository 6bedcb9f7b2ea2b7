"""Results of a job as a file: CSV, JSON Lines or Parquet, a chunk at a time."""

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Literal

from pydantic_core import to_json

from predictq_sync.jobs.parquet import write_parquet
from predictq_sync.jobs.result_table import Leaf, Table, tables_of
from predictq_sync.jobs.results import Page, RowError

__all__ = ["MEDIA_TYPES", "ResultFormat", "write_errors", "write_results"]

ResultFormat = Literal["csv", "jsonl", "parquet"]
MEDIA_TYPES: Mapping[ResultFormat, str] = {
    "csv": "text/csv; charset=utf-8",
    "jsonl": "application/x-ndjson",
    "parquet": "application/vnd.apache.parquet",
}


def write_results(pages: Iterable[Page], deployments: Sequence[str], form: ResultFormat) -> Iterator[bytes]:
    """The file, in parts. Raises MissingExtra for Parquet without pyarrow."""
    if form == "jsonl":
        return _json_lines(pages)
    tables = tables_of(pages, deployments)
    return _csv(tables) if form == "csv" else write_parquet(tables)


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
                    "outputs": {name: outputs.values[at] for name, outputs in page.outputs.items()},
                    "error": page.errors[at],
                },
                inf_nan_mode="null",
            )
            + b"\n"
            for at, status in enumerate(page.statuses)
        )


def _csv(tables: Iterable[Table]) -> Iterator[bytes]:
    first = True
    for table in tables:
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        if first:
            writer.writerow([name for name, _ in table])
            first = False
        columns = (column.values() if isinstance(column, Leaf) else column for _, column in table)
        writer.writerows(zip(*columns, strict=True))
        yield text.getvalue().encode()
