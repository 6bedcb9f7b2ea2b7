"""CSV files as tables: read by pyarrow, every cell as text first, so that no cell decides about another."""

import csv
import io
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.csv

from predictq.chunkfile import CELLS
from predictq.messages import JobSource
from predictq_producers.jobs.faults import BadFile
from predictq_producers.jobs.pieces import Table
from predictq_producers.jobs.reading import OpenFile

__all__ = ["read_csv"]

_ENCODINGS = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
MAX_TEXT = 2000


def read_csv(file: OpenFile, source: JobSource, *, max_row_bytes: int) -> Iterator[Table]:
    """Pieces of some thousand rows. A row of too few or too many cells, or of other than the file's encoding, is
    refused by itself. Raises BadFile for a header that names no columns, and for a row above `max_row_bytes`.
    """
    delimiter = source.get("delimiter") or _delimiter(source)
    plain = file.plain()
    mark = plain.read(2)
    stream: io.RawIOBase = _Again(mark, plain)
    encoding = source.get("encoding") or _ENCODINGS.get(mark, "utf-8")
    if encoding.lower() not in {"utf-8", "utf8", "utf_8"}:
        stream = _Recoded(stream, encoding)
    first = _first_lines(stream, max_row_bytes)
    header = source.get("header", True)
    if header and b"\n" not in first.rstrip(b"\r\n"):
        first += b"\n"  # a header that is not ended is taken for the beginning of one
    names = _names(first.removeprefix(b"\xef\xbb\xbf"), delimiter, header=header)
    yield from _Reader(_Again(first, stream), names, delimiter, header=header, block=max_row_bytes).pieces()


class _Reader:
    def __init__(self, stream: Any, names: list[str], delimiter: str, *, header: bool, block: int) -> None:
        self._stream = stream
        self._names = names
        self._delimiter = delimiter
        self._header = header
        self._block = block
        self._bad: dict[int, tuple[str, str]] = {}
        """Rows that pyarrow passed over: what is wrong, and their text, by number."""

    def pieces(self) -> Iterator[Table]:
        number = 0
        for batch in self._open():
            size = batch.num_rows
            table, unreadable = _as_text(pa.Table.from_batches([batch]), self._names)
            refused: list[tuple[int, str, str]] = []
            if not unreadable and not self._bad:
                number += size
                yield Table(table, refused)
                continue
            place = at = 0
            while at < size or number in self._bad:
                if (wrong := self._bad.pop(number, None)) is not None:
                    refused.append((place, *wrong))
                elif at in unreadable:
                    refused.append((place, "is not UTF-8", unreadable[at]))
                    at += 1
                else:
                    at += 1
                number += 1
                place += 1
            yield Table(table, refused)
        if self._bad:
            # After the last row that is one.
            refused = [(at - number, *wrong) for at, wrong in sorted(self._bad.items())]
            yield Table(_schema(self._names).empty_table(), refused)

    def _open(self) -> Any:
        binary = {name: pa.binary() for name in self._names}
        return pa.csv.open_csv(
            self._stream,
            read_options=pa.csv.ReadOptions(
                use_threads=False,
                block_size=max(self._block, 1 << 20),
                column_names=self._names,
                skip_rows_after_names=1 if self._header else 0,
            ),
            parse_options=pa.csv.ParseOptions(
                delimiter=self._delimiter, newlines_in_values=True, invalid_row_handler=self._invalid
            ),
            convert_options=pa.csv.ConvertOptions(
                column_types=binary, check_utf8=False, strings_can_be_null=False, null_values=[]
            ),
        )

    def _invalid(self, row: Any) -> str:
        number = row.number - 1 - (1 if self._header else 0)
        right = f"{row.expected_columns}, one for each column, would be right"
        self._bad[number] = (f"has {row.actual_columns} cells; {right}", row.text[:MAX_TEXT])
        return "skip"


def _as_text(table: Any, names: list[str]) -> tuple[Any, dict[int, str]]:
    """The cells as texts, without the rows that hold what is none; these by their places."""
    unreadable: dict[int, str] = {}
    columns = []
    for column in table.columns:
        try:
            columns.append(column.cast(pa.string()))
        except pa.ArrowInvalid:
            for at, cell in enumerate(column.to_pylist()):
                try:
                    cell.decode()
                except UnicodeDecodeError:
                    unreadable.setdefault(at, "")
            columns.append(None)
    if unreadable:
        good = pa.array([at not in unreadable for at in range(table.num_rows)])
        for at in unreadable:
            cells = [column[at].as_py() for column in table.columns]
            unreadable[at] = b",".join(cells)[:MAX_TEXT].decode(errors="replace")
        columns = [column.filter(good).cast(pa.string()) for column in table.columns]
    return pa.table(columns, schema=_schema(names)), unreadable


def _schema(names: list[str]) -> Any:
    """Of texts: what reads them makes numbers of them, so that all pieces come out alike and can be joined."""
    return pa.schema([pa.field(name, pa.string(), metadata={CELLS: b"1"}) for name in names])


def _first_lines(stream: Any, max_bytes: int) -> bytes:
    """The beginning, with a line end that is not within quotes: the header is whole."""
    data = b""
    while len(data) <= max_bytes:
        more: bytes = stream.read(1 << 16)
        data += more
        start = len(data) - len(data.removeprefix(b"\xef\xbb\xbf").lstrip(b"\r\n"))
        end = data.find(b"\n", start)
        while end >= 0:
            if data.count(b'"', 0, end) % 2 == 0:
                return data
            end = data.find(b"\n", end + 1)
        if not more:
            return data
    raise BadFile(f"the first line has more than {max_bytes} bytes; jobs.max_row_bytes allows no more")


def _names(data: bytes, delimiter: str, *, header: bool) -> list[str]:
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        text = data[: error.start].decode()
        if "\n" not in text.lstrip():
            raise BadFile(f"the header is not UTF-8: {error.reason}; name the encoding") from error
    names = next((row for row in csv.reader(io.StringIO(text.lstrip("\r\n")), delimiter=delimiter) if row), None)
    if names is None:
        raise BadFile("the file is empty")
    if not header:
        return [str(number) for number in range(len(names))]
    for number, name in enumerate(names, start=1):
        if not name.strip():
            raise BadFile(f"column {number} has no name; a name of its own for each column would be right")
    twice = [name for name in dict.fromkeys(names) if names.count(name) > 1]
    if twice:
        raise BadFile(f"column {twice[0]!r} stands twice; a name of its own for each column would be right")
    return names


def _delimiter(source: JobSource) -> str:
    return "\t" if ".tsv" in source["name"].lower() else ","


class _Again(io.RawIOBase):
    """What was read ahead, then the rest."""

    def __init__(self, ahead: bytes, rest: Any) -> None:
        self._ahead = ahead
        self._rest = rest

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        if self._ahead:
            ahead = self._ahead if size < 0 else self._ahead[:size]
            self._ahead = self._ahead[len(ahead) :]
            return ahead
        rest: bytes = self._rest.read(size)
        return rest


class _Recoded(io.RawIOBase):
    """Text of another encoding as UTF-8. What is none of it becomes U+FFFD."""

    def __init__(self, stream: Any, encoding: str) -> None:
        import codecs  # noqa: PLC0415 - for this rare case alone

        try:
            self._decoder = codecs.getincrementaldecoder(encoding)(errors="replace")
        except LookupError as error:
            raise BadFile(f"encoding {encoding!r} is unknown; utf-8, latin-1 or cp1252 would be right") from error
        self._stream = stream
        self._ready = b""

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        while not self._ready:
            data = self._stream.read(1 << 16)
            self._ready = self._decoder.decode(data, final=not data).encode()
            if not data:
                break
        ready: bytes = self._ready if size < 0 else self._ready[:size]
        self._ready = self._ready[len(ready) :]
        return ready
