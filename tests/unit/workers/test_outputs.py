"""What a model returns must be JSON, and each output is judged by itself."""

import datetime as dt
from typing import Any

import numpy as np
import pytest
from pydantic import BaseModel

from predictq.errors import ModelError
from predictq_workers.outputs import as_list, make_json


class Score(BaseModel):
    value: float


LOOP: list[Any] = []
LOOP.append(LOOP)


@pytest.mark.parametrize(
    ("output", "as_json"),
    [
        (1.5, 1.5),
        (None, None),
        ({"label": "a", "probabilities": {"a": 1.0}}, {"label": "a", "probabilities": {"a": 1.0}}),
        (np.float32(0.5), 0.5),
        ({"n": np.int64(3)}, {"n": 3}),
        (np.array([1.0, 2.0]), [1.0, 2.0]),
        ((1, 2), [1, 2]),
        (Score(value=2.0), {"value": 2.0}),
        (dt.date(2026, 11, 30), "2026-11-30"),
        (10**30, 10**30),
    ],
)
def test_what_json_has_a_word_for_is_said_in_it(output: Any, as_json: Any) -> None:
    outputs = [output]
    assert not make_json(outputs)
    assert outputs == [as_json]


@pytest.mark.parametrize(
    "output",
    [
        float("nan"),
        {"score": float("inf")},
        [1.0, np.float32("nan")],
        np.array([np.nan]),
        Score(value=float("nan")),
        object(),
        "\ud800",
        LOOP,
    ],
)
def test_what_is_not_json_fails_alone(output: Any) -> None:
    outputs = [1, output, 2]
    failures = make_json(outputs)
    assert outputs == [1, None, 2]
    assert failures.keys() == {1}
    assert failures[1].type == "bad_output"
    assert "not JSON" in failures[1].detail


def test_the_place_of_a_bad_number_is_named() -> None:
    assert "scores/b: " in make_json([{"scores": {"a": 1.0, "b": float("nan")}}])[0].detail


@pytest.mark.parametrize("outputs", [[1, 2], (1, 2), np.array([1, 2]), iter([1, 2]), {1: 0, 2: 0}.keys()])
def test_any_sequence_of_outputs_will_do(outputs: Any) -> None:
    assert as_list(outputs, 2) == [1, 2]


@pytest.mark.parametrize("outputs", [None, 3, "ab", b"ab", {"a": 1, "b": 2}, np.float64(2.0)])
def test_what_is_no_sequence_is_refused(outputs: Any) -> None:
    with pytest.raises(ModelError, match="not a list of 2 outputs"):
        as_list(outputs, 2)


@pytest.mark.parametrize("outputs", [[], [1], [1, 2, 3]])
def test_another_number_of_outputs_is_refused(outputs: list[int]) -> None:
    with pytest.raises(ModelError, match=f"returned {len(outputs)} outputs for 2 instances"):
        as_list(outputs, 2)
