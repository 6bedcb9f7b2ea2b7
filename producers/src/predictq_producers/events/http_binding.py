"""CloudEvents out of an HTTP request: structured, binary and batched.

https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/http-protocol-binding.md
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple
from urllib.parse import unquote_to_bytes

from predictq_producers.headers import check_encoding, is_json, media_type_of
from predictq_producers.parsing import parse_json
from predictq_producers.refusals import Fault, Refused

__all__ = ["MAX_EVENTS", "Received", "received"]

MAX_EVENTS = 1000
"""In one batch."""
_STRUCTURED = "application/cloudevents"
_BATCH = "application/cloudevents-batch"
_PREFIX = "ce-"
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')


class Received(NamedTuple):
    """The events of one request, in the JSON format."""

    events: list[Any]
    batched: bool = False
    in_headers: bool = False
    """Binary: the body is the data."""


def received(headers: Mapping[str, str], raw: bytes) -> Received | None:
    """The events; None where the request does not say that it holds any. Raises Refused."""
    media_type = media_type_of(headers)
    if media_type.startswith(_STRUCTURED):
        base, _, form = media_type.partition("+")
        if form != "json" or base not in {_STRUCTURED, _BATCH}:
            raise Refused(415, f"content type {media_type[:80]!r}: {_STRUCTURED}+json or {_BATCH}+json would be right")
        check_encoding(headers)
        value = parse_json(raw)
        if base == _STRUCTURED:
            return Received([value])
        if not isinstance(value, list):
            raise Refused(422, "the body is no batch of events", [Fault("", "a JSON array of events would be right")])
        if len(value) > MAX_EVENTS:
            raise Refused(413, f"the batch holds {len(value)} events", [Fault("", f"at most {MAX_EVENTS} a batch")])
        return Received(value, batched=True)
    if f"{_PREFIX}specversion" in headers:
        return Received([_binary(headers, raw, media_type)], in_headers=True)
    return None


def _binary(headers: Mapping[str, str], raw: bytes, media_type: str) -> dict[str, Any]:
    content_type = headers.get("content-type")
    if content_type is not None and not is_json(content_type):
        raise Refused(415, f"the data of the event is {media_type[:80]!r}: application/json would be right")
    check_encoding(headers)
    event: dict[str, Any] = dict(_attributes(headers))
    if raw:
        event["data"] = parse_json(raw)
    return event


def _attributes(headers: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for name, value in headers.items():
        if name.startswith(_PREFIX):
            attribute = name.removeprefix(_PREFIX)
            if attribute not in {"data", "data_base64", "datacontenttype"}:
                yield attribute, _decoded(name, value)


def _decoded(name: str, value: str) -> str:
    """A header's value as the text that it stands for (section 3.1.3.2)."""
    text = value.strip()
    if quoted := _QUOTED.fullmatch(text):
        text = re.sub(r"\\(.)", r"\1", quoted[1])
    try:
        return unquote_to_bytes(text.encode("latin-1")).decode()
    except UnicodeDecodeError as error:
        raise Refused(400, f"{name}: is not UTF-8, percent-encoded") from error
