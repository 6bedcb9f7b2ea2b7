"""Estimators behind the worker's shape."""

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.cluster import KMeans
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import (
    BaggingClassifier,
    ExtraTreesClassifier,
    HistGradientBoostingRegressor,
    IsolationForest,
    RandomForestClassifier,
)
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import FixedThresholdClassifier, GridSearchCV
from sklearn.multioutput import MultiOutputClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, PowerTransformer, StandardScaler
from sklearn.svm import SVC, LinearSVC
from sklearn.tree import DecisionTreeClassifier

from predictq.errors import ModelError
from predictq_workers.sklearn_model import SklearnModel

X = np.random.default_rng(1).normal(size=(90, 3))
Y = np.array(["low", "mid", "top"])[np.digitize(X[:, 0] + X[:, 1] ** 2, [0.3, 1.2])]


def serve(estimator: Any) -> SklearnModel:
    model = SklearnModel(estimator, "model m.joblib")
    model.load()
    return model


def outputs(estimator: Any, instances: list[Any]) -> list[Any]:
    model = serve(estimator)
    checked = model.check(instances)
    assert not checked.failures
    predicted = model.predict(checked.inputs)
    assert not predicted.failures
    json.dumps(predicted.outputs, allow_nan=False)
    return predicted.outputs


CLASSIFIERS = [
    LogisticRegression(),
    make_pipeline(StandardScaler(), LogisticRegression()),
    make_pipeline(StandardScaler(), make_pipeline(StandardScaler(), DecisionTreeClassifier(max_depth=2))),
    GridSearchCV(
        make_pipeline(StandardScaler(), KNeighborsClassifier()), {"kneighborsclassifier__n_neighbors": [2, 4]}
    ),
    BaggingClassifier(n_estimators=4, random_state=0),
    CalibratedClassifierCV(SVC(), ensemble=False, cv=3),
    DecisionTreeClassifier(max_depth=2),
    ExtraTreesClassifier(n_estimators=2, random_state=0),
    RandomForestClassifier(n_estimators=2, random_state=0),
    KNeighborsClassifier(4),
]


@pytest.mark.parametrize("classifier", CLASSIFIERS, ids=lambda c: type(c).__name__)
def test_a_classifier_answers_what_it_would_by_itself(classifier: Any) -> None:
    classifier.fit(X, Y)
    got = outputs(classifier, X.tolist())
    assert [one["label"] for one in got] == classifier.predict(X).tolist()
    assert list(got[0]["probabilities"]) == ["low", "mid", "top"]
    probabilities = [list(one["probabilities"].values()) for one in got]
    np.testing.assert_allclose(probabilities, classifier.predict_proba(X), rtol=1e-12)


def test_the_label_is_the_classifiers_own_where_it_is_not_the_most_probable() -> None:
    classifier = FixedThresholdClassifier(LogisticRegression(), threshold=0.9).fit(X, X[:, 0] > 0)
    got = outputs(classifier, X.tolist())
    assert [one["label"] for one in got] == classifier.predict(X).tolist()
    assert any(not one["label"] and one["probabilities"]["True"] > 0.5 for one in got)


def test_a_classifier_without_probabilities_answers_the_label_alone() -> None:
    classifier = LinearSVC().fit(X, X[:, 0] > 0)
    assert outputs(classifier, [[9.0, 0.0, 0.0]]) == [{"label": True}]


def test_several_labels_are_a_list() -> None:
    classifier = MultiOutputClassifier(LogisticRegression()).fit(X, X[:, :2] > 0)
    (got,) = outputs(classifier, [[9.0, -9.0, 0.0]])
    assert [one["label"] for one in got] == [True, False]
    assert got[1]["probabilities"]["False"] > 0.9


def test_what_is_no_classifier_answers_numbers() -> None:
    assert outputs(LinearRegression().fit(X, X[:, 0]), [[2.0, 0, 0]]) == [pytest.approx(2.0)]
    assert outputs(LinearRegression().fit(X, X[:, :2]), [[2.0, 1, 0]]) == [pytest.approx([2.0, 1.0])]
    assert outputs(IsolationForest(n_estimators=5).fit(X), [[99.0, 99, 99]]) == [-1]
    clusters = KMeans(2, n_init=1).fit(X)
    assert outputs(clusters, X.tolist()) == clusters.predict(X).tolist()


BAD_ROWS = [
    ([1.0, 2.0], "should have 3 features, has 2"),
    ([1.0, 2.0, 3.0, 4.0], "should have 3 features, has 4"),
    ([1.0, "2", 3.0], "1: Input should be a valid number"),
    ([1.0, True, 3.0], "1: Input should be a valid number"),
    ([1.0, None, 3.0], "1: Input should be a valid number"),
    ([1.0, 2.0, float("nan")], "2: Input should be a finite number"),
    ([float("inf"), 2.0, 3.0], "0: Input should be a finite number"),
    ([10**400, 2.0, 3.0], "0: Input should be a"),
    ([[1.0], 2.0, 3.0], "0: Input should be a valid number"),
    ({"a": 1.0, "b": 2.0, "c": 3.0}, "the model knows no feature names"),
    ("abc", "should be an array or an object of 3 features"),
    (3.0, "should be an array or an object of 3 features"),
    (None, "should be an array or an object of 3 features"),
    ([], "should have 3 features, has 0"),
]


@pytest.mark.parametrize(("row", "detail"), BAD_ROWS)
def test_a_bad_row_fails_alone_and_says_why(linear: LogisticRegression, row: Any, detail: str) -> None:
    model = serve(linear)
    checked = model.check([[1.0, 2.0, 3.0], row, [1, -2, 3]])
    assert checked.failures.keys() == {1}
    assert checked.failures[1].type == "invalid_input"
    assert detail in checked.failures[1].detail
    assert [checked.inputs[0], checked.inputs[2]] == [[1.0, 2.0, 3.0], [1.0, -2.0, 3.0]]


def test_missing_values_are_null_where_the_estimator_takes_them() -> None:
    x = X.copy()
    x[::2, 1] = np.nan
    model = HistGradientBoostingRegressor(max_iter=5).fit(x, X[:, 0])
    got = outputs(model, [[0.1, None, 0.2], [0.1, 0.3, 0.2]])
    assert got == pytest.approx(model.predict([[0.1, np.nan, 0.2], [0.1, 0.3, 0.2]]).tolist())


def test_an_answer_that_is_not_finite_fails_alone() -> None:
    def log(x: Any) -> Any:
        with np.errstate(all="ignore"):
            return np.log(x)

    class Log(LinearRegression):  # type: ignore[misc] # scikit-learn has no types
        def predict(self, x: Any) -> Any:
            return log(x[:, 0])

    model = serve(Log().fit(X, X[:, 0]))
    predicted = model.predict(model.check([[1.0, 0, 0], [-1.0, 0, 0], [0, 0, 0]]).inputs)
    assert predicted.outputs == [0.0, None, None]
    assert predicted.failures.keys() == {1, 2}
    assert "finite" in predicted.failures[1].detail


def test_an_estimator_that_does_not_take_zeros_is_served() -> None:
    positive = np.abs(X) + 0.1
    model = make_pipeline(PowerTransformer("box-cox"), LinearRegression()).fit(positive, X[:, 0])
    assert outputs(model, positive.tolist()) == pytest.approx(model.predict(positive).tolist())


@pytest.mark.parametrize(
    ("what", "says"),
    [
        (LogisticRegression(), "does not know how many features it takes"),
        (StandardScaler().fit(X), "holds a StandardScaler, which has no method predict"),
        ({"coef": [1]}, "holds a dict, which has no method predict"),
    ],
)
def test_what_cannot_predict_is_refused(what: Any, says: str) -> None:
    with pytest.raises(ModelError, match=says):
        serve(what)


def test_an_estimator_that_is_broken_is_refused_at_warm_up() -> None:
    broken = LogisticRegression().fit(X, Y)
    del broken.coef_
    with pytest.raises(ModelError, match="a first predict raised"):
        serve(broken)


def test_a_text_classifier_takes_one_text() -> None:
    model = make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(["good", "fine", "bad"], [1, 1, 0])
    served = serve(model)
    checked = served.check([["good"], {"text": "bad"}, ["a", "b"], [3]])
    assert checked.failures.keys() == {2, 3}
    got = served.predict([checked.inputs[0], checked.inputs[1]]).outputs
    assert got[0]["probabilities"]["1"] > got[1]["probabilities"]["1"]


class TestFittedOnDataFrames:
    numbers = pd.DataFrame(X, columns=["age", "mean radius", "score"])

    def test_features_may_be_named_in_any_order(self) -> None:
        model = LinearRegression().fit(self.numbers, X[:, 0])
        named = [{"score": 0.3, "age": 5.0, "mean radius": 0.1}, {"age": 6, "mean radius": 0.1, "score": 0.3}]
        assert outputs(model, named) == pytest.approx([5.0, 6.0])
        assert outputs(model, [[5.0, 0.1, 0.3]]) == pytest.approx([5.0])
        assert outputs(model, [[5.0, 0.1, 0.3], named[1]]) == pytest.approx([5.0, 6.0])

    @pytest.mark.parametrize(
        ("row", "detail"),
        [
            ({"age": 1.0, "score": 2.0}, "missing features: mean radius"),
            ({"age": 1.0, "score": 2.0, "radius": 1.0}, "missing features: mean radius"),
            ({"age": 1.0, "score": 2.0, "mean radius": 1.0, "id": 4}, "unknown features: id"),
            ({"age": 1.0, "score": "2", "mean radius": 1.0}, "score: Input should be a valid number"),
            ([1.0, 2.0, False], "score: Input should be a valid number"),
        ],
    )
    def test_what_is_wrong_is_named(self, row: Any, detail: str) -> None:
        model = serve(LinearRegression().fit(self.numbers, X[:, 0]))
        failures = model.check([{"score": 0.3, "age": 5.0, "mean radius": 0.1}, row]).failures
        assert failures.keys() == {1}
        assert detail in failures[1].detail

    def test_one_named_feature(self) -> None:
        model = LinearRegression().fit(self.numbers[["age"]], X[:, 0])
        assert outputs(model, [{"age": 4}, [3.0]]) == pytest.approx([4.0, 3.0])

    def test_columns_by_name_and_of_any_type(self) -> None:
        frame = self.numbers.assign(city=np.where(X[:, 1] > 0, "Oslo", "Bergen"))
        columns = ColumnTransformer([("city", OneHotEncoder(), ["city"]), ("rest", StandardScaler(), ["age", "score"])])
        model = make_pipeline(columns, LogisticRegression()).fit(frame, X[:, 1] > 0)
        served = serve(model)
        checked = served.check(
            [
                {"city": "Oslo", "age": 1, "score": 0.5, "mean radius": 2.0},
                [1, 2.0, 0.5, "Bergen"],
                {"city": {"name": "Oslo"}, "age": 1, "score": 0.5, "mean radius": 2.0},
            ]
        )
        assert checked.failures.keys() == {2}
        assert "city: should be a finite number, a text" in checked.failures[2].detail
        assert [one["label"] for one in served.predict(checked.inputs[:2]).outputs] == [True, False]

    def test_without_pandas_the_extra_is_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        frame = pd.DataFrame({"city": ["Oslo", "Bergen"] * 5})
        model = make_pipeline(OneHotEncoder(), LogisticRegression()).fit(frame, [0, 1] * 5)
        monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
        with pytest.raises(ModelError, match=r"pip install 'predictq-workers\[pandas\]'"):
            serve(model)


def test_a_function_before_the_model_is_part_of_it() -> None:
    model = make_pipeline(FunctionTransformer(np.abs), LinearRegression()).fit(X, np.abs(X[:, 0]))
    assert outputs(model, [[-2.0, 0, 0]]) == [pytest.approx(2.0)]


def test_a_probability_that_is_not_finite_fails_alone() -> None:
    class Overflowing(LogisticRegression):  # type: ignore[misc] # scikit-learn has no types
        def predict_proba(self, x: Any) -> Any:
            return np.where(x[:, :1] > 100, np.nan, super().predict_proba(x))

    model = serve(Overflowing().fit(X, X[:, 0] > 0))
    predicted = model.predict([[1.0, 0, 0], [101.0, 0, 0]])
    assert predicted.outputs[0]["label"] is True
    assert predicted.failures.keys() == {1}
    assert predicted.failures[1].detail.startswith("the output is not JSON: probabilities/False: ")


def test_a_tie_that_rounding_made_is_decided_as_the_estimator_decides_it() -> None:
    classifier = LogisticRegression().fit([[-1.0], [1.0]], ["no", "yes"])
    classifier.intercept_ = np.zeros(1)
    barely = [[1e-18], [-1e-18], [5.0]]
    assert classifier.predict_proba(barely)[0].tolist() == [0.5, 0.5]

    answered = [output["label"] for output in SklearnModel(classifier, "m").predict(barely).outputs]

    assert answered == classifier.predict(barely).tolist() == ["yes", "no", "yes"]
