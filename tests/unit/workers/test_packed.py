"""Rows of numbers that come as columns are predicted like the same rows as JSON."""

import struct
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import LinearRegression
from tests.unit.workers.conftest import raw

from predictq.brokers import Record
from predictq.ids import new_id
from predictq.messages import NumberType, RequestEvent, encode_packed, encode_rows, pack
from predictq_workers.sklearn_model import SklearnModel

pytestmark = pytest.mark.filterwarnings("ignore:X does not have valid feature names:UserWarning")

MakeRecord = Callable[..., Record]
MakeHandler = Callable[..., Any]
X = np.random.default_rng(3).normal(size=(50, 3))


class Echo:
    """Answers what it was given."""

    def predict(self, batch: list[Any]) -> list[Any]:
        return batch


def packed(
    rows: list[list[float]],
    names: list[str] | None = None,
    types: tuple[NumberType, ...] = ("float64", "float64", "float64"),
    data: bytes | None = None,
) -> Record:
    """A request of these rows as columns."""
    codes = {"float64": "d", "int64": "q"}
    columns = [
        struct.pack(f"<{len(rows)}{codes[kind]}", *col)
        for kind, col in zip(types, zip(*rows, strict=True), strict=False)
    ]
    event: RequestEvent = {
        "specversion": "1.0",
        "id": new_id(),
        "source": "/predictq/endpoints/tumours",
        "type": "predictq.request.v1",
        "time": "2026-11-30T15:04:05.000Z",
        "data": {
            "endpoint": "tumours",
            "deployments": ["mine"],
            "instances_hash": "0" * 64,
            "job": {"id": new_id(), "chunk": 0, "first_row": 0, "rows": len(rows)},
        },
    }
    return raw(encode_rows(event, data or encode_packed(pack(names, types, columns)), "packed"))


@pytest.fixture
def model() -> SklearnModel:
    frame = pd.DataFrame(X, columns=["a", "b", "c"])
    return SklearnModel(LinearRegression().fit(frame, X[:, 0] + 2 * X[:, 1]), "linear")


@pytest.mark.parametrize("order", [None, ["a", "b", "c"], ["c", "a", "b"]])
def test_it_is_the_same_answer(
    model: SklearnModel, order: list[str] | None, record: MakeRecord, handler: MakeHandler, answered: Any
) -> None:
    rows = X[:5].tolist()
    if order is not None:
        rows = [[row["abc".index(name)] for name in order] for row in rows]
    instances = rows if order is None else [dict(zip(order, row, strict=True)) for row in rows]

    as_json = answered(handler(model), [record(instances)])
    as_columns = answered(handler(model), [packed(rows[:2], order), packed(rows[2:], order)])

    assert as_json.prediction(0)["data"]["status"] == "succeeded"
    assert as_columns.outputs(0) + as_columns.outputs(1) == as_json.outputs(0)
    assert as_columns.batches[0]["data"]["size"] == 5


def test_integers_and_floats_stand_side_by_side(model: SklearnModel, handler: MakeHandler, answered: Any) -> None:
    got = answered(handler(model), [packed([[1.5, 2, -3]], None, ("float64", "int64", "int64"))])
    assert got.outputs(0) == [pytest.approx(1.5 + 4)]
    got = answered(handler(Echo()), [packed([[1.5, 2, -3]], ["x", "y", "z"], ("float64", "int64", "int64"))])
    assert repr(got.outputs(0)) == "[{'x': 1.5, 'y': 2, 'z': -3}]"


def test_beside_instances_they_become_instances(
    model: SklearnModel, record: MakeRecord, handler: MakeHandler, answered: Any
) -> None:
    rows = X[:4].tolist()
    records = [packed(rows[:1]), record(rows[1:2]), packed(rows[2:3], ["a", "b", "c"]), record(rows[3:])]
    got = answered(handler(model), records)
    assert [got.outputs(at)[0] for at in range(4)] == pytest.approx(model.predict(rows).outputs)


@pytest.mark.parametrize(
    ("names", "types", "reason"),
    [
        (None, ("float64", "float64"), "should have 3 features, has 2"),
        (["a", "b", "d"], ("float64",) * 3, "missing features: c"),
    ],
)
def test_other_features_fail_row_by_row(
    model: SklearnModel,
    names: list[str] | None,
    types: tuple[NumberType, ...],
    reason: str,
    handler: MakeHandler,
    answered: Any,
) -> None:
    got = answered(handler(model), [packed([[1.0, 2.0, 3.0][: len(types)]] * 2, names, types), packed(X[:1].tolist())])
    assert [error["detail"] for error in got.prediction(0)["data"]["errors"]] == [reason] * 2
    assert got.prediction(1)["data"]["status"] == "succeeded"


def test_a_number_that_is_none_fails_its_row_alone(model: SklearnModel, handler: MakeHandler, answered: Any) -> None:
    got = answered(handler(model), [packed([[1.0, 2.0, float("nan")], [1.0, 2.0, 3.0]])])
    assert got.prediction(0)["data"]["status"] == "partial"
    assert [error["index"] for error in got.prediction(0)["data"]["errors"]] == [0]


def test_damaged_columns_fail_their_request_alone(model: SklearnModel, handler: MakeHandler, answered: Any) -> None:
    damaged = b'{"types":["float64"],"data":"AAAA"}'
    got = answered(handler(model), [packed([[1.0]], data=damaged), packed(X[:1].tolist())])
    assert got.prediction(0)["data"]["errors"] == [
        {
            "index": None,
            "type": "invalid_input",
            "detail": "data/packed/data: 3 bytes are not some rows of 1 numbers",
        }
    ]
    assert got.prediction(1)["data"]["status"] == "succeeded"


def test_an_estimator_that_takes_missing_values_takes_columns_too(handler: MakeHandler, answered: Any) -> None:
    estimator = HistGradientBoostingRegressor(max_iter=2).fit(X, X[:, 0])
    got = answered(handler(SklearnModel(estimator, "trees")), [packed(X[:3].tolist())])
    assert got.outputs(0) == pytest.approx(estimator.predict(X[:3]).tolist())
