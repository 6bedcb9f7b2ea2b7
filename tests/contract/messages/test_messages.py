"""The golden messages are the contract with other languages: what is in them must be read and written as it stands."""

import json
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from predictq.errors import BadMessage
from predictq.ids import new_id
from predictq.messages import BATCH, CANCEL, CHUNK, COMMIT, JOB, PREDICTION, REQUEST, Codec, hash_of, new_request

GOLDEN = Path(__file__).parent / "golden"
CODECS: dict[str, Codec[Any]] = {
    "batch": BATCH,
    "cancel": CANCEL,
    "chunk": CHUNK,
    "commit": COMMIT,
    "job": JOB,
    "prediction": PREDICTION,
    "request": REQUEST,
}
FILES = sorted(GOLDEN.glob("*.json"))


def codec_of(file: Path) -> Codec[Any]:
    return CODECS[file.name.split(".")[0].split("-")[0]]


def test_there_is_a_golden_message_of_every_kind() -> None:
    assert {file.name.split(".")[0].split("-")[0] for file in FILES} == set(CODECS)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_a_golden_message_comes_back_as_it_was(file: Path) -> None:
    codec = codec_of(file)
    assert json.loads(codec.encode(codec.decode(file.read_bytes()))) == json.loads(file.read_text())


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_a_golden_message_is_a_cloud_event(file: Path) -> None:
    event = json.loads(file.read_text())
    assert event["specversion"] == "1.0"
    assert event["type"] == f"predictq.{file.name.split('.')[0].split('-')[0]}.v1"
    assert all(name.isascii() and name.isalnum() and name.islower() for name in event)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_the_published_schema_accepts_a_golden_message(file: Path) -> None:
    jsonschema_rs.validator_for(codec_of(file).json_schema).validate(json.loads(file.read_text()))


def test_attributes_that_nobody_knows_are_passed_over() -> None:
    event = json.loads((GOLDEN / "request.v1.json").read_text())
    event["traceparent"] = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    assert REQUEST.decode(json.dumps(event).encode())["id"] == event["id"]


@pytest.mark.parametrize(
    ("broken", "place"),
    [
        (b"", "message"),
        (b"\x00\xff\x17", "message"),
        (b"[1, 2]", "message"),
        (b'{"specversion": "0.3"}', "specversion"),
    ],
)
def test_what_is_no_request_is_refused_with_its_place(broken: bytes, place: str) -> None:
    with pytest.raises(BadMessage, match=f"^{place}: "):
        REQUEST.decode(broken)


@pytest.mark.parametrize(
    ("path", "value", "place"),
    [
        (("data", "instances"), [], "data/instances"),
        (("data", "instances"), "rows", "data/instances"),
        (("data", "endpoint"), "Not A Name", "data/endpoint"),
        (("data", "deployments"), [], "data/deployments"),
        (("data", "deployments"), ["Not A Name"], "data/deployments/0"),
        (("id",), "x" * 129, "id"),
        (("id",), "order\n1", "id"),
        (("type",), "predictq.prediction.v1", "type"),
        (("expirytime",), "tomorrow", "expirytime"),
        (("dataref",), "", "dataref"),
        (("dataref",), "s3://" + "x" * 2048, "dataref"),
    ],
)
def test_a_request_with_one_wrong_attribute_names_it(path: tuple[str, ...], value: object, place: str) -> None:
    event = json.loads((GOLDEN / "request.v1.json").read_text())
    inner = event
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = value
    with pytest.raises(BadMessage, match=f"^{place}: "):
        REQUEST.decode(json.dumps(event).encode())


@pytest.mark.parametrize("both", [True, False])
def test_a_request_has_instances_in_one_way(both: bool) -> None:
    event = json.loads((GOLDEN / "request-packed.v1.json").read_text())
    if both:
        event["data"]["instances"] = [[1.0]]
    else:
        del event["data"]["packed"]
    with pytest.raises(BadMessage, match=r"^data/instances: "):
        REQUEST.decode(json.dumps(event).encode())


def test_a_request_without_instances_says_where_they_are() -> None:
    event = json.loads((GOLDEN / "request-dataref.v1.json").read_text())
    del event["dataref"]
    with pytest.raises(BadMessage, match=r"^data/instances: Field required, .* or the attribute dataref"):
        REQUEST.decode(json.dumps(event).encode())
    with pytest.raises(jsonschema_rs.ValidationError):
        jsonschema_rs.validator_for(REQUEST.json_schema).validate(event)


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(instances=st.lists(json_values, min_size=1, max_size=4))
def test_any_json_instances_survive_the_wire(instances: list[Any]) -> None:
    event = new_request(request_id=new_id(), endpoint="e", instances=instances, deployments=["d"], now=0.0)
    decoded = REQUEST.decode(REQUEST.encode(event))
    assert decoded["data"]["instances"] == instances
    assert decoded["data"]["instances_hash"] == hash_of(decoded["data"]["instances"])


@given(garbage=st.binary(max_size=200))
def test_random_bytes_are_refused_and_nothing_else_happens(garbage: bytes) -> None:
    for codec in CODECS.values():
        with pytest.raises(BadMessage):
            codec.decode(garbage)
