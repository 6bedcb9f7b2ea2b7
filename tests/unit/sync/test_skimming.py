"""What the database reads of a message accepts what the messages' own codecs accept."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic_core import to_json
from tests.unit.sync.conftest import batch, prediction, request

from predictq.errors import BadMessage
from predictq.messages import BATCH, PREDICTION, REQUEST, referring_to
from predictq_sync import skimming

JUNK = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.text(max_size=5),
    st.just([]),
    st.just({}),
    st.just([[1.5, "a", None]]),
    st.just([{"a": {"b": [1]}}, 3, "x", None]),
)
REQUEST_VALUE = request("a", metadata={"b": "c"}).value
REFERRING_VALUE = REQUEST.encode(
    referring_to("s3://bucket/requests/2026-11-30T15/a.json", REQUEST.decode(REQUEST_VALUE))
)
EMITTED_VALUES = (prediction("a", outputs=[{"label": 1}, None]).value, batch("a").value)


@given(data=st.data(), value=st.sampled_from((REQUEST_VALUE, REFERRING_VALUE)))
def test_requests(data: st.DataObject, value: bytes) -> None:
    changed = _change(data, value)
    assert _accepts(skimming.REQUEST, changed) == _accepts(REQUEST, changed)


@given(data=st.data(), value=st.sampled_from(EMITTED_VALUES))
def test_predictions_and_mini_batches(data: st.DataObject, value: bytes) -> None:
    changed = _change(data, value)
    assert _accepts(skimming.EMITTED, changed) == (_accepts(PREDICTION, changed) or _accepts(BATCH, changed))


@pytest.mark.parametrize("key", ["", "a\0b", "a\nb", "x" * 129])
def test_what_no_index_takes_is_refused(key: str) -> None:
    with pytest.raises(BadMessage, match=r"^id: "):
        skimming.REQUEST.decode(request(key).value)


def test_a_skimmed_request_has_all_that_the_ledger_writes() -> None:
    whole: Any = REQUEST.decode(REQUEST_VALUE)
    skimmed: Any = skimming.REQUEST.decode(REQUEST_VALUE)
    assert skimmed["data"].keys() == whole["data"].keys()
    assert {k: v for k, v in skimmed["data"].items() if k != "instances"} == {
        k: v for k, v in whole["data"].items() if k != "instances"
    }


TEXTS = st.text(max_size=6) | st.sampled_from(['],"errors":[]', "errors", "outputs", "NaN", "\\", '"}}', "é"])
OUTPUTS = st.lists(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
        max_leaves=8,
    ),
    max_size=4,
)


@given(outputs=OUTPUTS)
def test_outputs_that_are_passed_on_are_those_of_the_codec(outputs: list[Any]) -> None:
    value = prediction("a", outputs=outputs).value
    event: Any = PREDICTION.decode(value)
    skimmed: Any
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(skimming, "_LARGE_BYTES", 0)
        skimmed, text = skimming.skim_emitted(value)
    assert repr(json.loads(text)) == repr(json.loads(to_json(event["data"]["outputs"])))
    assert {**skimmed["data"], "outputs": None} == {**event["data"], "outputs": None}


@pytest.mark.parametrize(
    "change",
    [
        (b'"outputs":[1.5,2.5]', b'"outputs":[1.5,2.5'),
        (b'"outputs":[1.5,2.5]', b'"outputs":{"a":[1.5]}'),
        (b'"outputs":[1.5,2.5]', b'"outputs":[1.5]2'),
        (b'"outputs":[1.5,2.5]', b'"outputs":["\xff"]'),
        (b'"errors":[]', b'"errors":[1]'),
        (b'"status":"succeeded"', b'"status":"fine"'),
    ],
)
def test_a_large_prediction_that_is_none_is_refused_like_a_small_one(
    change: tuple[bytes, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    value = prediction("a", outputs=[1.5, 2.5]).value
    assert change[0] in value
    monkeypatch.setattr(skimming, "_LARGE_BYTES", 0)
    with pytest.raises(BadMessage):
        skimming.skim_emitted(value.replace(*change))


def test_infinities_of_a_large_prediction_become_null(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(skimming, "_LARGE_BYTES", 0)
    value = prediction("a", outputs=[1.5, 2.5]).value.replace(b"2.5", b"NaN")
    assert skimming.skim_emitted(value)[1] == "[1.5,null]"


def _change(data: st.DataObject, value: bytes) -> bytes:
    """The message with one thing replaced or taken away, on either level; names and ids stay as they are."""
    event = json.loads(value)
    place = event if data.draw(st.booleans()) else event["data"]
    bounded = {"id", "request_id", "deployment", "deployments", "endpoint", "redrive"}
    key = data.draw(st.sampled_from(sorted(place.keys() - bounded)))
    if data.draw(st.booleans()):
        place[key] = data.draw(JUNK)
    else:
        del place[key]
    return json.dumps(event).encode()


def _accepts(codec: Any, value: bytes) -> bool:
    try:
        codec.decode(value)
    except BadMessage:
        return False
    return True
