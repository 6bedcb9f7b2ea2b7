"""Parquet by Arrow's own reader of JSON holds what it held when each value was read in Python."""

import io
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic_core import to_json

from predictq_sync.jobs import parquet
from predictq_sync.jobs.outputs import Outputs
from predictq_sync.jobs.result_table import tables_of
from predictq_sync.jobs.results import Page

ROWS = 6
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.integers(-3, 3),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=3),
    st.sampled_from(["2026-11-27", "2026-11-27T10:00:00Z", "10:00:00", "1e3", '"},{"', "\n"]),
    st.lists(st.integers(0, 9), max_size=2),
)
OUTPUT = st.recursive(LEAVES, lambda inner: st.dictionaries(st.sampled_from("ab"), inner, max_size=2), max_leaves=4)
LIKE_A_CLASSIFIER = st.fixed_dictionaries(
    {"label": st.text(max_size=2), "probabilities": st.fixed_dictionaries({"a": st.floats(0, 1), "b": st.floats(0, 1)})}
)
RUN = st.lists(st.none() | OUTPUT, max_size=2) | st.lists(LIKE_A_CLASSIFIER | st.none(), max_size=2)
CHUNK = st.lists(RUN, max_size=3)
"""Of requests of two rows each: some with fewer outputs than rows, some not answered."""


def page(number: int, runs: Sequence[Sequence[Any]]) -> Page:
    outputs = Outputs(ROWS)
    for at, values in enumerate(runs):
        outputs.add(at * 2, to_json(values).decode())
    return Page(number * ROWS + 1, ["succeeded"] * ROWS, {"d": outputs} if runs else {}, [None] * ROWS, {})


def written(chunks: Sequence[Sequence[Sequence[Any]]]) -> Any:
    pages = [page(number, runs) for number, runs in enumerate(chunks)]
    return pq.read_table(io.BytesIO(b"".join(parquet.write_parquet(tables_of(pages, ["d"])))))


class InPython:
    """Arrow reads nothing."""

    def __init__(self, *_: object) -> None: ...

    def column(self, *_: object) -> None:
        return None


@settings(deadline=None)
@given(st.lists(CHUNK, max_size=3))
@example([[[{"a": "2026-11-27"}]], [[{"a": "2026-11-28"}]]])
@example([[[{"a": 1}]], [[{"a": 2**60 + 1}, {"a": 0.5}]]])
@example([[[{"a": 1}]], [[{"a": {"b": 1}}, {"a": "x"}]]])
@example([[["x"]], [[1.5]], [[True]], [[[1]]]])
def test_it_is_the_same_table(chunks: list[list[list[Any]]]) -> None:
    fast = written(chunks)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parquet, "ArrowOutputs", InPython)
        slow = written(chunks)
    assert fast.schema == slow.schema
    assert fast.to_pylist() == slow.to_pylist()


def test_what_classifiers_answer_is_read_by_arrow_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet, "_array", lambda pa, kind, values: pa.array(_plain(values), kind))
    answer = {"label": "a", "probabilities": {"a": 0.25, "b": 0.75}}
    table = written([[[answer] * 2, [answer] * 2], [[answer] * 2] * 3])
    assert table["probabilities.a"].to_pylist() == [0.25] * 4 + [None] * 2 + [0.25] * 6
    assert table["label"].type == pa.string()


def _plain(values: Sequence[Any]) -> Sequence[Any]:
    """Of rows, statuses and errors alone."""
    assert not any(isinstance(value, float) or value == "a" for value in values)
    return values
