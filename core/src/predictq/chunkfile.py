"""Files that hold one chunk of a job: a run of rows, written once by the planner and read by whoever needs its rows.

`arrow` is one table in Arrow's IPC format, columns as they were in the file. What could not be made a row of it stands
in the schema's metadata, by its place. `jsonl` is lines of a JSON Lines file as they came.
"""

import math
import re
from collections.abc import Mapping, Sequence
from typing import IO, Any, NamedTuple

from pydantic_core import from_json, to_json

from predictq.errors import MissingExtra
from predictq.messages import ChunkForm, NumberType

__all__ = [
    "CELLS",
    "NUMBER",
    "REFUSED",
    "ChunkNumbers",
    "ChunkRows",
    "Refusal",
    "cell_value",
    "read_chunk",
    "read_numbers",
    "write_table",
]

REFUSED = b"predictq.refused"
"""Metadata of the schema: a JSON list of [place, reason, text]."""
CELLS = b"predictq.cells"
"""Metadata of a column: its texts are cells of a CSV file, each a number, nothing or a text of its own."""
NUMBER = re.compile(r"[+-]?(?:0|[1-9][0-9]*|(?=\.[0-9]))(?:\.[0-9]*)?(?:[eE][+-]?[0-9]+)?")
"""A number as JSON and spreadsheets write it; 007 is none, so that codes and postcodes stay texts."""


class Refusal(NamedTuple):
    """A row that cannot be used."""

    reason: str
    text: str
    """As it stood in the file, or the beginning of it."""
    column: str | None = None


class ChunkRows(NamedTuple):
    """The rows of a chunk that could be read, and those that could not, by their places within it."""

    names: list[str] | None
    """Of the columns; None where a row is any JSON."""
    places: Sequence[int]
    """Of the rows, in order."""
    rows: Sequence[Any]
    """Each a tuple of as many values as there are names, or any JSON."""
    refused: Mapping[int, Refusal]


class ChunkNumbers(NamedTuple):
    """The rows of a chunk whose features are numbers, as columns."""

    types: Sequence[NumberType]
    columns: Sequence[memoryview]
    """The bytes of each, little-endian, eight a row."""
    places: Sequence[int]
    refused: Mapping[int, Refusal]
    """As in `ChunkRows`."""

    def slice(self, start: int, stop: int) -> Sequence[memoryview]:
        """The bytes of some rows in a row."""
        return [column[start * 8 : stop * 8] for column in self.columns]


def read_chunk(stream: IO[bytes], form: ChunkForm, columns: Sequence[str] | None = None) -> ChunkRows:
    """All rows of a chunk, of a table only these columns."""
    return _table(stream, columns) if form == "arrow" else _lines(stream)


def write_table(stream: IO[bytes], table: Any, refused: Sequence[tuple[int, str, str]]) -> None:
    """Write a `pyarrow.Table`, and what is missing between its rows. Cells that are all numbers become numbers."""
    pa = _pyarrow()
    for at, field in enumerate(table.schema):
        if field.metadata and CELLS in field.metadata and (numbers := _numbers(table.column(at))) is not None:
            table = table.set_column(at, pa.field(field.name, numbers.type), numbers)
    table = table.replace_schema_metadata({**(table.schema.metadata or {}), REFUSED: to_json(list(refused))})
    with pa.ipc.new_file(stream, table.schema, options=pa.ipc.IpcWriteOptions(compression="lz4")) as writer:
        writer.write_table(table)


def read_numbers(stream: IO[bytes], columns: Sequence[str]) -> ChunkNumbers | None:
    """These columns of a table, if there is any and each is made of finite numbers and nothing else; None where
    `read_chunk` must look at the values."""
    pa = _pyarrow()
    schema = pa.ipc.open_file(stream).schema
    types = [kind for name in columns if (kind := _number_type(schema.field(name))) is not None]
    if not columns or len(types) < len(columns):
        return None
    stream.seek(0)
    table, refused = _opened(stream)
    values: list[memoryview] = []
    if not table.num_rows:
        return None
    for name, kind in zip(columns, types, strict=True):
        column = table.column(name)
        if column.null_count or (kind == "float64" and not _all_finite(column)):
            return None
        numbers = column.cast(pa.type_for_alias(kind)).combine_chunks()
        values.append(memoryview(numbers.buffers()[1])[numbers.offset * 8 : (numbers.offset + len(numbers)) * 8])
    return ChunkNumbers(types, values, _places(table.num_rows, refused), refused)


def _lines(stream: IO[bytes]) -> ChunkRows:
    places: list[int] = []
    rows: list[Any] = []
    refused: dict[int, Refusal] = {}
    for place, line in enumerate(stream.read().split(b"\n")):
        try:
            rows.append(from_json(line, allow_inf_nan=False))
            places.append(place)
        except ValueError as error:
            refused[place] = Refusal(f"is not JSON: {error}", line[:2000].decode(errors="replace"))
    return ChunkRows(None, places, rows, refused)


def _table(stream: IO[bytes], columns: Sequence[str] | None) -> ChunkRows:
    table, refused = _opened(stream)
    places = _places(table.num_rows, refused)
    if columns is not None:
        table = table.select(list(columns))
    names = list(table.column_names)
    values = [_values(field, column) for field, column in zip(table.schema, table.columns, strict=True)]
    rows = list(zip(*values, strict=True)) if values else [()] * table.num_rows
    infinite = _infinite(table)
    if infinite:
        kept = [at for at in range(len(rows)) if at not in infinite]
        for at, name in infinite.items():
            text = to_json(dict(zip(names, rows[at], strict=True)), inf_nan_mode="strings").decode()
            refused[places[at]] = Refusal("is no finite number", text, name)
        places, rows = [places[at] for at in kept], [rows[at] for at in kept]
    return ChunkRows(names, places, rows, refused)


def _opened(stream: IO[bytes]) -> tuple[Any, dict[int, Refusal]]:
    table = _pyarrow().ipc.open_file(stream).read_all()
    found: list[tuple[int, str, str]] = from_json((table.schema.metadata or {}).get(REFUSED, b"[]"))
    return table, {place: Refusal(reason, text) for place, reason, text in found}


def _places(rows: int, refused: Mapping[int, Refusal]) -> Sequence[int]:
    total = rows + len(refused)
    return [place for place in range(total) if place not in refused] if refused else range(total)


def _is_cells(field: Any) -> bool:
    return bool(field.metadata and CELLS in field.metadata)


def _number_type(field: Any) -> NumberType | None:
    """As what its numbers can travel without loss; None where it holds anything else."""
    pa = _pyarrow()
    if _is_cells(field):
        return None
    if pa.types.is_floating(field.type):
        return "float64"
    return "int64" if pa.types.is_integer(field.type) and field.type != pa.uint64() else None


def _all_finite(column: Any) -> bool:
    import pyarrow.compute as pc  # noqa: PLC0415 - an extra

    return bool(pc.all(pc.is_finite(column)).as_py())


def _values(field: Any, column: Any) -> list[Any]:
    pa = _pyarrow()
    import pyarrow.compute as pc  # noqa: PLC0415 - an extra

    kind = field.type
    if _is_cells(field):
        return [None if text is None else cell_value(text) for text in column.to_pylist()]
    if pa.types.is_dictionary(kind):
        column, kind = column.cast(kind.value_type), kind.value_type
    if pa.types.is_floating(kind):
        column = column.cast(pa.float64())
        if pc.any(pc.is_nan(column)).as_py():
            column = pc.if_else(pc.is_nan(column), pa.scalar(None, pa.float64()), column)
    elif pa.types.is_temporal(kind) and not pa.types.is_duration(kind):
        column = column.cast(pa.string())
    elif pa.types.is_decimal(kind):
        column = column.cast(pa.float64())
    values: list[Any]
    if column.null_count == 0 and (pa.types.is_floating(column.type) or pa.types.is_integer(column.type)):
        values = column.to_numpy().tolist()  # a third of the time
    else:
        values = column.to_pylist()
    return values


def _numbers(column: Any) -> Any:
    """Texts as `cell_value` has them where all are numbers, else None; one with a fraction makes all of them floats."""
    pa = _pyarrow()
    import pyarrow.compute as pc  # noqa: PLC0415 - an extra

    filled = pc.if_else(pc.equal(column, ""), pa.scalar(None, pa.string()), column)
    # A cast that fails costs twenty times one that succeeds, so a look at some of the cells goes before.
    if any(isinstance(cell_value(text), str) for text in filled.drop_null().slice(0, 10).to_pylist()):
        return None
    fractions = pc.any(pc.match_substring(filled, ".")).as_py()
    for kind in (pa.float64(),) if fractions else (pa.int64(), pa.float64()):
        try:
            numbers = filled.cast(kind)
        except pa.ArrowInvalid:
            continue
        for sign in ("", "-", "+"):
            zero = filled.filter(pc.starts_with(filled, f"{sign}0"))
            if pc.any(pc.match_substring_regex(zero, "^[+-]?0[0-9]")).as_py():
                return None
        finite = kind == pa.int64() or pc.all(pc.is_finite(numbers)).as_py() is not False
        return numbers if finite else None
    return None


def _infinite(table: Any) -> dict[int, str]:
    pa = _pyarrow()
    import pyarrow.compute as pc  # noqa: PLC0415 - an extra

    found: dict[int, str] = {}
    for field, column in zip(table.schema, table.columns, strict=True):
        if pa.types.is_floating(field.type) and pc.any(pc.is_inf(column.cast(pa.float64()))).as_py():
            at_once = pc.indices_nonzero(pc.fill_null(pc.is_inf(column.cast(pa.float64())), False))
            for at in at_once.to_pylist():
                found.setdefault(at, field.name)
    return found


def cell_value(cell: str) -> Any:
    """A number where it reads as one, null where it is empty, else the text."""
    if not cell:
        return None
    if not NUMBER.fullmatch(cell):
        return cell
    if cell.lstrip("+-").isdigit() and len(cell) <= 4300:
        return int(cell)
    number = float(cell)
    return cell if math.isinf(number) else number


def _pyarrow() -> Any:
    try:
        import pyarrow as pa  # noqa: PLC0415 - an extra
        import pyarrow.ipc  # noqa: PLC0415
    except ImportError as error:
        raise MissingExtra("a job", "files") from error
    return pa
