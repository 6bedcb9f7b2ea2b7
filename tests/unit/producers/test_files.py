"""Instances in files."""

import io
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from predictq.errors import UserMistake
from predictq_producers.files import Format, Row, format_of, read_rows


def rows(raw: bytes, form: Format) -> list[Row]:
    return list(read_rows(io.BytesIO(raw), "f", form))


def instances(raw: bytes, form: Format) -> list[Any]:
    return [row.instance for row in rows(raw, form)]


@pytest.mark.parametrize(
    "raw", [b'{"instances":[{"a":1},{"a":2}]}', b'[{"a":1},{"a":2}]', b'\xef\xbb\xbf[{"a":1},{"a":2}]']
)
def test_json(raw: bytes) -> None:
    assert instances(raw, Format.JSON) == [{"a": 1}, {"a": 2}]


def test_one_object_is_one_instance() -> None:
    assert instances(b'{"a":1}', Format.JSON) == [{"a": 1}]


def test_json_lines() -> None:
    found = rows(b'\xef\xbb\xbf{"a":1}\r\n\n[2]\n', Format.JSONL)
    assert found == [("f:1", {"a": 1}), ("f:3", [2])]


def test_csv() -> None:
    raw = '\ufeffa,"b ""x""",c\r\n1,-2.5e3,Zürich\r\n.5,007,"two\nlines"\r\n\r\n,nan,5.\r\n'.encode()
    assert rows(raw, Format.CSV) == [
        ("f:2", {"a": 1, 'b "x"': -2500.0, "c": "Zürich"}),
        ("f:4", {"a": 0.5, 'b "x"': "007", "c": "two\nlines"}),
        ("f:6", {"a": None, 'b "x"': "nan", "c": 5.0}),
    ]


@pytest.mark.parametrize(
    ("raw", "form", "said"),
    [
        (b"{", Format.JSON, "f: is not JSON"),
        (b"[]", Format.JSON, "empty"),
        (b'{"instances":[],"x":1}', Format.JSON, "nothing else"),
        (b'{"a":1}\n{"a":\n', Format.JSONL, "f:2: is not JSON"),
        (b'{"a":NaN}', Format.JSONL, "f:1: is not JSON"),
        (b"", Format.CSV, "is empty"),
        (b"a,b\n1\n", Format.CSV, "f:2: has 1 cells; 2"),
        (b"a,b\n1,2\n1,2,3\n", Format.CSV, "f:3: has 3 cells; 2"),
        (b"a,a\n1,2\n", Format.CSV, "f:1: name 'a' stands twice"),
        (b"a,\n1,2\n", Format.CSV, "f:1: column 2 has no name"),
        (b"a\n\xff\n", Format.CSV, "no UTF-8"),
        (b'a\n"x', Format.CSV, "no CSV"),
        (b"a\n1e999\n", Format.CSV, "f:2: a: 1e999"),
        (b"a\n" + b"x" * 200_000, Format.CSV, "no CSV"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(raw: bytes, form: Format, said: str) -> None:
    with pytest.raises(UserMistake, match=said.replace("(", r"\(")):
        rows(raw, form)


@given(st.binary(max_size=200), st.sampled_from(list(Format)))
def test_any_bytes_are_rows_or_a_user_mistake(raw: bytes, form: Format) -> None:
    try:
        found = rows(raw, form)
    except UserMistake:
        return
    for row in found:
        if isinstance(row.instance, dict) and form is Format.CSV:
            assert not any(isinstance(v, float) and not math.isfinite(v) for v in row.instance.values())


@given(st.floats(allow_nan=False, allow_infinity=False) | st.integers())
def test_a_number_comes_back_from_csv_as_it_was(number: float) -> None:
    assert instances(f"a\n{number}\n".encode(), Format.CSV) == [{"a": number}]


def test_the_format_is_in_the_name() -> None:
    assert format_of("x/y.CSV") is Format.CSV
    assert format_of("y.ndjson") is Format.JSONL
    with pytest.raises(UserMistake, match="--format"):
        format_of("y.txt")
