"""Predictions as bytes."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from predictq.messages import PREDICTION, RequestEvent, new_request
from predictq_workers.answers import Answers

TIME = "2026-11-30T15:04:05.612Z"

json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def answers(version: str = "2026-11-01", max_bytes: int = 1 << 20) -> Answers:
    return Answers(endpoint="tumours", deployment="linear", model_version=version, max_bytes=max_bytes)


def request(request_id: str = "019adf1e-7a2c-7c4e-9b1d-3f5a6c7d8e90") -> RequestEvent:
    return new_request(request_id=request_id, endpoint="tumours", instances=[[1]], deployments=["linear"], now=0.0)


ids = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=128)
hashes = st.text("0123456789abcdef", min_size=64, max_size=64)


@given(st.text(), ids, hashes, st.lists(json_values, min_size=1, max_size=3))
def test_the_template_gives_the_bytes_of_the_codec(
    version: str, request_id: str, hash_: str, outputs: list[Any]
) -> None:
    writing = answers(version)
    event = request(request_id)
    event["data"]["instances_hash"] = hash_

    fast = writing.succeeded(writing.template(batch_id="b", time=TIME), event, outputs, TIME)

    assert fast == writing.answer(event, outputs, [], batch_id="b", redrive=0, time=TIME)
    assert PREDICTION.decode(fast)["data"]["outputs"] == outputs


def test_the_same_answer_has_the_same_id_and_another_redrive_another() -> None:
    writing = answers()
    ids = [
        json.loads(writing.answer(request(), [1], [], batch_id=batch, redrive=redrive, time=TIME))["id"]
        for batch, redrive in (("a", 0), ("b", 0), ("b", 1))
    ]
    assert ids[0] == ids[1] != ids[2]


def test_what_is_too_large_for_the_broker_becomes_a_failed_prediction() -> None:
    writing = answers(max_bytes=1000)
    large = ["x" * 2000]
    for value in (
        writing.succeeded(writing.template(batch_id="b", time=TIME), request(), large, TIME),
        writing.answer(request(), large, [], batch_id="b", redrive=0, time=TIME),
    ):
        data = PREDICTION.decode(value)["data"]
        assert len(value) < 1000
        assert (data["status"], data["outputs"]) == ("failed", [])
        assert data["errors"][0]["index"] is None
        assert data["errors"][0]["type"] == "output_too_large"
