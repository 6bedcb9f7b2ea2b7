"""From what a caller sent to a request on its topic: checked, stamped, given an id, measured."""

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from predictq.brokers.port import Message
from predictq.clock import parse_time, wire_time
from predictq.messages import (
    REQUEST,
    REQUEST_TYPE,
    SPECVERSION,
    Callback,
    JobPlace,
    RequestEvent,
    encode_rows,
    new_request,
    source_of,
)
from predictq.names import Names
from predictq.payloads import Payload
from predictq.push.callbacks import CallbackCheck, WrongCallback
from predictq.settings import EndpointSettings, Settings
from predictq_producers.claim_check import ClaimCheck, claim_check
from predictq_producers.parsing import check_values, parse_json
from predictq_producers.refusals import MAX_FAULTS, Fault, Refused, pointer
from predictq_producers.schemas import InputCheck, input_check
from predictq_producers.stamping import Stamp

__all__ = ["RESERVED_BYTES", "Prepared", "RequestMaker", "Submission", "maker_of", "request_makers"]

RESERVED_BYTES = 64 * 1024
"""Of the broker's limit: room for headers and for what a retry or a dead letter adds."""

MAX_KEY_CHARACTERS = 255
MAX_METADATA_ENTRIES = 32
MAX_METADATA_NAME = 128
MAX_METADATA_VALUE = 1024
MAX_DEADLINE_SECONDS = 366 * 86_400.0
FEW_BRACKETS = 2 * 64
FIELDS = ("instances", "key", "deadline", "deadline_seconds", "metadata", "callback")


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """What a caller asks for, checked. `deadline` is Unix seconds."""

    instances: list[Any]
    key: str | None = None
    deadline: float | None = None
    metadata: Mapping[str, str] | None = None
    callback: Callback | None = None


class Prepared(NamedTuple):
    """A request ready to be published."""

    id: str
    instances_hash: str
    message: Message
    payload: Payload | None = None
    """What is to be written before, where the message only refers to its instances."""

    @property
    def size(self) -> int:
        """Bytes of it, wherever they go."""
        return len(self.message.value) + (0 if self.payload is None else len(self.payload.data))


class RequestMaker:
    """Makes the requests of one endpoint. Holds no state that changes; may be used by any thread."""

    def __init__(
        self,
        *,
        endpoint: str,
        spec: EndpointSettings,
        stamp: Stamp,
        check: InputCheck,
        callbacks: CallbackCheck,
        names: Names,
        max_bytes: int,
        claim_check: ClaimCheck | None,
    ) -> None:
        self.endpoint = endpoint
        self.check = check
        self.max_instances = spec.max_instances
        self._stamp = stamp
        self._callbacks = callbacks
        self.max_bytes = max_bytes
        """Of one request as a message."""
        self._claim_check = claim_check
        self._above_bytes = max_bytes if claim_check is None else claim_check.above_bytes
        self._topic = names.requests(endpoint)
        self._bulk_topic = names.bulk(endpoint)

    @property
    def is_served(self) -> bool:
        """Whether anyone would answer."""
        return self._stamp.answers

    def read(self, raw: bytes, now: float) -> Submission:
        """The submission in a body of JSON, `{"instances": […], …}`. Raises Refused."""
        # Only a body with many brackets can nest deeply; most are never walked.
        return self.read_value(parse_json(raw), now, deep=raw.count(b"[") + raw.count(b"{") > FEW_BRACKETS)

    def read_value(self, body: Any, now: float, *, deep: bool = True) -> Submission:
        """The same of a body that is parsed already; `deep`: it may be nested deeply."""
        if not isinstance(body, dict):
            raise _wrong_shape(Fault("", 'is no JSON object; {"instances": [{…}]} would be right'))
        if unknown := [name for name in body if name not in FIELDS]:
            known = ", ".join(FIELDS)
            faults = [Fault(pointer(name), f"is unknown here; known are {known}") for name in unknown[:MAX_FAULTS]]
            raise _wrong_shape(*faults)
        if "instances" not in body:
            raise _wrong_shape(Fault("/instances", "is missing; a list of instances would be right"))
        instances = body["instances"]
        self.check_instances(instances, deep=deep)
        if len(body) == 1:
            return Submission(instances=instances)
        return Submission(
            instances=instances,
            key=_key(body.get("key")),
            deadline=_deadline(body, now),
            metadata=_metadata(body.get("metadata")),
            callback=self._callback(body.get("callback")),
        )

    def check_instances(self, instances: Any, *, deep: bool = True) -> None:
        """Raise Refused unless these are instances that the endpoint takes."""
        if not isinstance(instances, list):
            raise _wrong_shape(Fault("/instances", "is no list; [{…}, …] or [[…], …] would be right"))
        if not instances:
            raise _wrong_shape(Fault("/instances", "is empty; at least one instance would be right"))
        if len(instances) > self.max_instances:
            raise Refused(
                413,
                f"{len(instances)} instances are too many for endpoint {self.endpoint!r}",
                [Fault("/instances", f"at most {self.max_instances} instances a request would be right; send several")],
            )
        if deep:
            check_values(instances, "instances")
        valid = self.check.valid
        if all(isinstance(instance, dict | list) and valid(instance) for instance in instances):
            return
        check_values(instances, "instances")  # a number out of range is told as such, not as null
        raise Refused(422, f"the instances do not fit endpoint {self.endpoint!r}", self._faults(instances))

    def prepare(self, submission: Submission, request_id: str, now: float) -> Prepared:
        """The request as a message, without its instances where they are too large for it.

        Raises Refused: no one would answer it, or it is too large altogether.
        """
        event = new_request(
            request_id=request_id,
            endpoint=self.endpoint,
            instances=submission.instances,
            deployments=self._owed(request_id),
            now=now,
            key=submission.key,
            deadline=submission.deadline,
            metadata=submission.metadata,
            callback=submission.callback,
        )
        value = REQUEST.encode(event)
        # Infinity comes out of the encoder as a bare word; a walk finds its place, or that it is part of a text.
        if b"Infinity" in value or b"NaN" in value:
            check_values(submission.instances, "instances")
        payload = None
        if len(value) > self._above_bytes:
            value, payload = self._without_instances(event, len(value), now)
        key = submission.key.encode() if submission.key is not None else None
        return Prepared(request_id, event["data"]["instances_hash"], Message(self._topic, value, key), payload)

    def prepare_rows(self, rows: bytes, job: JobPlace, request_id: str, now: float, *, packed: bool = False) -> Message:
        """Rows of a job's file for the topic of those that may wait, checked already: the JSON of instances or, with
        `packed`, of columns.

        Raises Refused where no one would answer.
        """
        event: RequestEvent = {
            "specversion": SPECVERSION,
            "id": request_id,
            "source": source_of(self.endpoint),
            "type": REQUEST_TYPE,
            "time": wire_time(now),
            "data": {
                "endpoint": self.endpoint,
                "deployments": self._owed(request_id),
                "instances_hash": hashlib.sha256(rows).hexdigest(),
                "job": job,
            },
        }
        return Message(self._bulk_topic, encode_rows(event, rows, "packed" if packed else "instances"))

    def _without_instances(self, event: RequestEvent, size: int, now: float) -> tuple[bytes, Payload]:
        if self._claim_check is None:
            cure = "or jobs.storage set to where gateways and workers both reach it, so that they are kept there"
            raise Refused(
                413,
                f"the request is {size} bytes long, the broker takes {self.max_bytes}",
                [Fault("/instances", f"fewer or smaller ones would be right; send several requests, {cure}")],
            )
        value, payload = self._claim_check.take_out(event, now)
        if len(value) > self.max_bytes:
            raise Refused(
                413,
                f"the request is {len(value)} bytes long without its instances, the broker takes {self.max_bytes}",
                [Fault("/metadata", "fewer or smaller labels would be right")],
            )
        return value, payload

    def _callback(self, value: Any) -> Callback | None:
        if value is None:
            return None
        try:
            return self._callbacks(value)
        except WrongCallback as error:
            place = ("callback", error.place) if error.place else ("callback",)
            raise _wrong_shape(Fault(pointer(*place), str(error))) from None

    def _owed(self, request_id: str) -> list[str]:
        deployments = self._stamp.deployments(request_id)
        if not deployments:
            raise Refused(503, f"endpoint {self.endpoint!r} has no deployment yet, so no one would answer")
        return deployments

    def _faults(self, instances: list[Any]) -> list[Fault]:
        faults: list[Fault] = []
        for index, instance in enumerate(instances):
            at = ("instances", index)
            if not isinstance(instance, dict | list):
                faults.append(Fault(pointer(*at), "is neither a JSON object of named features nor an array of values"))
            else:
                faults.extend(self.check.faults(instance, at))
            if len(faults) >= MAX_FAULTS:
                return faults[:MAX_FAULTS]
        return faults


def request_makers(settings: Settings, *, max_message_bytes: int) -> dict[str, RequestMaker]:
    """A maker for each endpoint. Raises SettingsError where an endpoint's `input` or `claim_check` is broken."""
    names = Names(settings.prefix)
    max_bytes = max_message_bytes - RESERVED_BYTES
    check = claim_check(settings, max_bytes=max_bytes)
    callbacks = CallbackCheck(settings.push)
    return {
        endpoint: RequestMaker(
            endpoint=endpoint,
            spec=spec,
            stamp=Stamp(settings.deployments_of(endpoint)),
            check=input_check(settings, endpoint),
            callbacks=callbacks,
            names=names,
            max_bytes=max_bytes,
            claim_check=check,
        )
        for endpoint, spec in settings.endpoints.items()
    }


def maker_of(makers: Mapping[str, RequestMaker], endpoint: str) -> RequestMaker:
    """The maker of an endpoint. Raises Refused(404)."""
    maker = makers.get(endpoint)
    if maker is None:
        known = ", ".join(sorted(makers)) or "none is configured"
        raise Refused(404, f"there is no endpoint {endpoint[:64]!r}; known: {known}")
    return maker


def _wrong_shape(*faults: Fault) -> Refused:
    return Refused(422, "the body is no prediction request", faults)


def _key(value: Any) -> str | None:
    if value is None or (isinstance(value, str) and 1 <= len(value) <= MAX_KEY_CHARACTERS):
        return value
    raise _wrong_shape(Fault("/key", f"is no text of 1 to {MAX_KEY_CHARACTERS} characters"))


def _deadline(body: Mapping[str, Any], now: float) -> float | None:
    seconds, moment = body.get("deadline_seconds"), body.get("deadline")
    if seconds is not None and moment is not None:
        raise _wrong_shape(Fault("/deadline", "stands beside deadline_seconds; one of both would be right"))
    if seconds is not None:
        if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 < seconds <= MAX_DEADLINE_SECONDS:
            right = f"a number of seconds above 0, at most {MAX_DEADLINE_SECONDS:.0f}, would be right"
            raise _wrong_shape(Fault("/deadline_seconds", f"is out of range; {right}"))
        return now + seconds
    if moment is None:
        return None
    at = _moment(moment)
    if not now < at <= now + MAX_DEADLINE_SECONDS:
        raise _wrong_shape(Fault("/deadline", "is not within the coming 366 days"))
    return at


def _moment(value: Any) -> float:
    try:
        at = parse_time(value) if isinstance(value, str) else math.nan
    except (ValueError, OverflowError):
        at = math.nan
    if math.isnan(at):
        raise _wrong_shape(Fault("/deadline", "is no RFC 3339 time; 2026-11-30T15:04:05.000Z would be right"))
    return at


def _metadata(value: Any) -> Mapping[str, str] | None:
    if value is None:
        return None
    if not isinstance(value, dict):
        raise _wrong_shape(Fault("/metadata", 'is no object of texts; {"order": "1234"} would be right'))
    if len(value) > MAX_METADATA_ENTRIES:
        raise _wrong_shape(
            Fault("/metadata", f"has {len(value)} entries; at most {MAX_METADATA_ENTRIES} would be right")
        )
    faults = [
        Fault(
            pointer("metadata", name),
            f"a text of at most {MAX_METADATA_VALUE} characters under a name of at most "
            f"{MAX_METADATA_NAME} would be right",
        )
        for name, text in value.items()
        if len(name) > MAX_METADATA_NAME or not isinstance(text, str) or len(text) > MAX_METADATA_VALUE
    ]
    if faults:
        raise _wrong_shape(*faults)
    return value
