"""Files as jobs read them: what kind they are, which of their rows can be used, and what makes all of one unusable."""

import gzip
import io
import json
from pathlib import Path
from typing import Any, cast

import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from predictq.chunkfile import CELLS, ChunkRows, cell_value, read_chunk, write_table
from predictq.messages import JobSource
from predictq_producers.jobs.columns import columns_of
from predictq_producers.jobs.csv_rows import read_csv
from predictq_producers.jobs.faults import BadFile
from predictq_producers.jobs.json_rows import read_json, read_json_lines
from predictq_producers.jobs.pieces import Lines, Piece, Table, gathered
from predictq_producers.jobs.reading import opened, told
from predictq_producers.jobs.recognising import compression_of, format_of
from predictq_producers.jobs.tables import read_arrow, read_parquet

ROW_BYTES = 1 << 20


def read(
    path: Path, name: str | None = None, *, rows: int = 1000, max_bytes: int = 1 << 30, **options: Any
) -> ChunkRows:
    """The rows of a whole file, as a cutter would read them from its chunks put together."""
    source = cast("JobSource", {"url": f"file://{path}", "name": name or path.name, **options})
    places: list[int] = []
    found: list[Any] = []
    names: list[str] | None = None
    refused = {}
    first = 0
    with opened(source, {}, max_bytes=max_bytes) as file, told():
        pieces: Any
        match file.kind.format:
            case "csv":
                pieces = read_csv(file, source, max_row_bytes=ROW_BYTES)
            case "jsonl":
                pieces = read_json_lines(file, max_row_bytes=ROW_BYTES)
            case "json":
                pieces = read_json(file, max_bytes=1 << 24)
            case "parquet":
                pieces = read_parquet(file, rows)
            case "arrow":
                pieces = read_arrow(file, rows)
        for piece in gathered(pieces, rows):
            chunk = _chunk(piece)
            names = chunk.names
            places += [first + place for place in chunk.places]
            found += chunk.rows
            refused.update({first + place: why for place, why in chunk.refused.items()})
            first += piece.rows
    return ChunkRows(names, places, found, refused)


def _chunk(piece: Piece) -> ChunkRows:
    stream = io.BytesIO()
    if isinstance(piece, Lines):
        stream.write(b"\n".join(piece.lines))
    else:
        write_table(stream, piece.table.combine_chunks(), piece.refused)
    stream.seek(0)
    return read_chunk(stream, "jsonl" if isinstance(piece, Lines) else "arrow")


@pytest.fixture
def file(tmp_path: Path) -> Any:
    def write(data: bytes | str, name: str = "rows.csv") -> Path:
        path = tmp_path / name
        path.write_bytes(data.encode() if isinstance(data, str) else data)
        return path

    return write


@pytest.mark.parametrize(
    ("data", "name", "form"),
    [
        (b"a,b\n1,2\n", "rows.csv", "csv"),
        (b"a,b\n1,2\n", "", "csv"),
        (b"a,b\n1,2\n", "rows.parquet", "csv"),
        (b"PAR1\0\0", "rows.csv", "parquet"),
        (b"ARROW1\0\0", "rows", "arrow"),
        (b'{"a": 1}\n{"a": 2}\n', "rows", "jsonl"),
        (b'{"a": 1}\n', "rows.jsonl.gz", "jsonl"),
        (b"[1, 2]\n[3, 4]\n", "rows", "jsonl"),
        (b"[[1, 2], [3, 4]]\n", "rows", "json"),
        (b'[\n  {"a": 1}\n]\n', "rows.json", "json"),
        (b'\xef\xbb\xbf[{"a": 1}]', "rows.json", "json"),
        (b"a\tb\n1\t2\n", "rows.tsv.zst", "csv"),
    ],
)
def test_the_content_says_what_a_file_is_and_the_name_where_it_does_not(data: bytes, name: str, form: str) -> None:
    assert format_of(data, name) == form


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "is empty"),
        (b" \n\n", "nothing but white space"),
        (b"PK\x03\x04", "Excel workbook"),
        (b"%PDF-1.7", "PDF"),
        (b"BZh91AY", "bzip2"),
        (b"\x7fELF\0\0\0", "of no known kind"),
    ],
)
def test_what_is_none_of_them_is_told(data: bytes, reason: str) -> None:
    with pytest.raises(BadFile, match=reason):
        format_of(data, "rows")


def test_packed_files_are_known_by_their_first_bytes() -> None:
    assert compression_of(gzip.compress(b"x")) == "gzip"
    assert compression_of(pa.compress(b"x", codec="zstd", asbytes=True)) == "zstd"
    assert compression_of(b"a,b") is None


def test_a_csv_file_gives_numbers_texts_and_nothing(file: Any) -> None:
    found = read(file('name,n,x\nann,1,2.5\n"b, ""c""",,1e3\n"two\nlines",007,-0.5\n'))

    assert found.names == ["name", "n", "x"]
    assert found.rows == [("ann", 1, 2.5), ('b, "c"', None, 1000.0), ("two\nlines", "007", -0.5)]
    assert found.refused == {}


def test_all_numbers_of_a_column_are_read_at_once_as_they_are_one_by_one() -> None:
    late = [["1"] * 20 + [cell] for cell in ("007", "-00.5", "x", "1e400", "1.5")]
    for cells in (
        *late,
        ["1", "", "-3"],
        ["1.5", "2", ""],
        ["007", "1"],
        ["1", "x"],
        ["1e400", "1"],
        [".5", "5."],
        ["nan"],
    ):
        table = pa.table([pa.array(cells)], schema=pa.schema([pa.field("a", pa.string(), metadata={CELLS: b"1"})]))
        chunk = _chunk(Table(table, []))
        assert [row[0] for row in chunk.rows] == [cell_value(cell) for cell in cells]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("rows", [1, 2, 3, 1000])
def test_rows_that_are_ragged_or_of_another_encoding_are_refused_by_their_places(
    file: Any, end: str, rows: int
) -> None:
    lines = [b"a,b", b"1,2", b"3", b"4,\xff", b"5,6", b"", b"7,8,9", b"10,11"]

    found = read(file(end.encode().join(lines)), rows=rows)

    assert list(zip(found.places, found.rows, strict=True)) == [(0, (1, 2)), (3, (5, 6)), (5, (10, 11))]
    assert sorted(found.refused) == [1, 2, 4]
    assert found.refused[1].text == "3"
    assert found.refused[2].reason == "is not UTF-8"
    assert found.refused[4].reason == "has 3 cells; 2, one for each column, would be right"


def test_a_file_of_nothing_but_ragged_rows_keeps_them_all(file: Any) -> None:
    found = read(file("a,b\n1\n2\n3\n"))

    assert found.rows == []
    assert sorted(found.refused) == [0, 1, 2]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 3), min_size=1, max_size=60), st.integers(1, 25))
def test_whatever_is_ragged_every_row_keeps_its_place(
    tmp_path_factory: pytest.TempPathFactory, kinds: list[int], rows: int
) -> None:
    path = tmp_path_factory.mktemp("csv") / "rows.csv"
    text = {0: b"%d,good", 1: b"%d", 2: b"%d,x,y", 3: b"%d,\xfe"}
    path.write_bytes(b"a,b\n" + b"".join(text[kind] % at + b"\n" for at, kind in enumerate(kinds)))

    found = read(path, rows=rows)

    assert list(found.places) == [at for at, kind in enumerate(kinds) if kind == 0]
    assert [row[0] for row in found.rows] == list(found.places)
    assert sorted(found.refused) == [at for at, kind in enumerate(kinds) if kind]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ("a,a\n1,2\n", "column 'a' stands twice"),
        ("a,\n1,2\n", "column 2 has no name"),
        ("\n\n", "nothing but white space"),
        (b"a," + b"x" * (2 * ROW_BYTES), "the first line has more than"),
        (b"a,b\n1," + b"x" * (4 * ROW_BYTES) + b"\n", "cannot be read on"),
    ],
)
def test_a_csv_file_that_cannot_be_read_says_why(file: Any, data: Any, reason: str) -> None:
    with pytest.raises(BadFile, match=reason):
        read(file(data))


@pytest.mark.parametrize("text", ["a,b\n", "a,b", "a,b\r\n\r\n"])
def test_a_header_without_rows_has_none(file: Any, text: str) -> None:
    found = read(file(text))
    assert (found.rows, found.refused) == ([], {})


@pytest.mark.parametrize("text", ["a,b\n1,2", "a,b\r\n1,2", "a,b\n\n\n1,2\n\n"])
def test_the_last_row_needs_no_line_end(file: Any, text: str) -> None:
    assert read(file(text)).rows == [(1, 2)]


def test_a_byte_order_mark_is_no_part_of_the_first_name(file: Any) -> None:
    assert read(file(b"\xef\xbb\xbfa,b\n1,2\n")).names == ["a", "b"]


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "utf-16"])
def test_other_encodings_are_read(file: Any, encoding: str) -> None:
    found = read(file("name,n\nJürgen,1\n".encode(encoding)), encoding=encoding)

    assert found.rows == [("Jürgen", 1)]


def test_utf_16_says_so_itself(file: Any) -> None:
    assert read(file("name,n\nJürgen,1\n".encode("utf-16"))).rows == [("Jürgen", 1)]


def test_no_header_gives_numbers_for_names(file: Any) -> None:
    found = read(file("1,2\n3,4\n"), header=False)

    assert found.names == ["0", "1"]
    assert found.rows == [(1, 2), (3, 4)]


def test_another_delimiter(file: Any) -> None:
    assert read(file("a;b\n1;2\n"), delimiter=";").rows == [(1, 2)]
    assert read(file("a\tb\n1\t2\n", "rows.tsv")).rows == [(1, 2)]


@pytest.mark.parametrize("codec", ["gzip", "zstd"])
def test_packed_files_are_unpacked(file: Any, codec: str) -> None:
    packed = pa.BufferOutputStream()
    with pa.CompressedOutputStream(packed, codec) as out:
        out.write(b"a,b\n" + b"1,2\n" * 50_000)

    assert len(read(file(packed.getvalue().to_pybytes(), "rows.csv.x"), rows=20_000).rows) == 50_000


def test_a_truncated_gzip_fails_the_file(file: Any) -> None:
    packed = gzip.compress(b"a,b\n" + bytes(str(list(range(300_000))), "ascii").replace(b",", b",1\n"))

    with pytest.raises(BadFile, match="cannot be read on"):
        read(file(packed[: len(packed) // 2], "rows.csv.gz"))


def test_a_zip_bomb_is_given_up(file: Any) -> None:
    bomb = gzip.compress(b"a,b\n" + b"1,2\n" * 2_000_000, 9)
    assert len(bomb) < 50_000

    with pytest.raises(BadFile, match="more than 1000000 bytes unpacked"):
        read(file(bomb, "rows.csv.gz"), max_bytes=1_000_000)


def test_json_lines_that_are_none_are_refused_alone(file: Any) -> None:
    found = read(file('{"a": 1}\n\n{"a": \n[1, 2]\n{"a": NaN}\n', "rows.jsonl"))

    assert found.rows == [{"a": 1}, [1, 2]]
    assert list(found.places) == [0, 2]
    assert sorted(found.refused) == [1, 3]


def test_a_json_line_that_never_ends_fails_the_file(file: Any) -> None:
    with pytest.raises(BadFile, match="a line has more than"):
        read(file(b'{"a": "' + b"x" * (3 * ROW_BYTES), "rows.jsonl"))


def test_a_json_array_and_what_http_takes(file: Any) -> None:
    assert read(file('[{"a": 1}, {"a": 2}]', "rows.json")).rows == [{"a": 1}, {"a": 2}]
    assert read(file('{"instances": [[1], [2]]}', "rows.json")).rows == [[1], [2]]
    with pytest.raises(BadFile, match="the list is empty"):
        read(file("[]", "rows.json"))
    with pytest.raises(BadFile, match="is not JSON"):
        read(file('[{"a": 1}, ', "rows.json"))


def test_tables_keep_their_types_and_refuse_what_is_not_finite(file: Any, tmp_path: Path) -> None:
    table = pa.table(
        {
            "f": pa.array([1.5, None, float("nan"), float("inf")]),
            "i": pa.array([1, 2, 3, 4], pa.int8()),
            "t": pa.array(["a", "b", None, "d"]).dictionary_encode(),
            "d": pa.array([0, 1, 2, 3], pa.date32()),
            "l": pa.array([[1], [], None, [2]]),
        }
    )
    pq.write_table(table, tmp_path / "rows.parquet")
    with pa.ipc.new_file(tmp_path / "rows.arrow", table.schema) as writer:
        writer.write_table(table)

    for name in ("rows.parquet", "rows.arrow"):
        found = read(tmp_path / name)
        assert found.rows[:2] == [(1.5, 1, "a", "1970-01-01", [1]), (None, 2, "b", "1970-01-02", [])]
        assert found.rows[2] == (None, 3, None, "1970-01-03", None)
        assert list(found.refused) == [3]
        assert (found.refused[3].column, found.refused[3].reason) == ("f", "is no finite number")


def test_a_table_that_json_has_no_words_for_is_refused(tmp_path: Path) -> None:
    pq.write_table(pa.table({"b": pa.array([b"\xff"])}), tmp_path / "rows.parquet")

    with pytest.raises(BadFile, match="column 'b' holds binary"):
        read(tmp_path / "rows.parquet")


@pytest.mark.parametrize("keep", [4, 100, -1])
def test_a_parquet_file_without_its_end_is_refused(tmp_path: Path, keep: int) -> None:
    pq.write_table(pa.table({"a": list(range(1000))}), tmp_path / "whole.parquet")
    (tmp_path / "rows.parquet").write_bytes((tmp_path / "whole.parquet").read_bytes()[:keep])

    with pytest.raises(BadFile, match="cannot be read on"):
        read(tmp_path / "rows.parquet")


def test_a_file_that_changes_while_it_is_read_is_refused(file: Any) -> None:
    path = file("a\n1\n")
    source = cast("JobSource", {"url": f"file://{path}", "name": "rows.csv"})

    with pytest.raises(BadFile, match="changed while it was read"), opened(source, {}, max_bytes=1000):
        path.write_text("a\n1\n2\n")


def test_what_is_no_file_is_told(tmp_path: Path) -> None:
    for path, reason in ((tmp_path, "no regular file"), (tmp_path / "none", "is not there")):
        with pytest.raises(BadFile, match=reason):
            read(path, "rows.csv")


def test_which_columns_are_features() -> None:
    schema = {"properties": {"a": {}, "b": {}}, "required": ["a"]}

    assert columns_of(["id", "a", "b"], None, [], "id") == (["a", "b"], ["id"])
    assert columns_of(["b", "a"], schema, [], None) == (["b", "a"], [])
    assert columns_of(["a", "x", "y"], schema, ["*"], None) == (["a"], ["x", "y"])
    assert columns_of(["a", "b"], schema, ["b"], None) == (["a", "b"], ["b"])
    for names, keep, reason in (
        (["b"], [], "column 'a' is missing"),
        (["a", "x"], [], "column 'x' is unknown to the endpoint"),
        (["a"], ["z"], "column 'z' is to be kept, but the file has none"),
    ):
        with pytest.raises(BadFile, match=reason):
            columns_of(names, schema, keep, None)


def test_pieces_come_out_in_the_size_that_is_asked_for() -> None:
    pieces: list[Piece] = [Lines([b"1"] * n) for n in (3, 1, 10, 2)]

    assert [piece.rows for piece in gathered(iter(pieces), 4)] == [4, 4, 4, 4]
    assert [piece.rows for piece in gathered(iter(pieces), 5)] == [5, 5, 5, 1]
    assert json.loads(b"[" + b",".join(p.lines[0] for p in pieces if isinstance(p, Lines)) + b"]") == [1, 1, 1, 1]
