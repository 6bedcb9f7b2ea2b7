"""What object stores say of their objects: S3's notifications, from AWS, MinIO, Ceph and others that follow them.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html
They come as they are, within a notification of SNS, or as an event of EventBridge.
"""

import logging
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import unquote, unquote_plus

from predictq_producers.parsing import parse_json
from predictq_producers.refusals import Fault, Refused, pointer

__all__ = ["ObjectEvent", "object_events"]

log = logging.getLogger(__name__)

MAX_RECORDS = 1000
"""In one notification; AWS sends one."""
MAX_KEY_BYTES = 1024
MAX_BUCKET_CHARACTERS = 255
CREATED = "ObjectCreated"
TEST = "s3:TestEvent"
_SNS_CONFIRMATIONS = {"SubscriptionConfirmation", "UnsubscribeConfirmation"}


class ObjectEvent(NamedTuple):
    """Something happened to an object."""

    name: str
    """As S3 names it, without `s3:`, such as `ObjectCreated:Put`."""
    bucket: str
    key: str
    """As it is, no longer encoded."""
    version: str
    """What tells this content of the object from others: the version's id, else the ETag, else the sequencer."""
    etag: str | None = None
    """Of this content, without quotation marks; None where the notification has none."""

    @property
    def created(self) -> bool:
        """Whether the object has new content."""
        return self.name.startswith(CREATED)


def object_events(value: Any) -> Sequence[ObjectEvent] | None:
    """The events in a notification; none of one that only tests or confirms. None where it is no notification.

    Raises Refused where it is one of too many objects, or an object has no bucket or no key.
    """
    if not isinstance(value, dict):
        return None
    if "TopicArn" in value and "Type" in value:
        return _of_sns(value)
    if value.get("Event") == TEST:
        return ()
    detail = value.get("detail")
    if "detail-type" in value and isinstance(detail, dict) and "object" in detail and "bucket" in detail:
        name = str(value["detail-type"]).replace(" ", "")
        return [_event(name, detail["bucket"], detail["object"], ("detail",), str)]
    records = value.get("Records")
    if isinstance(records, list) and records and all(_is_record(record) for record in records):
        if len(records) > MAX_RECORDS:
            fault = Fault("/Records", f"at most {MAX_RECORDS} would be right")
            raise Refused(413, f"the notification holds {len(records)} records", [fault])
        return [_of_record(record, "Records", index) for index, record in enumerate(records)]
    return [_of_record(value)] if _is_record(value) else None


def _of_sns(value: Mapping[str, Any]) -> Sequence[ObjectEvent] | None:
    if value["Type"] in _SNS_CONFIRMATIONS:
        log.warning("SNS asks to confirm: open %.2000r", value.get("SubscribeURL"))
        return ()
    try:
        message = parse_json(str(value.get("Message", "")).encode())
    except Refused:
        return None
    return None if isinstance(message, dict) and "TopicArn" in message else object_events(message)


def _is_record(value: Any) -> bool:
    return isinstance(value, dict) and "eventName" in value and isinstance(value.get("s3"), dict)


def _of_record(record: Mapping[str, Any], *at: str | int) -> ObjectEvent:
    s3 = record["s3"]
    # A space is a plus sign in what AWS and MinIO send. Ceph sent keys as they are, and a plus sign was one.
    decode = unquote if str(record.get("eventSource")).startswith("ceph") else unquote_plus
    event = _event(str(record["eventName"]), s3.get("bucket"), s3.get("object"), (*at, "s3"), decode)
    return event if event.version else event._replace(version=str(record.get("eventTime", "")))


def _event(name: str, bucket: Any, found: Any, at: tuple[str | int, ...], decode: Any) -> ObjectEvent:
    bucket_name = bucket.get("name") if isinstance(bucket, dict) else None
    if not isinstance(bucket_name, str) or not 0 < len(bucket_name) <= MAX_BUCKET_CHARACTERS:
        raise _wrong(pointer(*at, "bucket", "name"), "the name of a bucket would be right")
    encoded = found.get("key") if isinstance(found, dict) else None
    place = pointer(*at, "object", "key")
    if not isinstance(encoded, str) or not encoded:
        raise _wrong(place, "the key of an object would be right")
    try:
        key: str = encoded if decode is str else decode(encoded, errors="strict")
    except UnicodeDecodeError as error:
        raise _wrong(place, "is not UTF-8, percent-encoded") from error
    if len(key.encode()) > MAX_KEY_BYTES or "\0" in key:
        raise _wrong(place, f"a key of at most {MAX_KEY_BYTES} bytes without zero bytes would be right")
    return ObjectEvent(name.removeprefix("s3:"), bucket_name, key, _version(found), _text_of(found, "eTag", "etag"))


def _version(found: Mapping[str, Any]) -> str:
    for name in ("versionId", "version-id", "eTag", "etag", "sequencer"):
        if text := _text_of(found, name):
            return f"{name.lower().replace('-', '')}:{text}"
    return ""


def _text_of(found: Mapping[str, Any], *names: str) -> str | None:
    for name in names:
        value = found.get(name)
        if isinstance(value, str) and (text := value.strip('"')) and text != "null":
            return text[:MAX_KEY_BYTES]
    return None


def _wrong(place: str, detail: str) -> Refused:
    return Refused(422, "the notification names no object", [Fault(place, detail)])
