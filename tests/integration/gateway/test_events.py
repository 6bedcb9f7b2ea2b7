"""`POST /v1/events`: CloudEvents of the CNCF's own SDK, by every mode of HTTP, and what object stores send."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from cloudevents.core.bindings.http import to_binary_event, to_structured_event
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent
from tests.integration.gateway.conftest import Running

from predictq.errors import BrokerUnavailable
from predictq.messages import JOB
from predictq.settings import Settings
from predictq_producers.deriving import event_id, object_job_id

ROW = {"mean radius": 14.2, "mean texture": 20.4}
BATCH = "application/cloudevents-batch+json"


def event(own_id: str = "order-1", data: Any = ROW, **more: Any) -> CloudEvent:
    attributes = {"id": own_id, "source": "/shop", "type": "shop.order.v2", "specversion": "1.0"}
    return CloudEvent(
        {"datacontenttype": "application/json", "predictqendpoint": "tumours", **attributes, **more}, data
    )


def post(running: Running, message: Any, path: str = "/v1/events") -> httpx.Response:
    return running.client.post(path, content=message.body, headers=message.headers)


def structured(event: CloudEvent) -> dict[str, Any]:
    written: dict[str, Any] = json.loads(JSONFormat().write(event))
    return written


def batch(running: Running, events: list[Any]) -> httpx.Response:
    return running.client.post("/v1/events", content=json.dumps(events), headers={"content-type": BATCH})


@pytest.mark.parametrize("mode", [to_structured_event, to_binary_event])
def test_an_event_of_the_sdk_is_a_request(running: Running, mode: Callable[[CloudEvent], Any]) -> None:
    expiry = datetime(2027, 1, 15, 8, 1, tzinfo=UTC)
    answer = post(running, mode(event(data={"instances": [ROW, ROW]}, partitionkey="Käse 100%", expirytime=expiry)))

    assert answer.status_code == 202, answer.text
    request_id = event_id("tumours", "/shop", "order-1")
    assert answer.json() == {"id": request_id, "endpoint": "tumours", "status": "queued"}
    assert answer.headers["location"] == f"/v1/predictions/{request_id}"
    [request] = running.requests(1)
    assert request["id"] == request_id
    assert request["data"]["instances"] == [ROW, ROW]
    assert request["partitionkey"] == "Käse 100%"
    assert request["expirytime"] == "2027-01-15T08:01:00.000Z"


def test_the_same_event_in_any_mode_is_the_same_request(running: Running) -> None:
    answers = [
        post(running, to_structured_event(event())).json(),
        post(running, to_binary_event(event())).json(),
        *batch(running, [structured(event())]).json(),
    ]
    assert len({answer["id"] for answer in answers}) == 1
    assert answers[0]["id"] != post(running, to_binary_event(event("order-2"))).json()["id"]


def test_a_batch_is_answered_in_its_order(running: Running) -> None:
    answer = batch(running, [structured(event(f"order-{n}")) for n in range(50)])

    assert answer.status_code == 202
    assert [each["id"] for each in answer.json()] == [event_id("tumours", "/shop", f"order-{n}") for n in range(50)]
    assert {each["id"] for each in running.requests(50)} == {each["id"] for each in answer.json()}


def test_of_a_batch_with_a_wrong_event_none_is_taken(running: Running) -> None:
    wrong = structured(event("order-2", data=[ROW, {"mean radius": "wide", "mean texture": 1}]))
    answer = batch(running, [structured(event("order-1")), wrong])

    assert answer.status_code == 422
    assert "event 1" in answer.json()["detail"]
    assert answer.json()["errors"][0]["pointer"] == "/1/data/1/mean radius"
    assert batch(running, [structured(event("order-3"))]).status_code == 202
    assert [each["id"] for each in running.requests(1)] == [event_id("tumours", "/shop", "order-3")]


def test_an_empty_batch_is_nothing_to_do(running: Running) -> None:
    answer = batch(running, [])
    assert (answer.status_code, answer.json()) == (200, [])


def test_nothing_is_accepted_while_the_broker_is_away(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    def away() -> Any:
        raise BrokerUnavailable("connection refused")

    events = [structured(event(f"order-{n}")) for n in range(3)]
    with monkeypatch.context() as patched:
        patched.setattr(running.gateway.publisher, "_open_producer", away)
        answer = batch(running, events)
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "1"
    again = batch(running, events)
    assert again.status_code == 202
    assert {each["id"] for each in running.requests(3)} == {each["id"] for each in again.json()}


def test_too_many_events_are_refused(running: Running) -> None:
    assert batch(running, [1] * 1001).status_code == 413


def test_the_query_names_the_endpoint_of_events_that_do_not(running: Running) -> None:
    bare = structured(event())
    del bare["predictqendpoint"]
    headers = {"content-type": "application/cloudevents+json"}
    nameless = running.client.post("/v1/events", content=json.dumps(bare), headers=headers)
    named = running.client.post("/v1/events?endpoint=tumours", content=json.dumps(bare), headers=headers)

    assert nameless.status_code == 422
    assert nameless.json()["errors"][0]["pointer"] == "/predictqendpoint"
    assert named.status_code == 202


def test_base64_of_json_is_decoded(running: Running) -> None:
    answer = post(running, to_structured_event(event(data=json.dumps(ROW).encode())))
    assert answer.status_code == 202, answer.text
    assert running.requests(1)[0]["data"]["instances"] == [ROW]


@pytest.mark.parametrize(
    ("mode", "changed", "status", "pointer"),
    [
        (to_structured_event, {"datacontenttype": "text/csv", "data": "a,b"}, 415, None),
        (to_binary_event, {"datacontenttype": "text/csv", "data": "a,b"}, 415, None),
        (to_structured_event, {"predictqendpoint": "nosuch"}, 404, None),
        (to_structured_event, {"predictqendpoint": "orphan"}, 503, None),
        (
            to_structured_event,
            {"data": {"instances": [{**ROW, "mean radius": -1}]}},
            422,
            "/data/instances/0/mean radius",
        ),
        (to_structured_event, {"data": {**ROW, "mean radius": -1}}, 422, "/data/mean radius"),
        (to_binary_event, {"data": {**ROW, "mean radius": -1}}, 422, "/mean radius"),
        (to_structured_event, {"data": [ROW] * 6}, 413, "/data"),
        (to_structured_event, {"partitionkey": "k" * 256}, 422, "/partitionkey"),
        (to_structured_event, {"data": None}, 422, "/data"),
    ],
)
def test_what_cannot_be_taken_says_why_and_where(
    running: Running, mode: Callable[[CloudEvent], Any], changed: dict[str, Any], status: int, pointer: str | None
) -> None:
    answer = post(running, mode(event(**changed)))
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert [each["pointer"] for each in answer.json().get("errors", [])] == ([] if pointer is None else [pointer])


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        ({"content-type": "application/cloudevents+avro"}, b"{}", 415),
        ({"content-type": "application/cloudevents+json"}, b"{", 400),
        ({"content-type": "application/cloudevents+json"}, b"[]", 422),
        ({"content-type": BATCH}, b"{}", 422),
        (
            {"content-type": "application/cloudevents+json"},
            b'{"specversion":"0.3","id":"1","source":"/","type":"t"}',
            422,
        ),
        ({"content-type": "application/cloudevents+json", "content-encoding": "gzip"}, b"{}", 415),
        ({"content-type": "application/json", "ce-specversion": "1.0", "ce-id": "%FF"}, b"{}", 400),
        ({"content-type": "application/json"}, b'{"hello": "world"}', 422),
        ({"content-type": "text/plain"}, b"{}", 415),
        ({"content-type": "application/cloudevents+json"}, b" " * 100_001, 413),
    ],
)
def test_what_is_no_event_is_refused(running: Running, headers: dict[str, str], body: bytes, status: int) -> None:
    answer = running.client.post("/v1/events?endpoint=free", content=body, headers=headers)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"


def test_quoted_header_values_are_those_of_rfc_7230(running: Running) -> None:
    headers = {
        "content-type": "application/json; charset=utf-8",
        "ce-specversion": "1.0",
        "ce-id": '"say \\"hi\\""',
        "ce-source": "/shop",
        "ce-type": "t",
    }
    answer = running.client.post("/v1/events?endpoint=tumours", content=json.dumps(ROW), headers=headers)
    assert answer.json()["id"] == event_id("tumours", "/shop", 'say "hi"')


@pytest.fixture
def ruled(run: Callable[..., Running], settings: Settings) -> Running:
    rule = {"bucket": "incoming", "prefix": "in/", "suffix": ".csv", "endpoint": "free"}
    return run(Settings.model_validate({**settings.model_dump(by_alias=True), "rules": {"rows": rule}}))


def notification(key: str, name: str = "ObjectCreated:Put") -> dict[str, Any]:
    found = {"bucket": {"name": "incoming"}, "object": {"key": key, "eTag": "abc"}}
    return {"Records": [{"eventSource": "aws:s3", "eventName": name, "s3": found}]}


def test_a_notification_of_a_store_is_a_job(ruled: Running) -> None:
    answer = ruled.client.post("/v1/events", json=notification("in/my+rows.csv"))

    assert answer.status_code == 202, answer.text
    job_id = object_job_id("free", "rows", "incoming", "in/my rows.csv", "etag:abc")
    [job] = answer.json()["jobs"]
    assert (job["id"], job["status"], job["rule"]) == (job_id, "queued", "rows")
    assert answer.headers["location"] == f"/v1/jobs/{job_id}"
    [record] = ruled.published(ruled.names.jobs("free"), 1)
    data = JOB.decode(record.value)["data"]
    assert data["source"]["url"] == "s3://incoming/in/my rows.csv"
    assert ruled.client.post("/v1/events", json=notification("in/my+rows.csv")).json() == answer.json()


def test_what_no_rule_is_for_is_ignored_with_the_reason(ruled: Running) -> None:
    answer = ruled.client.post("/v1/events", json=notification("out/rows.csv"))
    assert answer.status_code == 200
    assert answer.json() == {
        "ignored": [
            {"event": "ObjectCreated:Put", "bucket": "incoming", "key": "out/rows.csv", "reason": "no rule matches"}
        ]
    }
    assert ruled.client.post("/v1/events", json=notification("in/a.csv", "ObjectRemoved:Delete")).status_code == 200
    test = {"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "incoming"}
    assert ruled.client.post("/v1/events", json=test).json() == {"ignored": []}


def test_sns_sends_its_json_as_text(ruled: Running) -> None:
    message = {"Type": "Notification", "TopicArn": "arn:t", "Message": json.dumps(notification("in/a.csv"))}
    headers = {"content-type": "text/plain; charset=UTF-8", "x-amz-sns-message-type": "Notification"}
    answer = ruled.client.post("/v1/events", content=json.dumps(message), headers=headers)
    assert [job["key"] for job in answer.json()["jobs"]] == ["in/a.csv"]


def test_a_notification_may_be_the_data_of_a_cloudevent(ruled: Running) -> None:
    bare = structured(event(data=notification("in/a.csv")))
    del bare["predictqendpoint"]
    answer = batch(ruled, [bare, structured(event())])
    assert answer.status_code == 202, answer.text
    of_store, of_shop = answer.json()
    assert of_store["jobs"][0]["key"] == "in/a.csv"
    assert of_shop["endpoint"] == "tumours"
