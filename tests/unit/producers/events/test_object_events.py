"""What object stores send is understood, in every wrapping that it comes in."""

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from predictq_producers.events.object_events import ObjectEvent, object_events
from predictq_producers.refusals import Refused

ETAG = "d41d8cd98f00b204e9800998ecf8427e"
VERSION = "3HL4kqtJvjVBH40Nrjfkd"


def aws(key: str = "in/rows.csv", name: str = "ObjectCreated:Put", **changed: Any) -> dict[str, Any]:
    """A record as AWS's user guide shows it."""
    found = {"key": key, "size": 1024, "eTag": ETAG, "sequencer": "0055AED6DCD90281E5"}
    return {
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "awsRegion": "eu-central-1",
        "eventTime": "2026-11-26T10:00:00.000Z",
        "eventName": name,
        "s3": {
            "s3SchemaVersion": "1.0",
            "configurationId": "rows",
            "bucket": {"name": "incoming", "arn": "arn:aws:s3:::incoming"},
            "object": {**found, **changed},
        },
    }


def one(value: Any) -> ObjectEvent:
    found = object_events(value)
    assert found is not None
    [event] = found
    return event


def test_aws() -> None:
    event = one({"Records": [aws(versionId=VERSION)]})
    assert event == ObjectEvent("ObjectCreated:Put", "incoming", "in/rows.csv", f"versionid:{VERSION}", ETAG)
    assert event.created


def test_minio_whose_names_begin_with_s3() -> None:
    record = {**aws("in%2Frows+1.csv", "s3:ObjectCreated:Put"), "eventSource": "minio:s3"}
    event = one({"EventName": "s3:ObjectCreated:Put", "Key": "incoming/in/rows 1.csv", "Records": [record]})
    assert (event.name, event.key) == ("ObjectCreated:Put", "in/rows 1.csv")


def test_ceph_whose_plus_signs_are_plus_signs_and_whose_etag_is_written_otherwise() -> None:
    record = aws("in/a+b.csv")
    record["eventSource"] = "ceph:s3"
    record["s3"]["object"] = {"key": "in/a+b.csv", "size": 1, "etag": "abc", "versionId": "", "sequencer": "F1"}
    assert one({"Records": [record]}) == ObjectEvent("ObjectCreated:Put", "incoming", "in/a+b.csv", "etag:abc", "abc")


def test_within_a_notification_of_sns() -> None:
    message = json.dumps({"Records": [aws()]})
    assert one({"Type": "Notification", "TopicArn": "arn:aws:sns:eu:1:t", "Message": message}).bucket == "incoming"


def test_eventbridge_whose_keys_are_not_encoded() -> None:
    detail = {"bucket": {"name": "incoming"}, "object": {"key": "in/a+b%20.csv", "etag": "abc", "version-id": VERSION}}
    event = one({"detail-type": "Object Created", "source": "aws.s3", "detail": detail})
    assert event == ObjectEvent("ObjectCreated", "incoming", "in/a+b%20.csv", f"versionid:{VERSION}", "abc")
    assert event.created
    assert not one({"detail-type": "Object Deleted", "detail": detail}).created


@pytest.mark.parametrize(
    "value",
    [
        {"Service": "Amazon S3", "Event": "s3:TestEvent", "Time": "2026-11-26T10:00:00.000Z", "Bucket": "incoming"},
        {"Type": "SubscriptionConfirmation", "TopicArn": "arn:aws:sns:eu:1:t", "SubscribeURL": "https://sns.test/"},
    ],
)
def test_what_only_tests_holds_no_events(value: Any) -> None:
    assert object_events(value) == ()


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("my+file+%C3%A4.csv", "my file ä.csv"),
        ("a%2Bb", "a+b"),
        ("%2E%2E/secret", "../secret"),
        ("a*?[b]", "a*?[b]"),
        ("a%0Ab", "a\nb"),
    ],
)
def test_keys_are_decoded(key: str, said: str) -> None:
    assert one({"Records": [aws(key)]}).key == said


def test_the_version_is_the_best_that_is_known() -> None:
    assert one(aws(versionId="null")).version == "etag:d41d8cd98f00b204e9800998ecf8427e"
    assert one(aws(eTag='"abc"')).version == "etag:abc"
    assert one(aws(eTag="")).version == "sequencer:0055AED6DCD90281E5"
    assert one(aws(eTag="", sequencer="")).version == "2026-11-26T10:00:00.000Z"


@pytest.mark.parametrize(
    ("record", "place"),
    [
        (aws("%FF"), "/Records/0/s3/object/key"),
        (aws(""), "/Records/0/s3/object/key"),
        (aws("a%00b"), "/Records/0/s3/object/key"),
        (aws("a" * 1025), "/Records/0/s3/object/key"),
        ({"eventName": "ObjectCreated:Put", "s3": {"object": {"key": "a"}}}, "/Records/0/s3/bucket/name"),
    ],
)
def test_an_object_that_cannot_be_is_refused(record: Any, place: str) -> None:
    with pytest.raises(Refused) as caught:
        object_events({"Records": [record]})
    assert caught.value.faults[0].pointer == place


def test_too_many_at_once_are_refused() -> None:
    with pytest.raises(Refused) as caught:
        object_events({"Records": [aws()] * 1001})
    assert caught.value.status == 413


@pytest.mark.parametrize(
    "value",
    [
        [],
        {},
        {"Records": []},
        {"Records": [{"a": 1}]},
        {"Records": [aws(), {"a": 1}]},
        {"Type": "Notification", "TopicArn": "arn:aws:sns:eu:1:t", "Message": "hello"},
        {"detail-type": "Scheduled Event", "detail": {}},
        {"instances": [[1]]},
    ],
)
def test_all_else_is_no_notification(value: Any) -> None:
    assert object_events(value) is None


NAMES = st.sampled_from(
    [
        "Records",
        "s3",
        "eventName",
        "bucket",
        "object",
        "key",
        "name",
        "detail",
        "detail-type",
        "Type",
        "TopicArn",
        "Message",
    ]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=5),
    max_leaves=20,
)


@given(JSON)
def test_anything_is_events_or_none_or_refused(value: Any) -> None:
    with suppress(Refused):
        found = object_events(value)
        assert found is None or all(event.bucket and event.key for event in found)
