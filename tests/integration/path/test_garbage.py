"""Anything at all on a topic: one dead letter with its reason, and the messages beside it unharmed."""

import json
import random

import pytest
from tests.integration.path.conftest import Site

from predictq.brokers import Message
from predictq.ids import new_id
from predictq.messages import REQUEST, new_request

GOOD = REQUEST.encode(
    new_request(request_id=new_id(), endpoint="shared", instances=[[1]], deployments=["steady"], now=0)
)
NO_REQUESTS = {
    "nothing": b"",
    "random bytes": random.Random(7).randbytes(300),
    "zeros": bytes(64),
    "cut short": GOOD[:-5],
    "invalid UTF-8": GOOD.replace(b'"shared"', b'"sh\xffred"'),
    "a list": b"[]",
    "a number": b"1e400",
    "null": b"null",
    "an object of another shape": b'{"specversion": "1.0"}',
    "an unknown event": GOOD.replace(b"predictq.request.v1", b"predictq.reqest.v1"),
    "no instances": GOOD.replace(b"[[1]]", b"[]"),
    "of another endpoint": GOOD.replace(b'"endpoint":"shared"', b'"endpoint":"houses"'),
    "deep nesting": b"[" * 100_000 + b"]" * 100_000,
    "far too many digits": b'{"id": ' + b"9" * 900_000 + b"}",
}
NO_INTAKE = {
    "nothing": b"",
    "random bytes": random.Random(8).randbytes(300),
    "cut short": b'{"instances": [[1]',
    "invalid UTF-8": b'{"instances": [["\xff"]]}',
    "a number": b"12",
    "null": b"null",
    "no instances": b'{"instances": []}',
    "not a number": b'{"instances": [[NaN]]}',
    "deep nesting": b"[" * 100_000 + b"]" * 100_000,
    "an event without data": b'{"specversion": "1.0", "id": "1", "source": "/x", "type": "order.placed"}',
    "an event without id": b'{"specversion": "1.0", "source": "/x", "type": "order.placed", "data": [1]}',
}


@pytest.mark.parametrize("place", ["requests", "intake"])
def test_each_is_one_dead_letter_and_its_neighbours_are_answered(site: Site, place: str) -> None:
    endpoint = "shared"
    topic = getattr(site.installation.names, place)(endpoint)
    garbage = NO_REQUESTS if place == "requests" else NO_INTAKE
    before = {letter["id"] for letter in site.dead_letters(endpoint)}
    messages: list[Message] = []
    ids: list[str] = []
    for number, value in enumerate(garbage.values()):
        request_id = new_id()
        ids.append(request_id)
        event = new_request(
            request_id=request_id, endpoint=endpoint, instances=[[number, 1]], deployments=["steady"], now=0
        )
        good = REQUEST.encode(event) if place == "requests" else json.dumps([[number, 1]]).encode()
        messages += [Message(topic, value, b"one partition"), Message(topic, good, b"one partition")]
    rows_before = site.installation.rows("SELECT count(*) AS n FROM predictions WHERE endpoint = ?", endpoint)[0]["n"]

    site.installation.publish(*messages)

    def answered() -> int:
        [row] = site.installation.rows("SELECT count(*) AS n FROM predictions WHERE endpoint = ?", endpoint)
        return int(row["n"]) - int(rows_before)

    site.until(lambda: answered() == len(garbage) and site.installation.unsettled() == 0)
    letters = [letter for letter in site.dead_letters(endpoint) if letter["id"] not in before]
    assert sorted(letter["value"] for letter in letters) == sorted(garbage.values())
    assert all(len(letter["reason"]) > 5 and "\n" not in letter["reason"] for letter in letters)
    assert {letter["origin_topic"] for letter in letters} == {topic}
    if place == "requests":
        assert [site.finished(one)["predictions"][0]["outputs"] for one in ids] == [[n + 1] for n in range(len(ids))]


def test_foreign_messages_become_requests(site: Site) -> None:
    topic = site.installation.names.intake("shared")
    event = {"specversion": "1.0", "id": new_id(), "source": "/shop", "type": "order.placed", "data": [20, 3]}

    def outputs() -> list[str]:
        return [
            row["outputs"] for row in site.installation.rows("SELECT outputs FROM predictions WHERE endpoint='shared'")
        ]

    site.installation.publish(
        Message(topic, json.dumps(event).encode()),
        Message(topic, json.dumps(event).encode()),
        Message(topic, b'{"instances": [[30, 3], [40, 3]]}'),
    )

    site.until(lambda: "[23]" in outputs() and "[33,43]" in outputs() and site.installation.unsettled() == 0)
    assert outputs().count("[23]") == 1, "an event that is sent twice is one request"
