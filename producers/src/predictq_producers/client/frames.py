"""DataFrames of pandas and polars on their way to rows and back. Neither is imported unless it is there already."""

from collections.abc import Sequence
from typing import IO, Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from predictq.errors import UserMistake
from predictq_producers.client.errors import BadAnswer

__all__ = ["FrameRows", "instances_of", "library_of", "read_pandas", "read_polars", "read_table"]

Library = Literal["pandas", "polars"]


def library_of(value: Any) -> Library | None:
    """Whose DataFrame this is; None where it is none."""
    for kind in type(value).__mro__:
        if kind.__name__ == "DataFrame":
            for library in ("pandas", "polars"):
                if kind.__module__.partition(".")[0] == library:
                    return library
    return None


def instances_of(value: Any) -> Any:
    """The rows of a DataFrame as objects of named features, with None where a value is missing; all else as it is."""
    return value if library_of(value) is None else _table_of(value).to_pylist()


class FrameRows:
    """A DataFrame that is predicted row by row, and what comes of it."""

    def __init__(self, frame: Any, *, keep: Sequence[str], id_column: str | None) -> None:
        """Raises UserMistake unless it is a DataFrame that can be written as Parquet."""
        library = library_of(frame)
        if library is None:
            raise UserMistake(f"{type(frame).__name__} is no DataFrame; one of pandas or polars would be right")
        self._library = library
        self._frame = frame
        self._table = _table_of(frame)
        self._kept = [*([id_column] if id_column is not None else []), *keep]
        if not self._table.num_rows:
            raise UserMistake("the DataFrame has no rows")

    def write(self, file: IO[bytes]) -> None:
        """Write it as Parquet."""
        pq.write_table(self._table, file, compression="zstd")
        file.seek(0)

    def answer(self, results: Any) -> Any:
        """A DataFrame of the same library, index and order: the kept columns as they were, status, outputs, error.

        `results` is the table of the job's results. A name that is a kept column's is prefixed with `predicted.`.
        """
        if results.num_rows != self._table.num_rows:
            raise BadAnswer(f"{results.num_rows} results came of {self._table.num_rows} rows")
        carried = self._carried(results.column_names)
        kept = [name for name in self._table.column_names if name in carried]
        answers = results.select(range(1 + len(carried), results.num_columns))
        names = [f"predicted.{name}" if name in kept else name for name in answers.column_names]
        answers = answers.rename_columns(names)
        if self._library == "polars":
            import polars as pl  # noqa: PLC0415 - there already, as its DataFrame is

            return pl.concat([self._frame.select(kept), pl.from_arrow(answers)], how="horizontal")
        frame = answers.to_pandas()
        frame.index = self._frame.index
        names = [str(name) for name in self._frame.columns]
        for place, name in enumerate(kept):
            frame.insert(place, name, self._frame.iloc[:, names.index(name)])
        return frame

    def _carried(self, names: Sequence[str]) -> list[str]:
        """The columns between `row` and `status`, which a kept column may be called as well."""
        own = set(self._table.column_names)
        asked = {name for name in self._kept if name != "*"}
        for end in range(1, len(names)):
            carried = names[1:end]
            if names[end] == "status" and own.issuperset(carried) and asked.issubset(carried):
                return list(carried)
        raise BadAnswer(f"the results have the columns {', '.join(names[:20])}, without what was to be kept")


def read_table(file: IO[bytes]) -> Any:
    """The results of a job, written as Parquet, as a `pyarrow.Table`; two columns may have one name."""
    file.seek(0)
    return pq.ParquetFile(file).read()


def read_pandas(file: IO[bytes]) -> Any:
    """The same as a `pandas.DataFrame`."""
    try:
        import pandas as pd  # noqa: F401, PLC0415 - an option
    except ImportError as error:
        raise UserMistake("a DataFrame of pandas needs it: pip install pandas") from error
    return read_table(file).to_pandas()


def read_polars(file: IO[bytes]) -> Any:
    """The same as a `polars.DataFrame`."""
    try:
        import polars as pl  # noqa: PLC0415 - an option
    except ImportError as error:
        raise UserMistake("a DataFrame of polars needs it: pip install polars") from error
    return pl.from_arrow(read_table(file))


def _table_of(frame: Any) -> Any:
    try:
        if library_of(frame) == "polars":
            return frame.to_arrow()
        return pa.Table.from_pandas(frame, preserve_index=False)
    except (pa.ArrowException, ValueError, TypeError) as error:
        raise UserMistake(f"the DataFrame cannot be written as Arrow: {error}") from error
