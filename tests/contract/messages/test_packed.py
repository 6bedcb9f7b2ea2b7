"""Rows of numbers come out of their columns as they went in."""

import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic_core import from_json, to_json

from predictq.errors import BadMessage
from predictq.messages import NumberType, PackedRows, pack, unpack

FLOATS = st.floats(allow_nan=False, allow_infinity=False)
INTEGERS = st.integers(-(2**63), 2**63 - 1)


@st.composite
def tables(draw: st.DrawFn) -> tuple[list[NumberType], list[list[float]]]:
    """Types of columns, and their numbers."""
    types: list[NumberType] = draw(st.lists(st.sampled_from(["float64", "int64"]), min_size=1, max_size=5))
    rows = draw(st.integers(1, 6))
    kinds = {"float64": FLOATS, "int64": INTEGERS}
    return types, [draw(st.lists(kinds[kind], min_size=rows, max_size=rows)) for kind in types]


def packed_of(names: list[str] | None, types: list[NumberType], columns: list[list[float]]) -> PackedRows:
    codes = {"float64": "d", "int64": "q"}
    return pack(
        names,
        types,
        [struct.pack(f"<{len(col)}{codes[kind]}", *col) for kind, col in zip(types, columns, strict=True)],
    )


@given(table=tables(), named=st.booleans())
def test_instances_are_those_of_json(table: tuple[list[NumberType], list[list[float]]], named: bool) -> None:
    types, columns = table
    names = [f"c{at}" for at in range(len(types))] if named else None
    rows: list[Any] = list(map(list, zip(*columns, strict=True)))
    instances = rows if names is None else [dict(zip(names, row, strict=True)) for row in rows]

    found = unpack(packed_of(names, types, columns))

    assert found.rows == len(rows)
    assert repr(found.instances()) == repr(from_json(to_json(instances)))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"data": b""}, "0 bytes are not some rows of 2 numbers"),
        ({"data": bytes(8)}, "8 bytes are not some rows of 2 numbers"),
        ({"names": ["a"]}, "1 names for 2 columns"),
    ],
)
def test_what_is_damaged_is_told(change: dict[str, Any], reason: str) -> None:
    packed: Any = {**packed_of(["a", "b"], ["float64", "int64"], [[1.5], [2]]), **change}
    with pytest.raises(BadMessage, match=reason):
        unpack(packed)
