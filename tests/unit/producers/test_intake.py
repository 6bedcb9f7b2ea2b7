"""Foreign messages become requests, or dead letters that say why not."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from predictq.brokers import NO_HEADERS, Dead, Done, Message, Record
from predictq.messages import JOB, REQUEST, RequestEvent
from predictq.names import Names
from predictq.settings import Settings
from predictq_producers.deriving import event_id, keyed_id, object_job_id
from predictq_producers.events.rules import Rules
from predictq_producers.intake import Intake
from predictq_producers.jobs.submitting import JobMaker
from predictq_producers.requests import request_makers

TOPIC = "predictq.e.intake"
EVENT = {"specversion": "1.0", "id": "order-1", "source": "/shop", "type": "shop.order.v2"}


def record(value: bytes, position: str = "5", topic: str = TOPIC, key: bytes | None = None) -> Record:
    return Record(topic, 2, position, value, key, NO_HEADERS, 1_800_000_000.0, 0)


@pytest.fixture(scope="module")
def intake() -> Intake:
    settings = Settings.model_validate(
        {
            "endpoints": {"e": {"max_instances": 3}, "empty": {}, "ruled": {}},
            "deployments": {"d": {"endpoint": "e", "model": "m"}, "r": {"endpoint": "ruled", "model": "m"}},
            "rules": {"rows": {"bucket": "incoming", "suffix": ".csv", "endpoint": "ruled"}},
        }
    )
    makers = request_makers(settings, max_message_bytes=1_000_000)
    return Intake(makers, Rules(settings.rules, JobMaker(Names(), makers, settings.jobs)))


def request_of(intake: Intake, value: Any, **place: Any) -> tuple[RequestEvent, Message]:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    [verdict] = intake.handle([record(raw, **place)]).verdicts
    assert isinstance(verdict, Done), verdict
    [message] = verdict.outputs
    assert message.topic == "predictq.e.requests"
    return REQUEST.decode(message.value), message


@pytest.mark.parametrize(
    ("value", "instances"),
    [
        ({"a": 1}, [{"a": 1}]),
        ([1, 2], [[1, 2]]),
        ([[1, 2], [3, 4]], [[1, 2], [3, 4]]),
        ([{"a": 1}, {"a": 2}], [{"a": 1}, {"a": 2}]),
        ({"instances": [{"a": 1}]}, [{"a": 1}]),
        ({"id": "x", "instances": [{"a": 1}]}, [{"a": 1}]),
        ({**EVENT, "data": {"a": 1}}, [{"a": 1}]),
        ({**EVENT, "data": {"instances": [[1], [2]]}}, [[1], [2]]),
        ({**EVENT, "data_base64": "eyJhIjoxfQ=="}, [{"a": 1}]),
    ],
)
def test_what_can_be_a_request_is_one(intake: Intake, value: Any, instances: list[Any]) -> None:
    event, _ = request_of(intake, value)
    assert event["data"]["instances"] == instances
    assert event["data"]["deployments"] == ["d"]


def test_its_own_id_decides_the_id(intake: Intake) -> None:
    first, _ = request_of(intake, {**EVENT, "data": {"a": 1}}, position="5")
    again, _ = request_of(intake, {**EVENT, "data": {"a": 1}}, position="6")
    other, _ = request_of(intake, {**EVENT, "source": "/other", "data": {"a": 1}})
    assert first["id"] == again["id"] == event_id("e", "/shop", "order-1")
    assert other["id"] != first["id"]


def test_it_never_takes_the_id_of_a_submit_by_http(intake: Intake) -> None:
    event, _ = request_of(intake, {"id": "42", "instances": [{"a": 1}]})
    assert event["id"] != keyed_id("e", "42")


def test_it_never_takes_the_id_of_a_message_without_one(intake: Intake) -> None:
    placed, _ = request_of(intake, {"a": 1}, position="5")
    forged, _ = request_of(intake, {**EVENT, "source": TOPIC, "id": "2:5", "data": {"a": 1}})
    assert forged["id"] != placed["id"]


def test_without_one_its_place_does(intake: Intake) -> None:
    first, _ = request_of(intake, {"a": 1}, position="5")
    again, _ = request_of(intake, {"a": 1}, position="5")
    next_one, _ = request_of(intake, {"a": 1}, position="6")
    assert first["id"] == again["id"] != next_one["id"]


def test_key_and_expiry_of_an_event_are_kept(intake: Intake) -> None:
    event, message = request_of(
        intake, {**EVENT, "data": {"a": 1}, "partitionkey": "k", "expirytime": "2027-01-15T08:01:00.000Z"}
    )
    assert event["partitionkey"] == "k"
    assert message.key == b"k"
    assert event["expirytime"] == "2027-01-15T08:01:00.000Z"


def test_the_key_of_the_message_keeps_its_partition(intake: Intake) -> None:
    _, message = request_of(intake, {"a": 1}, key=b"\xff")
    assert message.key == b"\xff"


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (b"", "not JSON"),
        (b"\x00\xff", "not JSON"),
        (b"5", "/instances/0"),
        (b'{"instances":[]}', "/instances is empty"),
        (b'{"instances":[1]}', "/instances/0"),
        (b'{"instances":[[1],[1],[1],[1]]}', "too many"),
        (b'{"instances":[[1]],"colour":1}', "/colour is unknown"),
        (b'{"instances":[[1]],"id":7}', "/id"),
        (b'{"specversion":"1.0","id":"x","source":"/s","type":"t"}', "/data is missing"),
        (b'{"specversion":"1.0","id":"x","type":"t","data":[1]}', "/source"),
        (b'{"specversion":"1.0","source":"/s","type":"t","data":[1]}', "/id"),
        (b'{"specversion":"0.3","id":"x","source":"/s","type":"t","data":[1]}', "/specversion"),
        (b'{"specversion":"1.0","id":"x","source":"/s","type":"t","data_base64":"?"}', "/data_base64"),
        (
            b'{"specversion":"1.0","id":"x","source":"/s","type":"t","data":"a","datacontenttype":"text/csv"}',
            "text/csv",
        ),
        (b"[" * 100_000, "nested too deeply"),
        (b"[" * 100 + b"]" * 100, "64 levels"),
        (b"[1e999]", "finite"),
    ],
)
def test_what_cannot_is_dead_with_the_reason(intake: Intake, value: bytes, said: str) -> None:
    outcome = intake.handle([record(b'{"a":1}'), record(value), record(b'{"a":2}')])
    before, dead, after = outcome.verdicts
    assert isinstance(dead, Dead)
    assert said in dead.reason
    assert isinstance(before, Done)
    assert isinstance(after, Done)


def test_an_endpoint_that_no_one_knows_or_answers_is_dead(intake: Intake) -> None:
    unknown, empty = intake.handle(
        [record(b"[1]", topic="predictq.gone.intake"), record(b"[1]", topic="predictq.empty.intake")]
    ).verdicts
    assert isinstance(unknown, Dead)
    assert "no endpoint 'gone'" in unknown.reason
    assert isinstance(empty, Dead)
    assert "no deployment" in empty.reason


def notification(key: str, name: str = "s3:ObjectCreated:Put") -> dict[str, Any]:
    """As MinIO sends it to a topic."""
    found = {"bucket": {"name": "incoming"}, "object": {"key": key, "eTag": "abc"}}
    record = {"eventSource": "minio:s3", "eventName": name, "s3": found}
    return {"EventName": name, "Key": f"incoming/{key}", "Records": [record]}


@pytest.mark.parametrize("wrapped", [False, True])
def test_what_an_object_store_says_is_a_job(intake: Intake, wrapped: bool) -> None:
    said = notification("in%2Frows.csv")
    value = {**EVENT, "data": said} if wrapped else said
    [verdict] = intake.handle([record(json.dumps(value).encode(), topic="predictq.ruled.intake")]).verdicts
    assert isinstance(verdict, Done), verdict
    [message] = verdict.outputs
    assert message.topic == "predictq.ruled.jobs"
    data = JOB.decode(message.value)["data"]
    assert data["source"]["url"] == "s3://incoming/in/rows.csv"
    assert data["job_id"] == object_job_id("ruled", "rows", "incoming", "in/rows.csv", "etag:abc")


@pytest.mark.parametrize(
    "said",
    [
        notification("rows.txt"),
        notification("rows.csv", "s3:ObjectRemoved:Delete"),
        {"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "incoming"},
    ],
)
def test_objects_that_no_rule_is_for_are_passed_over(intake: Intake, said: Any) -> None:
    [verdict] = intake.handle([record(json.dumps(said).encode(), topic="predictq.ruled.intake")]).verdicts
    assert verdict == Done([])


def test_where_no_rule_is_of_the_endpoint_it_is_an_instance_like_any_other(intake: Intake) -> None:
    event, _ = request_of(intake, notification("rows.csv"))
    assert event["data"]["instances"] == [notification("rows.csv")]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)
EVENTS = st.dictionaries(
    st.sampled_from(
        ["specversion", "id", "source", "data", "instances", "key", "partitionkey", "expirytime", "metadata"]
    ),
    JSON,
)


@given(st.binary(max_size=100) | (JSON | EVENTS).map(lambda value: json.dumps(value).encode()))
def test_anything_is_a_request_or_a_dead_letter(intake: Intake, value: bytes) -> None:
    [verdict] = intake.handle([record(value)]).verdicts
    if isinstance(verdict, Done):
        REQUEST.decode(verdict.outputs[0].value)
    else:
        assert isinstance(verdict, Dead)
        assert verdict.reason
