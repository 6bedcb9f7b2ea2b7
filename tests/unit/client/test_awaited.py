"""Many requests over one connection: what is asked, what is acknowledged, what is told; and the way without one."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from predictq_producers.client import BadAnswer, Client, NotFound, Rejected
from predictq_producers.client.awaited import Awaited, Heard, TryAgain


def hear(awaited: Awaited, **said: Any) -> Heard:
    return awaited.hear(json.dumps(said))


def welcome(awaited: Awaited, *, window: int = 4, most: int = 2) -> list[str]:
    """Refs of the subscriptions that are asked for."""
    return refs(hear(awaited, type="welcome", window=window, max_subscriptions=most))


def refs(heard: Heard) -> list[str]:
    return [json.loads(reply)["ref"] for reply in heard.replies if '"subscribe"' in reply]


def event(request_id: str, number: int, status: str = "succeeded") -> dict[str, Any]:
    return {"type": "event", "ref": request_id, "seq": number, "data": {"id": request_id, "status": status}}


def test_as_many_are_asked_for_as_may_be_and_the_next_when_one_has_ended() -> None:
    awaited = Awaited(["a", "b", "c", "a"])
    assert welcome(awaited) == ["a", "b"]
    assert refs(hear(awaited, type="ended", ref="a")) == ["c"]
    assert refs(hear(awaited, type="ended", ref="c")) == []


def test_half_a_window_is_acknowledged_at_a_time() -> None:
    awaited = Awaited([str(number) for number in range(5)])
    welcome(awaited, window=4, most=5)
    replies = [hear(awaited, **event(str(number), number + 1)).replies for number in range(5)]
    assert replies == [[], ['{"type":"ack","seq":2}'], [], ['{"type":"ack","seq":4}'], []]


def test_each_is_told_once_over_any_number_of_connections() -> None:
    awaited = Awaited(["a", "b"])
    welcome(awaited)
    assert hear(awaited, **event("a", 1, "queued")).result is None
    told = hear(awaited, **event("a", 2)).result
    assert told is not None
    assert told.id == "a"
    assert hear(awaited, **event("a", 3)).result is None
    assert welcome(awaited) == ["b"]
    assert hear(awaited, **event("b", 1)).result is not None
    assert not awaited.left


def test_what_cannot_be_asked_for_is_an_error_and_asked_for_no_more() -> None:
    awaited = Awaited(["a", "b", "c"])
    welcome(awaited)
    with pytest.raises(TryAgain):
        hear(awaited, type="error", ref="a", problem={"status": 503, "detail": "away"})
    with pytest.raises(NotFound, match="none"):
        hear(awaited, type="error", ref="a", problem={"status": 404, "detail": "none"})
    with pytest.raises(Rejected):
        hear(awaited, type="error", ref=None, problem={"status": 422})
    assert list(awaited.left) == ["b", "c"]


@pytest.mark.parametrize("text", ["", "7", "{}", '{"type": "event"}', '{"type": "welcome", "window": "x"}', b"\xff"])
def test_what_is_no_message_of_a_gateway_is_told(text: str | bytes) -> None:
    with pytest.raises(BadAnswer):
        Awaited(["a"]).hear(text)


def test_a_gateway_without_a_socket_is_asked_about_each(server: Any, answer: Callable[..., Any]) -> None:
    def body(request_id: str, status: str) -> Any:
        return answer(body={"id": request_id, "status": status})

    server.says(
        answer(404, {"status": 404, "detail": "no such route"}),
        body("a", "queued"),
        body("b", "succeeded"),
        body("a", "failed"),
    )
    with Client(server.url) as client:
        assert [result.id for result in client.results(["a", "b"], wait=100)] == ["b", "a"]
    assert [asked.path for asked in server.asked] == ["/v1/stream", *(f"/v1/predictions/{each}" for each in "aba")]
