"""Serves a fitted scikit-learn estimator."""

import importlib.util
import logging
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from sklearn.base import is_classifier
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import BaggingClassifier, ExtraTreesClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression, LogisticRegressionCV
from sklearn.pipeline import Pipeline
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils import get_tags

from predictq.errors import ModelError
from predictq.messages import Columns
from predictq_workers.features import Features, Frames, Numbers, Texts
from predictq_workers.model import Checked, Predicted
from predictq_workers.outputs import as_list, make_json
from predictq_workers.wording import said

__all__ = ["SklearnModel"]

log = logging.getLogger(__name__)

LABEL_IS_ARGMAX = (
    BaggingClassifier,
    CalibratedClassifierCV,
    DecisionTreeClassifier,
    ExtraTreesClassifier,
    RandomForestClassifier,
)
"""Classifiers whose `predict` is defined as the most probable class, ties included.

Others are asked for both, since the label of e.g. an SVC or a tuned threshold is not always the most probable class.
"""

LABEL_IS_ARGMAX_BUT_FOR_TIES = (LogisticRegression, LogisticRegressionCV)
"""Classifiers whose probabilities grow with what `predict` compares; where two are equal, rounding made them so."""


class SklearnModel:
    """An estimator: a classifier answers `{"label", "probabilities"}`, anything else a number or a list of numbers."""

    def __init__(self, estimator: Any, name: str) -> None:
        if not callable(getattr(estimator, "predict", None)):
            raise ModelError(f"{name} holds a {type(estimator).__name__}, which has no method predict")
        self._name = name
        self._estimator = estimator
        self._features = _features_of(estimator, name)
        self._answer = _answering(estimator)

    def load(self) -> None:
        """Predict zeros once, so that what is lazy is done before the first request."""
        # Positional arrays are what we mean; the warning would come with each call.
        warnings.filterwarnings("ignore", message="X does not have valid feature names", category=UserWarning)
        if not isinstance(self._features, Numbers):
            return
        try:
            self.predict([[0.0] * self._features.count])
        except ValueError as error:
            log.info("%s does not take zeros, so the first request warms it up: %s", self._name, said(error))
        except Exception as error:
            raise ModelError(f"{self._name}: a first predict raised {said(error)}") from error

    def check(self, instances: list[Any]) -> Checked:
        """Each an array in the order of the features, or an object of named features."""
        return self._features.check(instances)

    def check_columns(self, columns: Sequence[Columns]) -> Checked | None:
        """An array, where the model takes numbers and these are all of its features."""
        if not isinstance(self._features, Numbers):
            return None
        matrix = self._features.matrix(columns)
        return None if matrix is None else Checked(matrix)

    def predict(self, inputs: Any) -> Predicted:
        """One call of the estimator."""
        answer = self._answer(self._features.stack(inputs))
        outputs = as_list(answer.outputs, len(inputs))
        return Predicted(outputs) if answer.sound else Predicted(outputs, make_json(outputs))


class _Answer(NamedTuple):
    outputs: Any
    sound: bool
    """All numbers are finite; else each output is looked at."""


def _features_of(estimator: Any, name: str) -> Features:
    count = getattr(estimator, "n_features_in_", None)
    names = getattr(estimator, "feature_names_in_", None)
    if names is not None and _tells_columns_apart(estimator):
        if importlib.util.find_spec("pandas") is None:
            raise ModelError(
                f"{name} was fitted on a DataFrame and needs pandas: pip install 'predictq-workers[pandas]'"
            )
        return Frames(names.tolist())
    if count is not None:
        missing = get_tags(estimator).input_tags.allow_nan
        return Numbers(count, None if names is None else names.tolist(), allow_missing=missing)
    if any(hasattr(step, "vocabulary_") for step in _steps_of(estimator)):
        return Texts()
    raise ModelError(
        f"{name}: its {type(estimator).__name__} does not know how many features it takes; "
        "fit it, or serve it by a class of your own"
    )


def _tells_columns_apart(estimator: Any) -> bool:
    return any(
        isinstance(step, ColumnTransformer)
        or any(np.asarray(values).dtype.kind not in "biuf" for values in getattr(step, "categories_", ()))
        for step in _steps_of(estimator)
    )


def _steps_of(estimator: Any) -> Iterator[Any]:
    """The estimator and the fitted ones within it."""
    yield estimator
    if isinstance(estimator, Pipeline):
        for _, step in estimator.steps:
            yield from _steps_of(step)
    for inner in ("best_estimator_", "estimator_", "regressor_"):
        if hasattr(estimator, inner):
            yield from _steps_of(getattr(estimator, inner))


def _answering(estimator: Any) -> Callable[[Any], _Answer]:
    if not is_classifier(estimator):
        return lambda x: _values(estimator.predict(x))
    if not hasattr(estimator, "predict_proba"):
        return lambda x: _labels(estimator.predict(x))
    head, tail = _split(estimator)
    if isinstance(tail.classes_, list):
        keys_of_each = [_keys(labels) for labels in tail.classes_]
        return lambda x: _multi_output(head(x), tail, keys_of_each)
    keys = _keys(tail.classes_)
    if isinstance(tail, LABEL_IS_ARGMAX):
        labels = tail.classes_
        return lambda x: _most_probable(tail.predict_proba(head(x)), labels, keys)
    if isinstance(tail, LABEL_IS_ARGMAX_BUT_FOR_TIES):
        return lambda x: _most_probable_but_for_ties(head(x), tail, keys)
    return lambda x: _both(head(x), tail, keys)


def _split(estimator: Any) -> tuple[Callable[[Any], Any], Any]:
    """What prepares the features, to be done once, and the classifier, which may be asked twice."""
    while hasattr(estimator, "best_estimator_"):
        estimator = estimator.best_estimator_
    if isinstance(estimator, Pipeline) and len(estimator) > 1:
        before, (inner, tail) = estimator[:-1], _split(estimator[-1])
        return lambda x: inner(before.transform(x)), tail
    return lambda x: x, estimator


def _keys(labels: Any) -> list[str]:
    return [str(label) for label in labels.tolist()]


def _values(predicted: Any) -> _Answer:
    return _Answer(predicted, isinstance(predicted, np.ndarray) and _finite(predicted))


def _labels(predicted: Any) -> _Answer:
    return _Answer([{"label": label} for label in predicted.tolist()], sound=_plain(predicted))


def _most_probable(probabilities: Any, classes: Any, keys: list[str]) -> _Answer:
    return _labelled(classes[probabilities.argmax(axis=1)], probabilities, keys)


def _most_probable_but_for_ties(x: Any, classifier: Any, keys: list[str]) -> _Answer:
    probabilities = classifier.predict_proba(x)
    highest = probabilities.max(axis=1, keepdims=True)
    if np.count_nonzero(probabilities == highest) > len(probabilities):
        return _labelled(classifier.predict(x), probabilities, keys)
    return _most_probable(probabilities, classifier.classes_, keys)


def _both(x: Any, classifier: Any, keys: list[str]) -> _Answer:
    return _labelled(classifier.predict(x), classifier.predict_proba(x), keys)


def _labelled(predicted: Any, probabilities: Any, keys: list[str]) -> _Answer:
    outputs = [
        {"label": label, "probabilities": dict(zip(keys, row, strict=True))}
        for label, row in zip(predicted.tolist(), probabilities.tolist(), strict=True)
    ]
    return _Answer(outputs, sound=_plain(predicted) and _finite(probabilities))


def _multi_output(x: Any, classifier: Any, keys_of_each: list[list[str]]) -> _Answer:
    columns = [probabilities.tolist() for probabilities in classifier.predict_proba(x)]
    outputs = [
        [
            {"label": label, "probabilities": dict(zip(keys, column[index], strict=True))}
            for label, keys, column in zip(row, keys_of_each, columns, strict=True)
        ]
        for index, row in enumerate(classifier.predict(x).tolist())
    ]
    return _Answer(outputs, sound=False)


def _plain(labels: Any) -> bool:
    return labels.dtype.kind in "biuU"


def _finite(numbers: Any) -> bool:
    return numbers.dtype.kind in "biu" or (numbers.dtype.kind == "f" and bool(np.isfinite(numbers).all()))
