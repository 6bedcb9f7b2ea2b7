"""The AsyncAPI document tells what is so: of the messages, of their headers, of the topics, and nothing secret."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from predictq.asyncapi import asyncapi_document
from predictq.brokers.copies import dead_letter, isolated_copy, retry_copy
from predictq.brokers.port import Record
from predictq.settings import Settings
from predictq.topology import topology_of

GOLDEN = Path(__file__).parents[1] / "messages/golden"
FILES = sorted(GOLDEN.glob("*.json"))
INSTALLATION = {
    "prefix": "shop",
    "endpoints": {"fraud": {"partitions": 7}, "tumours": {}},
    "deployments": {
        "linear": {"endpoint": "fraud", "model": "m.joblib"},
        "silent": {"endpoint": "fraud", "model": "s.joblib", "role": "shadow"},
        "forest": {"endpoint": "tumours", "model": "f.joblib"},
    },
}


def document_of(broker: str = "memory://any") -> dict[str, Any]:
    return asyncapi_document(Settings.model_validate({"broker": broker, **INSTALLATION}))


def test_there_is_a_channel_for_each_topic_and_no_other() -> None:
    settings = Settings.model_validate({"broker": "memory://any", **INSTALLATION})
    channels = asyncapi_document(settings)["channels"]
    assert {channel["address"] for channel in channels.values()} == {each.name for each in topology_of(settings).topics}


def test_every_group_reads_where_the_document_says() -> None:
    settings = Settings.model_validate({"broker": "memory://any", **INSTALLATION})
    operations = asyncapi_document(settings)["operations"].values()
    told = {(each["channel"]["$ref"], group) for each in operations for group in each.get("x-groups", ())}
    assert told == {
        (f"#/channels/{topic}", group.name) for group in topology_of(settings).groups for topic in group.topics
    }


def test_the_open_channels_are_the_intake_and_the_predictions() -> None:
    channels = document_of()["channels"]
    opened = {name for name, channel in channels.items() if channel["tags"][0]["name"] == "open"}
    kinds = ("intake", "predictions")
    assert opened == {f"shop.{endpoint}.{kind}" for endpoint in ("fraud", "tumours") for kind in kinds}


def test_predictq_sends_nothing_to_the_intake() -> None:
    operations = document_of()["operations"]
    assert "receive.shop.fraud.intake" in operations
    assert "send.shop.fraud.intake" not in operations


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_a_golden_message_fits_the_message_of_its_type_and_no_other(file: Path) -> None:
    document = document_of()
    event = json.loads(file.read_text())
    messages = document["components"]["messages"]
    ours = {name: each for name, each in messages.items() if each["name"].startswith("predictq.")}
    kind = file.name.split(".")[0].split("-")[0]
    assert {name for name, each in ours.items() if fits(document, each, event)} == (
        {"request", "retry"} if kind == "request" else {kind}
    )


def test_a_message_without_its_type_fits_nothing() -> None:
    document = document_of()
    event = json.loads((GOLDEN / "request.v1.json").read_text())
    del event["type"]
    assert not fits(document, document["components"]["messages"]["request"], event)


def test_the_headers_are_those_that_are_written() -> None:
    messages = document_of()["components"]["messages"]
    record = Record(
        topic="shop.fraud.requests",
        partition=3,
        position="17",
        key=None,
        value=b"",
        headers={"redrive": "1"},
        published_at=0.0,
        redeliveries=2,
    )
    copies = [retry_copy(record, "shop.fraud.retries.linear"), isolated_copy(record, "shop.fraud.retries.linear")]
    dead = dead_letter(record, "shop.fraud.linear", "it ended two processes", 1.0)

    for copy in copies:
        assert headers_fit(messages["retry"], copy.headers)
    assert {name for copy in copies for name in copy.headers} == set(messages["retry"]["headers"]["properties"])
    assert headers_fit(messages["deadLetter"], dead.headers)
    assert set(dead.headers) - {"redrive"} == set(messages["deadLetter"]["headers"]["required"])
    for name in messages["deadLetter"]["headers"]["required"]:
        assert not headers_fit(
            messages["deadLetter"], {key: value for key, value in dead.headers.items() if key != name}
        )


@pytest.mark.parametrize(
    ("url", "protocol"),
    [
        ("kafka://user:hidden@inside.example:9092", "kafka"),
        ("kafka+confluent://user:hidden@inside.example:9092", "kafka"),
        ("amqps://user:hidden@inside.example/vhost", "amqps"),
        ("rediss://user:hidden@inside.example:6379/0", "rediss"),
        ("sqlite:////srv/inside.example/hidden.db", "sqlite"),
    ],
)
def test_the_server_is_a_protocol_and_neither_a_host_nor_a_secret(url: str, protocol: str) -> None:
    document = document_of(url)
    assert document["servers"]["broker"]["protocol"] == protocol
    assert "hidden" not in json.dumps(document)
    assert "inside.example" not in json.dumps(document)


def test_what_only_kafka_has_is_told_of_kafka_alone() -> None:
    on_kafka, on_redis = document_of("kafka://localhost"), document_of("redis://localhost")
    assert on_kafka["channels"]["shop.fraud.requests"]["bindings"] == {"kafka": {"partitions": 7}}
    assert on_kafka["operations"]["receive.shop.fraud.requests"]["bindings"]["kafka"]["groupId"]["enum"] == [
        "shop.fraud.linear",
        "shop.fraud.silent",
        "shop.sync.ledger",
    ]
    assert "bindings" not in json.dumps([on_redis["channels"], on_redis["operations"]])


def fits(document: Mapping[str, Any], message: Mapping[str, Any], event: Any) -> bool:
    """By the dialect that AsyncAPI reads schemas in where nothing else is said."""
    schema = {"$schema": "http://json-schema.org/draft-07/schema#", "components": document["components"]}
    return jsonschema_rs.Draft7Validator({**schema, "allOf": [message["payload"]]}).is_valid(event)


def headers_fit(message: Mapping[str, Any], headers: Mapping[str, str]) -> bool:
    return jsonschema_rs.Draft7Validator(message["headers"]).is_valid(dict(headers))
