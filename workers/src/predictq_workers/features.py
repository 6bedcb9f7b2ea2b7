"""From instances, arrays or objects, to what an estimator takes."""

from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import Annotated, Any, Protocol

import numpy as np
from pydantic import ConfigDict, FiniteFloat, Strict, TypeAdapter, ValidationError

from predictq.messages import Columns
from predictq_workers.model import INVALID_INPUT, Checked, Failure

__all__ = ["Features", "Frames", "Numbers", "Texts"]


_DTYPES = {"float64": "<f8", "int64": "<i8"}


class Features(Protocol):
    """Checks instances one by one and stacks the good ones."""

    def check(self, instances: list[Any]) -> Checked: ...

    def stack(self, inputs: list[Any]) -> Any:
        """What the estimator's predict takes."""


class _Invalid(ValueError):
    """Why an instance cannot be taken."""


class Numbers:
    """Rows of finite numbers; null is a missing value where the estimator takes missing values."""

    def __init__(self, count: int, names: Sequence[str] | None, *, allow_missing: bool) -> None:
        self._rows = _Rows(count, names)
        number: Any = FiniteFloat | None if allow_missing else FiniteFloat
        row = Annotated[list[number], Strict()]
        strict = ConfigDict(strict=True)
        self._validate_all = TypeAdapter(list[row], config=strict).validator.validate_python
        self._validate_one = TypeAdapter(row, config=strict).validator.validate_python
        self.count = count

    def check(self, instances: list[Any]) -> Checked:
        """All at once where all are good, which costs a tenth of one by one."""
        try:
            rows = self._validate_all(self._rows.in_order(instances))
            if set(map(len, rows)) == {self.count}:
                return Checked(rows)
        except (_Invalid, ValidationError, KeyError, TypeError):
            pass
        return _singly(instances, self._check_one)

    def matrix(self, columns: Sequence[Columns]) -> Any:
        """The rows of all of these as one array of float64; None where they are other features than the model's, or
        not all finite, so that each row must be told what is wrong with it."""
        orders = [self._rows.order(each.names, len(each.types)) for each in columns]
        if None in orders:
            return None
        matrix = np.empty((self.count, sum(each.rows for each in columns)))
        start = 0
        for each, order in zip(columns, orders, strict=True):
            stop = start + each.rows
            for feature, at in enumerate(order or ()):
                matrix[feature, start:stop] = np.frombuffer(each.column(at), _DTYPES[each.types[at]])
            start = stop
        # By rows, as estimators want them.
        return np.ascontiguousarray(matrix.T) if np.isfinite(matrix).all() else None

    def stack(self, inputs: Any) -> Any:
        """An array of float64, one row an instance."""
        return np.asarray(inputs, dtype=np.float64)

    def _check_one(self, instance: Any) -> Any:
        row = self._rows.row(instance)
        try:
            return self._validate_one(row)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            raise _Invalid(f"{self._rows.name(int(first['loc'][0]))}: {first['msg']}") from error


class Frames:
    """Rows of a pandas DataFrame, for estimators that were fitted on one and tell its columns by name or type."""

    def __init__(self, names: Sequence[str]) -> None:
        self._rows = _Rows(len(names), names)
        self._names = list(names)
        cell: Any = FiniteFloat | str | bool | None
        self._validate_one = TypeAdapter(list[cell], config=ConfigDict(strict=True)).validator.validate_python

    def check(self, instances: list[Any]) -> Checked:
        """Each cell a number, a text, true, false or null."""
        return _singly(instances, self._check_one)

    def stack(self, inputs: list[Any]) -> Any:
        """A DataFrame with the columns that the estimator was fitted on."""
        import pandas as pd  # noqa: PLC0415 - an extra, needed only by estimators that want frames

        return pd.DataFrame.from_records(inputs, columns=self._names)

    def _check_one(self, instance: Any) -> Any:
        row = self._rows.row(instance)
        try:
            return self._validate_one(row)
        except ValidationError as error:
            name = self._rows.name(int(error.errors(include_url=False, include_input=False)[0]["loc"][0]))
            raise _Invalid(f"{name}: should be a finite number, a text, true, false or null") from error


class Texts:
    """Texts, for estimators that start with a vectorizer: an array or object of one text."""

    def check(self, instances: list[Any]) -> Checked:
        """Each `["the text"]` or `{"any name": "the text"}`."""
        return _singly(instances, self._check_one)

    def stack(self, inputs: list[Any]) -> Any:
        """The list of texts itself."""
        return inputs

    @staticmethod
    def _check_one(instance: Any) -> Any:
        cells = list(instance.values()) if isinstance(instance, dict) else instance
        if isinstance(cells, list) and len(cells) == 1 and isinstance(cells[0], str):
            return cells[0]
        raise _Invalid('should be one text: ["…"] or {"text": "…"}')


class _Rows:
    """Objects become arrays in the order of the estimator's features; arrays stay as they are."""

    def __init__(self, count: int, names: Sequence[str] | None) -> None:
        self._count = count
        self._names = names
        self._known = frozenset(names or ())
        self._pick: Callable[[Any], Any] | None = None
        if names is not None and count > 1:
            self._pick = itemgetter(*names)

    def in_order(self, instances: list[Any]) -> list[Any]:
        """Fast; looks at nothing but names that are missing or too many. Raises KeyError, TypeError, _Invalid."""
        kinds = set(map(type, instances))
        if kinds == {list}:
            return instances
        if kinds != {dict} or self._pick is None or set(map(len, instances)) != {self._count}:
            raise _Invalid
        return list(map(list, map(self._pick, instances)))

    def order(self, names: Sequence[str] | None, width: int) -> Sequence[int] | None:
        """Where each feature stands among so many columns; None where they are not the features."""
        if width != self._count:
            return None
        if names is None or names == self._names:
            return range(width)
        if self._names is None or self._known != set(names):
            return None
        at = {name: place for place, name in enumerate(names)}
        return [at[name] for name in self._names]

    def row(self, instance: Any) -> list[Any]:
        """The cells of one instance. Raises _Invalid that says what is missing, unknown or too long."""
        if isinstance(instance, dict):
            return self._row_of_names(instance)
        if not isinstance(instance, list):
            raise _Invalid(f"should be an array or an object of {self._count} features")
        if len(instance) != self._count:
            raise _Invalid(f"should have {self._count} features, has {len(instance)}")
        return instance

    def name(self, index: int) -> str:
        """What to call a feature in an error."""
        return str(index) if self._names is None else self._names[index]

    def _row_of_names(self, instance: dict[str, Any]) -> list[Any]:
        if self._names is None:
            raise _Invalid(f"the model knows no feature names; should be an array of {self._count} numbers")
        missing = [name for name in self._names if name not in instance]
        if missing:
            raise _Invalid(f"missing features: {_listed(missing)}")
        unknown = [name for name in instance if name not in self._known]
        if unknown:
            raise _Invalid(f"unknown features: {_listed(unknown)}")
        return [instance[name] for name in self._names]


def _singly(instances: list[Any], check_one: Callable[[Any], Any]) -> Checked:
    inputs: list[Any] = []
    failures: dict[int, Failure] = {}
    for index, instance in enumerate(instances):
        try:
            inputs.append(check_one(instance))
        except _Invalid as error:
            inputs.append(None)
            failures[index] = Failure(INVALID_INPUT, str(error))
    return Checked(inputs, failures)


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(name[:60] for name in names[:5])
    return shown if len(names) <= 5 else f"{shown} and {len(names) - 5} more"
