"""The `input` of an endpoint: where it comes from, and what is said about instances."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from predictq.errors import SettingsError
from predictq.settings import Settings
from predictq_producers.schemas import InputCheck, input_check

MODEL = """
from datetime import date

from pydantic import BaseModel, ConfigDict, field_validator

class Tumour(BaseModel):
    model_config = ConfigDict(extra="forbid")
    radius: float
    texture: float = 0.0

class Strict(BaseModel):
    model_config = ConfigDict(strict=True)
    on: date

class Grade(BaseModel):
    grade: str

    @field_validator("grade")
    @classmethod
    def known(cls, value):
        return {"a": "A"}[value]

NOT_A_MODEL = 5
"""


def check_of(tmp_path: Path, target: str) -> InputCheck:
    return input_check(Settings(folder=tmp_path, endpoints={"e": {"input": target}}), "e")


@pytest.fixture
def module(tmp_path: Path) -> Iterator[str]:
    (tmp_path / "my_inputs_9f3.py").write_text(MODEL)
    yield "my_inputs_9f3"
    sys.modules.pop("my_inputs_9f3", None)
    sys.path.remove(str(tmp_path))


def test_a_model_says_what_is_missing_unknown_and_wrong(tmp_path: Path, module: str) -> None:
    check = check_of(tmp_path, f"{module}:Tumour")

    assert check.valid({"radius": 1})
    assert not check.valid({"radius": "x"})
    found = {f.pointer: f.detail for f in check.faults({"textur": 1}, ("instances", 0))}
    assert found["/instances/0/radius"] == "is missing"
    assert "did you mean 'texture'" in found["/instances/0/textur"]
    assert check.json_schema is not None
    assert check.json_schema["properties"].keys() == {"radius", "texture"}


def test_a_strict_model_takes_what_json_can_say(tmp_path: Path, module: str) -> None:
    assert check_of(tmp_path, f"{module}:Strict").valid({"on": "2026-11-30"})


def test_a_validator_that_raises_anything_is_a_fault(tmp_path: Path, module: str) -> None:
    check = check_of(tmp_path, f"{module}:Grade")

    assert check.valid({"grade": "a"})
    assert not check.valid({"grade": "z"})
    (fault,) = check.faults({"grade": "z"}, ("instances", 3))
    assert fault == ("/instances/3", "the check of this endpoint raised KeyError: 'z'")


def test_references_within_a_schema_are_followed(tmp_path: Path) -> None:
    schema = {"$defs": {"n": {"type": "number"}}, "type": "array", "items": {"$ref": "#/$defs/n"}, "minItems": 2}
    (tmp_path / "s.json").write_text(json.dumps(schema))
    check = check_of(tmp_path, "s.json")

    assert check.valid([1, 2])
    assert [f.pointer for f in check.faults([1, "x"], ("instances", 3))] == ["/instances/3/1"]
    assert [f.pointer for f in check.faults([1], ())] == [""]


def test_a_message_quotes_no_megabyte(tmp_path: Path) -> None:
    (tmp_path / "s.json").write_text('{"type": "array"}')
    [fault] = check_of(tmp_path, "s.json").faults({"a": "x" * 1_000_000}, ())
    assert len(fault.detail) <= 300


@pytest.mark.parametrize(
    ("target", "content", "said"),
    [
        ("missing.json", None, "cannot be read"),
        ("s.json", "{", "is not JSON"),
        ("s.json", "[]", "is an object"),
        ("s.json", '{"type": "objekt"}', "no JSON Schema"),
        ("s.json", '{"$ref": "#/$defs/none"}', "no JSON Schema"),
        ("no_such_module_1:Model", None, "cannot be imported"),
        ("json:Missing", None, "cannot be imported"),
        ("json:dumps", None, "no pydantic model"),
    ],
)
def test_a_broken_input_is_refused_with_its_key(tmp_path: Path, target: str, content: str | None, said: str) -> None:
    if content is not None:
        (tmp_path / target).write_text(content)
    with pytest.raises(SettingsError) as refused:
        check_of(tmp_path, target)
    assert "endpoints.e.input" in str(refused.value)
    assert target in str(refused.value)
    assert said in str(refused.value)
