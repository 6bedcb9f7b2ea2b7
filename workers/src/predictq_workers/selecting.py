"""Which records are requests that this deployment is to predict."""

import logging
from collections.abc import Container, Sequence
from typing import NamedTuple

from predictq.brokers import Done, Message, Record, Verdict
from predictq.cancels import Cancelled
from predictq.clock import wire_time
from predictq.errors import BadMessage
from predictq.messages import REQUEST, RequestEvent
from predictq.names import Names
from predictq_workers.answers import Answers
from predictq_workers.inputs import Inputs
from predictq_workers.minibatches import Work
from predictq_workers.model import INVALID_INPUT

__all__ = ["Selected", "Selection", "prediction_key"]

log = logging.getLogger(__name__)

NOTHING = Done()


class Selected(NamedTuple):
    """What is to be predicted, and the verdicts on everything; those on works are still to be replaced."""

    works: list[Work]
    inputs: Inputs
    """Of the works, in their order."""
    verdicts: list[Verdict]
    referring: list[Work]
    """What is to be predicted too, and has its instances elsewhere: none of them yet."""


class Selection:
    """Decides by the list that the producer stamped, by the deadline and by what was cancelled."""

    def __init__(
        self, *, names: Names, endpoint: str, deployment: str, shadow: bool, cancelled: Cancelled, answers: Answers
    ) -> None:
        self._endpoint = endpoint
        self._visible_topic = names.predictions(endpoint)
        self._shadow_topic = names.shadow_predictions(endpoint)
        self._deployment = deployment
        self._shadow = shadow
        self._cancelled = cancelled
        self._answers = answers
        self.unreadable = 0
        """Messages so far that are no requests. They are acknowledged: the ledger makes the dead letter."""

    def select(self, records: Sequence[Record], now: float) -> Selected:
        """At `now`, Unix seconds."""
        now_text = wire_time(now)
        works: list[Work] = []
        inputs = Inputs()
        verdicts: list[Verdict] = [NOTHING] * len(records)
        referring: list[Work] = []
        cancelled = self._cancelled or ()
        decode = REQUEST.decode
        unreadable: list[BadMessage] = []
        for at, record in enumerate(records):
            try:
                request = decode(record[3])
            except BadMessage as error:
                unreadable.append(error)
                continue
            topic = self.topic_of(request)
            if topic is None or (cancelled and _is_among(request, cancelled)):
                continue
            if "expirytime" in request and request["expirytime"] < now_text:
                verdicts[at] = Done((self._expired(request, record, topic, now_text),))
                continue
            data = request["data"]
            if "instances" not in data and "packed" not in data:
                referring.append(Work(at, record, request, topic, 0, 0))
                continue
            start = inputs.count
            try:
                inputs.add(data)
            except BadMessage as error:
                verdicts[at] = Done((self._unusable(request, record, topic, str(error), now_text),))
                continue
            works.append(Work(at, record, request, topic, start, inputs.count))
        if unreadable:
            self.unreadable += len(unreadable)
            log.warning("%d messages are no requests and are passed over: %s", len(unreadable), unreadable[0])
        return Selected(works, inputs, verdicts, referring)

    def topic_of(self, request: RequestEvent) -> str | None:
        """Where the prediction goes; None when none is owed."""
        data = request["data"]
        if data["endpoint"] != self._endpoint:  # on the wrong topic: the ledger makes the dead letter
            return None
        if self._deployment in data["deployments"]:
            return self._visible_topic
        return self._shadow_topic if self._shadow else None

    def _expired(self, request: RequestEvent, record: Record, topic: str, now_text: str) -> Message:
        detail = "the deadline passed before it was predicted"
        value = self._answers.refusal(request, "expired", "expired", detail, redrive=record.redrive, time=now_text)
        return Message(topic, value, prediction_key(request))

    def _unusable(self, request: RequestEvent, record: Record, topic: str, detail: str, now_text: str) -> Message:
        value = self._answers.refusal(request, "failed", INVALID_INPUT, detail, redrive=record.redrive, time=now_text)
        return Message(topic, value, prediction_key(request))


def _is_among(request: RequestEvent, cancelled: Container[str]) -> bool:
    """Whether it was cancelled, or the job that it was cut from."""
    data = request["data"]
    return request["id"] in cancelled or ("job" in data and data["job"]["id"] in cancelled)


def prediction_key(request: RequestEvent) -> bytes | None:
    """Predictions of a partition key keep their order; all others go to any partition, which costs no hash."""
    key = request.get("partitionkey")
    return None if key is None else key.encode()
