"""Predictions as the workers publish them, read from the broker: without gateway, sync service or database."""

import logging
import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from types import TracebackType
from typing import Self, TypeVar

from pydantic_core import from_json

from predictq.brokers.port import Batch, Broker, Done, Record, Release, Subscription, Verdict
from predictq.errors import BadMessage, BrokerUnavailable, Unavailable, UserMistake
from predictq.loop.keeper import Keeper
from predictq.members import member_name
from predictq.messages import BATCH_TYPE, PREDICTION, PredictionEvent
from predictq.names import NAME_PATTERN, Names
from predictq.topology import GroupSpec, Topology
from predictq_producers.client.errors import GatewayUnavailable
from predictq_producers.client.result import Result
from predictq_producers.client.retrying import Attempts

__all__ = ["TopicStream"]

CLAIM_SECONDS = 10.0
MAX_MESSAGES = 100
MAX_BYTES = 4 * 1024 * 1024

AnswerT = TypeVar("AnswerT")

log = logging.getLogger(__name__)


class TopicStream:
    """The predictions of an endpoint, for a `for` that has no end of its own; `close` it, or use it in a `with`.

    Each is a Result whose one prediction is that of one deployment, with the `id` of its event, which is the same
    however often it comes, and its `redrive`. With a group, what was taken before is settled when the next one is asked
    for: what is in hand when the loop is left comes again, to whoever reads for the group next. To be used by one
    thread.
    """

    def __init__(self, broker: Broker, names: Names, endpoint: str, group: str | None, timeout: float) -> None:
        """Nothing that is published from now on is missed. Raises BrokerUnavailable, UserMistake."""
        topic = names.predictions(endpoint)
        if group is not None:
            if not re.fullmatch(NAME_PATTERN, group):
                raise UserMistake(f"group {group[:64]!r} does not match {NAME_PATTERN}, like 'mailer'")
            group = names.readers(endpoint, group)
            with closing(broker.admin()) as admin:
                admin.ensure(Topology(names.prefix, (), (GroupSpec(group, (topic,)),)))
        subscription = Subscription(topics=(topic,), member=member_name(), group=group, claim_seconds=CLAIM_SECONDS)
        self._consumer = broker.consumer(subscription)
        self._timeout = timeout
        self._closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Leave the group, and give back what is in hand; may be called again."""
        if not self._closed:
            self._closed = True
            self._consumer.close()

    def __iter__(self) -> Iterator[Result]:
        """Waits for each. Raises BrokerUnavailable after `timeout` seconds of the client without the broker."""
        with Keeper(self._consumer, claim_seconds=CLAIM_SECONDS, name="results") as keeper:
            while not self._closed:
                batch = self._patiently(lambda: self._consumer.poll(MAX_MESSAGES, MAX_BYTES, 0.0))
                keeper.hold(batch)
                verdicts: list[Verdict] = [Release()] * len(batch)
                try:
                    for index, record in enumerate(batch):
                        if (result := _result_of(record)) is not None:
                            yield result
                        verdicts[index] = Done()
                finally:
                    if not self._closed:
                        keeper.settling(batch)
                        self._settle(batch, verdicts)
                    keeper.release(batch)

    def _settle(self, batch: Batch, verdicts: Sequence[Verdict]) -> None:
        lost = self._patiently(lambda: self._consumer.settle(batch, verdicts))
        if lost:
            log.warning("%d predictions were lost to another reader of the group, which gets them again", lost)

    def _patiently(self, call: Callable[[], AnswerT]) -> AnswerT:
        attempts = Attempts(self._timeout, from_first_failure=True)
        while True:
            try:
                return call()
            except Unavailable as error:
                try:
                    pause = attempts.pause_seconds(str(error))
                except GatewayUnavailable as given_up:
                    raise BrokerUnavailable(given_up.detail) from error
            time.sleep(pause)


def _result_of(record: Record) -> Result | None:
    """None for what is no prediction: records of mini-batches, and what nobody can read."""
    try:
        return _result(PREDICTION.decode(record.value))
    except BadMessage as error:
        if not _is_batch(record.value):
            log.warning("passed over, at %s of %s: %s", record.position, record.topic, error)
        return None


def _is_batch(value: bytes) -> bool:
    try:
        return bool(from_json(value)["type"] == BATCH_TYPE)
    except (ValueError, LookupError, TypeError):
        return False


def _result(event: PredictionEvent) -> Result:
    data = event["data"]
    prediction = {
        "id": event["id"],
        "deployment": data["deployment"],
        "model_version": data["model_version"],
        "status": data["status"],
        "outputs": data["outputs"],
        "errors": data["errors"],
        "batch_id": data["batch_id"],
        "redrive": data["redrive"],
        "created_at": event["time"],
    }
    return Result(
        id=data["request_id"],
        endpoint=data["endpoint"],
        status=data["status"],
        created_at=None,
        predictions=(prediction,),
    )
