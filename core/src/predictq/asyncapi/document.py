"""The document as a whole.

https://www.asyncapi.com/docs/reference/specification/v3.0.0
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any, Literal

from predictq.asyncapi.kinds import Kind, kinds_of
from predictq.asyncapi.messages import CLOUD_EVENT, MESSAGES, SCHEMAS
from predictq.settings import Settings
from predictq.topology import topology_of

__all__ = ["asyncapi_document"]

DESCRIPTION = """
The topics of one installation of predictq and the messages on them. `send` and `receive` are said from the side of
predictq: what it receives others may send, and what it sends others may receive. Channels with the tag `open` are made
for the programs of others; the rest is how its own parts speak with one another. Submitting and reading over HTTP is
described by `/openapi.json`.
""".strip()
TAGS: Mapping[bool, Mapping[str, str]] = {
    True: {"name": "open", "description": "For the programs of others."},
    False: {"name": "internal", "description": "How the parts of predictq speak with one another."},
}
_PROTOCOLS = {"kafka+confluent": "kafka"}
_KAFKA = "kafka"


def asyncapi_document(settings: Settings) -> dict[str, Any]:
    """The AsyncAPI 3 document of these settings. Tells the broker's protocol, and neither its host nor a secret."""
    scheme = settings.broker.partition(":")[0].lower()
    protocol = _PROTOCOLS.get(scheme, scheme)
    topology = topology_of(settings)
    kinds = kinds_of(settings)
    groups: defaultdict[str, list[str]] = defaultdict(list)
    for group in topology.groups:
        for name in group.topics:
            groups[name].append(group.name)
    channels: dict[str, Any] = {}
    operations: dict[str, Any] = {}
    for topic in topology.topics:
        kind = kinds[topic.name]
        channels[topic.name] = _channel(topic.name, kind, topic.partitions if protocol == _KAFKA else None)
        operations |= _operations(topic.name, kind, groups[topic.name], kafka=protocol == _KAFKA)
    return {
        "asyncapi": "3.0.0",
        "id": f"urn:predictq:{settings.prefix}",
        "info": {"title": "predictq", "version": version("predictq"), "description": DESCRIPTION},
        "defaultContentType": CLOUD_EVENT,
        "servers": {"broker": _server(protocol)},
        "channels": channels,
        "operations": operations,
        "components": {"messages": MESSAGES, "schemas": SCHEMAS},
    }


def _server(protocol: str) -> dict[str, Any]:
    return {
        "host": "{broker}",
        "protocol": protocol,
        "description": "The broker of the settings. Where it is, and how one logs in, is for its operator to tell.",
        "variables": {"broker": {"description": "Host and port."}},
    }


def _channel(topic: str, kind: Kind, partitions: int | None) -> dict[str, Any]:
    """`partitions` on Kafka alone."""
    channel: dict[str, Any] = {
        "address": topic,
        "summary": kind.summary,
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in kind.messages},
        "tags": [TAGS[kind.is_open]],
    }
    if partitions is not None:
        channel["bindings"] = {_KAFKA: {"partitions": partitions}}
    return channel


def _operations(topic: str, kind: Kind, groups: Sequence[str], *, kafka: bool) -> dict[str, Any]:
    found = {f"receive.{topic}": _operation("receive", topic, kind, f"By {kind.received_by}.")}
    if groups:
        found[f"receive.{topic}"]["x-groups"] = groups
    if groups and kafka:
        found[f"receive.{topic}"]["bindings"] = {_KAFKA: {"groupId": {"type": "string", "enum": groups}}}
    if kind.sent_by is not None:
        found[f"send.{topic}"] = _operation("send", topic, kind, f"By {kind.sent_by}.")
    return found


def _operation(action: Literal["send", "receive"], topic: str, kind: Kind, who: str) -> dict[str, Any]:
    return {
        "action": action,
        "channel": {"$ref": f"#/channels/{topic}"},
        "summary": who,
        "messages": [{"$ref": f"#/channels/{topic}/messages/{name}"} for name in kind.messages],
        "tags": [TAGS[kind.is_open]],
    }
