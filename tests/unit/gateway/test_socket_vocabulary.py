"""What a client of the WebSocket says, and what is wrong with it."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from predictq_gateway.problems import Problem
from predictq_gateway.socket import vocabulary
from predictq_gateway.socket.vocabulary import Acknowledge, Ping, Submit, Subscribe, Unsubscribe, read
from predictq_producers.refusals import Refused
from predictq_sync.streams.events import event, piece, problem_event

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
fields = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from(["submit", "subscribe", "unsubscribe", "ack", "ping", "sing"]) | anything,
        "ref": st.text(max_size=70) | anything,
        "endpoint": anything,
        "job": anything,
        "seq": anything,
        "request": anything,
        "cursor": anything,
    },
)


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ({"type": "submit", "ref": "a", "endpoint": "e", "request": {"instances": [[1]]}}, Submit),
        ({"type": "subscribe", "ref": "a", "endpoint": "e", "cursor": "0-0-0"}, Subscribe),
        ({"type": "subscribe", "ref": "a", "prediction": "id"}, Subscribe),
        ({"type": "subscribe", "ref": "x" * 64, "job": "id", "cursor": None}, Subscribe),
        ({"type": "unsubscribe", "ref": "a", "subscription": "b"}, Unsubscribe),
        ({"type": "ack", "seq": 3}, Acknowledge),
        ({"type": "ping", "ref": "Käse"}, Ping),
    ],
)
def test_each_message_is_read_with_its_ref(said: dict[str, Any], kind: type[BaseModel]) -> None:
    received = read(json.dumps(said))
    assert received.ref == said.get("ref")
    assert isinstance(received.message, kind)
    assert received.message.model_dump(exclude_unset=True) == said


@pytest.mark.parametrize(
    ("said", "place"),
    [
        ({"type": "sing", "ref": "a"}, ""),
        ({"type": "ping", "ref": "a", "more": 1}, "/more"),
        ({"type": "submit", "ref": "a", "request": {}}, "/endpoint"),
        ({"type": "ack", "ref": "a", "seq": "1"}, "/seq"),
        ({"type": "ack", "ref": "a", "seq": True}, "/seq"),
        ({"type": "subscribe", "ref": "a", "job": 7}, "/job"),
        ({"type": "subscribe", "ref": "a"}, ""),
    ],
)
def test_a_wrong_message_is_refused_by_its_place(said: dict[str, Any], place: str) -> None:
    ref, refused = read(json.dumps(said))
    assert ref == "a"
    assert isinstance(refused, Refused)
    assert refused.status == 422
    assert refused.faults[0].pointer == place


@given(said=fields | anything)
def test_whatever_is_said_is_a_message_or_refused(said: Any) -> None:
    text = json.dumps(said)
    received = read(text)
    if isinstance(received.message, Refused):
        assert received.message.status in {400, 422}
        json.loads(vocabulary.error(received.ref, Problem(422, received.message.detail, received.message.faults)))
    else:
        assert received.message.ref == received.ref or isinstance(received.message, Acknowledge)


@given(text=st.text())
def test_any_text_is_a_message_or_refused(text: str) -> None:
    assert isinstance(read(text).message, Refused)


@given(
    told=st.lists(
        st.tuples(st.sampled_from(["prediction.succeeded", "job.progress"]), st.text("0-9", min_size=1), anything)
    )
)
def test_both_ways_tell_the_same_events(told: list[tuple[str, str, Any]]) -> None:
    bodies = [{"body": json.loads(json.dumps(body, default=str), parse_constant=str)} for _, _, body in told]
    one = piece(*(event(name, cursor, body) for (name, cursor, _), body in zip(told, bodies, strict=True)))
    by_socket = [json.loads(vocabulary.event("r", 1, each)) for each in one.events()]
    by_sse = [dict(line.split(": ", 1) for line in text.split("\n")) for text in one.sse.decode().split("\n\n")[:-1]]
    assert [(each["event"], each["cursor"], each["data"]) for each in by_socket] == [
        (each["event"], each["id"], json.loads(each["data"])) for each in by_sse
    ]


def test_a_stream_that_fell_behind_says_where_it_goes_on() -> None:
    [lost] = piece(problem_event(410, "kept no longer", "1-2-3")).events()
    [nothing] = piece(problem_event(404, "no such job")).events()
    assert json.loads(vocabulary.fell_behind("r", lost))["cursor"] == "1-2-3"
    assert "cursor" not in json.loads(vocabulary.fell_behind("r", nothing))
