"""From the settings of a deployment to a model, or one line that says why not."""

import logging
import pickle
import sys
import textwrap
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
import skops.io
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from predictq.errors import ModelError
from predictq.settings import DeploymentSettings
from predictq_workers.loading import open_model
from predictq_workers.model import Servable

ROW = [[1.0, 2.0, 3.0]]


def opened(model: str, folder: Path, **more: Any) -> Servable:
    servable = open_model(DeploymentSettings(endpoint="e", model=model, **more), folder)
    servable.load()
    return servable


def refused(model: str, folder: Path, **more: Any) -> str:
    with pytest.raises(ModelError) as caught:
        opened(model, folder, **more)
    said = str(caught.value)
    assert "\n" not in said
    return said


@pytest.mark.parametrize("suffix", [".joblib", ".skops"])
def test_a_saved_estimator_is_served(tmp_path: Path, linear: LogisticRegression, suffix: str) -> None:
    save = joblib.dump if suffix == ".joblib" else skops.io.dump
    save(linear, tmp_path / f"m{suffix}")
    served = opened(f"m{suffix}", tmp_path)
    assert served.predict(served.check(ROW).inputs).outputs[0]["label"] == linear.predict(ROW)[0]


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    assert refused("m.joblib", tmp_path) == f"model {tmp_path / 'm.joblib'}: there is no such file"


@pytest.mark.parametrize("suffix", [".joblib", ".skops"])
@pytest.mark.parametrize("content", [b"", b"hello", b"PK\x03\x04", b"\x80\x04garbage"])
def test_a_damaged_file_is_refused(tmp_path: Path, suffix: str, content: bytes) -> None:
    (tmp_path / f"m{suffix}").write_bytes(content)
    assert "cannot be read" in refused(f"m{suffix}", tmp_path)


def test_a_truncated_file_is_refused(tmp_path: Path, linear: LogisticRegression) -> None:
    joblib.dump(linear, tmp_path / "whole.joblib")
    (tmp_path / "m.joblib").write_bytes((tmp_path / "whole.joblib").read_bytes()[:-40])
    assert "cannot be read" in refused("m.joblib", tmp_path)


def test_a_pickle_of_a_class_that_is_not_there_is_refused(tmp_path: Path) -> None:
    (tmp_path / "m.joblib").write_bytes(b"cno_such_module\nNoSuchClass\n.")
    assert "No module named 'no_such_module'" in refused("m.joblib", tmp_path)


def test_untrusted_types_of_a_skops_file_are_named(tmp_path: Path) -> None:
    model = make_pipeline(FunctionTransformer(textwrap.dedent), LogisticRegression())
    skops.io.dump(model, tmp_path / "m.skops")
    assert 'trusted = ["textwrap.dedent"]' in refused("m.skops", tmp_path)
    assert "textwrap" not in refused("m.skops", tmp_path, trusted=("textwrap.dedent",))


def test_another_version_of_scikit_learn_is_a_warning(
    tmp_path: Path, linear: LogisticRegression, caplog: pytest.LogCaptureFixture
) -> None:
    state = pickle.dumps(linear)
    version = linear.__getstate__()["_sklearn_version"].encode()
    (tmp_path / "m.joblib").write_bytes(state.replace(version, b"0" * (len(version) - 2) + b".1"))
    with caplog.at_level(logging.WARNING):
        opened("m.joblib", tmp_path)
    assert "unpickle estimator LogisticRegression from version" in caplog.text
    assert len(caplog.records) == 1


def test_onnx_is_for_later(tmp_path: Path) -> None:
    assert ".onnx cannot be served yet" in refused("m.onnx", tmp_path)


@pytest.mark.parametrize("model", ["m.pkl", "m", "models/m.pt", "./m:Class", "pkg.module:"])
def test_what_is_neither_file_nor_class_is_refused(tmp_path: Path, model: str) -> None:
    assert '(.joblib, .skops) nor "package.module:Class"' in refused(model, tmp_path)


class TestClasses:
    @pytest.fixture(autouse=True)
    def _module(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
        self.module = f"own_{abs(hash(request.node.name))}"
        monkeypatch.setattr(sys, "path", sys.path.copy())
        self.folder = tmp_path

    def write(self, code: str) -> str:
        (self.folder / f"{self.module}.py").write_text(textwrap.dedent(code))
        return f"{self.module}:Mine"

    def test_a_class_beside_the_settings_is_loaded_once_and_warmed_up(self) -> None:
        named = self.write("""
            class Mine:
                def __init__(self, by):
                    self.by, self.calls = by, []
                def load(self):
                    self.calls.append("load")
                def warm_up(self):
                    self.calls.append("warm_up")
                def predict(self, batch):
                    return [self.by * one[0] for one in batch] + self.calls
        """)
        served = opened(named, self.folder, options={"by": 3})
        with pytest.raises(ModelError, match="returned 4 outputs for 2 instances"):
            served.predict([[1], [2]])

    def test_an_input_checks_each_instance_as_json(self) -> None:
        named = self.write("""
            import datetime
            from pydantic import BaseModel
            class Mine:
                class Input(BaseModel, strict=True):
                    day: datetime.date
                def load(self): pass
                def predict(self, batch):
                    return [one.day.year for one in batch]
        """)
        served = opened(named, self.folder)
        checked = served.check([{"day": "2026-11-30"}, {"day": 3}, {}, [1]])
        assert checked.failures.keys() == {1, 2, 3}
        assert checked.failures[2].detail == "day: Field required"
        assert served.predict(checked.inputs[:1]).outputs == [2026]

    @pytest.mark.parametrize(
        ("code", "says"),
        [
            ("import no_such_library", "ModuleNotFoundError: No module named 'no_such_library'"),
            ("1 / 0", "ZeroDivisionError"),
            ("class Mine", "SyntaxError"),
            ("class Other: pass", "has no class Mine"),
            ("class Mine: pass", "has no method predict(batch)"),
            ("class Mine:\n    predict = 3", "has no method predict(batch)"),
            ("class Mine:\n    def __init__(self, path): pass", "constructing it raised TypeError"),
            (
                "class Mine:\n    def predict(self, b): pass\n    def load(self): raise OSError('no\\nweights')",
                "load() raised OSError: no weights",
            ),
            (
                "class Mine:\n    def predict(self, b): pass\n    def warm_up(self): raise OSError('cold')",
                "warm_up() raised OSError: cold",
            ),
            ("class Mine:\n    Input = 3\n    def predict(self, b): pass", "Input is no type"),
        ],
    )
    def test_what_is_wrong_with_a_class_is_said(self, code: str, says: str) -> None:
        assert says in refused(self.write(code), self.folder)

    def test_a_module_that_is_not_there(self) -> None:
        assert "No module named 'no_such_module'" in refused("no_such_module:Mine", self.folder)


def test_a_check_that_raises_fails_its_instance(tmp_path: Path) -> None:
    from pydantic import BaseModel, field_validator  # noqa: PLC0415

    from predictq_workers.class_model import ClassModel  # noqa: PLC0415

    class Odd:
        class Input(BaseModel):
            x: int

            @field_validator("x")
            @classmethod
            def look_up(cls, value: int) -> int:
                return {1: 10}[value]

        def load(self) -> None: ...

        def predict(self, batch: list[Any]) -> list[Any]:
            return np.array([one.x for one in batch])  # type: ignore[return-value] # an array is as good

    checked = ClassModel(Odd(), "Odd").check([{"x": 1}, {"x": 2}])
    assert checked.failures.keys() == {1}
    assert "its check raised KeyError" in checked.failures[1].detail
