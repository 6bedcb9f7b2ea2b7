"""What topics and groups there are, where AMQP cannot list them.

AMQP 0-9-1 has no verb that lists exchanges or queues, tells a queue's arguments, or how many partitions a topic was
given; RabbitMQ's HTTP interface does, but is a plugin with a port and permissions of its own. So `ensure` writes the
topology as JSON to a stream, one for each prefix, and everybody reads its last message: a stream is read without being
changed, by any number at once, is replicated in a cluster, and has been part of RabbitMQ since 3.9. Who writes holds an
exclusive queue as a lock: the server gives it to one connection only, and takes it back when that is gone. Each writes
one message and waits for its confirm, so that the last chunk, where `x-stream-offset: last` begins, holds that message
alone.
"""

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from predictq.brokers.amqp.connection import Connection, Line
from predictq.brokers.amqp.errors import NOT_FOUND, RESOURCE_LOCKED, code_of
from predictq.brokers.amqp.queues import GroupQueues, group_queues, lock_name, registry_name
from predictq.errors import BrokerUnavailable, PredictqError, UserMistake
from predictq.loop.backoff import Backoff

__all__ = ["Known", "KnownTopic", "locked", "read", "remove", "write"]

_ARGUMENTS = {
    "x-queue-type": "stream",
    "x-max-length-bytes": 16_000_000,
    "x-stream-max-segment-size-bytes": 1_000_000,
}
_LOCK_PATIENCE_SECONDS = 60.0
_FIRST_MESSAGE_SECONDS = 10.0


class KnownTopic(BaseModel):
    """A topic as it was created."""

    model_config = ConfigDict(frozen=True)

    partitions: int
    ordered: bool = False


class Known(BaseModel):
    """What exists under one prefix."""

    model_config = ConfigDict(frozen=True)

    version: int = 0
    """Counts the changes."""
    topics: Mapping[str, KnownTopic] = {}
    groups: Mapping[str, Mapping[str, bool]] = {}
    """Groups by name; of each, its topics, and whether one member at a time reads them."""

    def queues(self, topic: str, group: str) -> GroupQueues:
        """What the group has of the topic. Raises UserMistake where one of them does not exist."""
        known = self.topics.get(topic)
        if known is None:
            raise UserMistake(
                f"topic {topic} does not exist; `predictq topics ensure` creates the topics of the settings"
            )
        single = self.groups.get(group, {}).get(topic)
        if single is None:
            raise UserMistake(
                f"group {group} does not exist on topic {topic}; `predictq topics ensure` creates the groups of the "
                "settings"
            )
        return group_queues(topic, group, known.partitions, ordered=known.ordered, single=single)


def read(connection: Connection, prefix: str, *, locked: bool = False) -> Known:
    """What exists under the prefix; nothing where `ensure` was never run.

    A stream that stays empty was left so by an `ensure` that was killed, or lost its last message with the power: then
    it is for the next `ensure`, which holds the lock, to begin anew. Anybody else raises BrokerUnavailable.
    """
    line = connection.line()
    found: list[tuple[int, bytes]] = []
    came = threading.Event()

    def take(channel: Any, method: Any, _: Any, body: bytes) -> None:
        channel.basic_ack(method.delivery_tag)
        found.append((method.delivery_tag, body))
        came.set()

    line.on_end = lambda _: came.set()
    try:
        line.ask("queue_declare", queue=registry_name(prefix), passive=True)
        line.ask("basic_qos", prefetch_count=100)
        line.ask(
            "basic_consume",
            queue=registry_name(prefix),
            on_message_callback=take,
            arguments={"x-stream-offset": "last"},
        )
        if not came.wait(_FIRST_MESSAGE_SECONDS):
            if locked:
                return Known()
            raise BrokerUnavailable(
                f"broker {connection.place.shown}: the stream {registry_name(prefix)} tells nothing; if it stays so, "
                "`predictq topics ensure` writes it anew"
            )
        line.ask("basic_qos", prefetch_count=100)
    except UserMistake:
        if line.error is not None and code_of(line.error) == NOT_FOUND:
            return Known()
        raise
    finally:
        line.close()
    return max((_parsed(body, prefix) for _, body in found), key=lambda known: known.version)


def write(connection: Connection, prefix: str, known: Known) -> None:
    """Make it what everybody reads. Call it while holding the lock."""
    line = connection.line()
    confirmed = threading.Event()
    try:
        line.ask("queue_declare", queue=registry_name(prefix), durable=True, arguments=_ARGUMENTS)
        connection.run(lambda _: line.channel.confirm_delivery(lambda _: confirmed.set()))
        body = known.model_dump_json().encode()
        connection.run(lambda _: line.channel.basic_publish("", registry_name(prefix), body, mandatory=True))
        deadline = time.monotonic() + connection.place.options.answer_timeout_seconds
        while not confirmed.wait(0.5):
            if not line.is_open or time.monotonic() > deadline:
                raise BrokerUnavailable(f"broker {connection.place.shown}: the topology could not be written down")
    finally:
        line.close()


def remove(connection: Connection, prefix: str) -> None:
    """Nothing is left under the prefix, so nothing is to be written down."""
    line = connection.line()
    try:
        line.ask("queue_delete", queue=registry_name(prefix))
    finally:
        line.close()


@contextmanager
def locked(connection: Connection, prefix: str) -> Iterator[None]:
    """Within the block nobody else changes what exists under the prefix."""
    line = _lock(connection, prefix)
    try:
        yield
    finally:
        if line.is_open:
            line.ask("queue_delete", queue=lock_name(prefix))
            line.close()


def _lock(connection: Connection, prefix: str) -> Line:
    deadline = time.monotonic() + _LOCK_PATIENCE_SECONDS
    backoff = Backoff(first_seconds=0.02, max_seconds=0.2)
    while True:
        line = connection.line()
        try:
            line.ask("queue_declare", queue=lock_name(prefix), exclusive=True)
        except PredictqError:
            if line.error is None or code_of(line.error) != RESOURCE_LOCKED:
                raise
            if time.monotonic() > deadline:
                raise BrokerUnavailable(
                    f"broker {connection.place.shown}: somebody has been changing the topics for "
                    f"{_LOCK_PATIENCE_SECONDS:g} s; it is tried again"
                ) from None
            time.sleep(backoff.next_seconds())
        else:
            return line


def _parsed(body: bytes, prefix: str) -> Known:
    try:
        return Known.model_validate_json(body)
    except ValidationError as error:
        raise UserMistake(
            f"the stream {registry_name(prefix)} holds something that is not predictq's; choose another prefix"
        ) from error
