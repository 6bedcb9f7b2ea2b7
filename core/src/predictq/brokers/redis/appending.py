"""Which message goes into which stream, and the words that tell the server so."""

from collections.abc import Iterable, Sequence

from pydantic_core import to_json

from predictq.brokers.port import Message
from predictq.brokers.redis.connection import Answer, RedisConnection, Word
from predictq.brokers.redis.scripts import APPEND
from predictq.brokers.redis.topics import Topics, unknown_topic
from predictq.errors import BrokerUnavailable, MessageTooLarge, PredictqError

__all__ = ["MAX_MESSAGE_BYTES", "Keys", "Plan", "append", "check_sizes", "fields_of", "plan", "refusal", "words_of"]

MAX_MESSAGE_BYTES = 8 * 1024 * 1024
_SHORTEST_RUN = 16

Plan = dict[str, list[Message]]
"""What goes into which stream, in order."""


class Keys:
    """The keys of one call of a script, each named once."""

    def __init__(self, *first: str) -> None:
        self.names: list[str] = list(first)
        self._indices = {name: i for i, name in enumerate(first, 1)}

    def index(self, name: str) -> int:
        """Where the key is in the script's KEYS, counted from 1."""
        index = self._indices.get(name)
        if index is None:
            self.names.append(name)
            index = self._indices[name] = len(self.names)
        return index


def check_sizes(messages: Sequence[Message]) -> None:
    """Raises MessageTooLarge."""
    if messages and max([len(message[1]) for message in messages]) > MAX_MESSAGE_BYTES:
        largest = max(messages, key=lambda message: len(message.value))
        raise MessageTooLarge(topic=largest.topic, size=len(largest.value), limit=MAX_MESSAGE_BYTES)


def plan(messages: Sequence[Message], topics: Topics) -> Plan:
    """Which message goes where: by key, and those without one in runs over the topic's partitions.

    Raises UserMistake for an unknown topic and MessageTooLarge.
    """
    check_sizes(messages)
    planned: Plan = {}
    keyless: dict[str, list[Message]] = {}
    for message in messages:
        topic, _, key, _ = message
        if key is None:
            if topic in keyless:
                keyless[topic].append(message)
            else:
                keyless[topic] = [message]
        else:
            planned.setdefault(topics[topic].of_key(key), []).append(message)
    for name, run in keyless.items():
        topic_ = topics[name]
        step = max(_SHORTEST_RUN, -(-len(run) // len(topic_.streams)))
        for at in range(0, len(run), step):
            planned.setdefault(topic_.in_turn(), []).extend(run[at : at + step])
    return planned


def append(connection: RedisConnection, planned: Plan, topics: Topics) -> None:
    """Write them all, or none. Raises UserMistake when a topic has been removed meanwhile."""
    keys = Keys()
    words = words_of(planned, keys)
    word, *answer = connection.run(APPEND, keys.names, [connection.place.options.max_length, *words])
    if word != b"OK":
        raise refusal(word, planned[answer[0].decode()][0].topic, topics, connection)


def refusal(word: Answer, topic: str, topics: Topics, connection: RedisConnection) -> PredictqError:
    """What it means that a script wrote nothing because of this topic."""
    if word == b"GONE":
        topics.forget()
        return unknown_topic(topic)
    place = connection.place
    return BrokerUnavailable(
        f"broker {place.shown}: a partition of {topic} holds `max_length` = {place.options.max_length} messages; "
        "publishing goes on when its groups have caught up and its retention has passed"
    )


def words_of(planned: Plan, keys: Keys) -> list[Word]:
    """The runs that `lua/writes.lua` reads."""
    words: list[Word] = [0]
    runs = 0
    for stream, messages in planned.items():
        index = keys.index(stream)
        _, values, its_keys, headers = zip(*messages, strict=True)
        if any(headers) or (None in its_keys and any(key is not None for key in its_keys)):
            runs += _mixed(words, index, messages)
            continue
        runs += 1
        if its_keys[0] is None:
            words += (index, "v", len(messages))
            words += values
        else:
            words += (index, "vk", len(messages))
            words += [word for pair in zip(values, its_keys, strict=True) for word in pair]
    words[0] = runs
    return words


def fields_of(message: Message, published_ms: int | None = None) -> tuple[str, list[Word]]:
    """A message's shape, and a value for each letter of it."""
    _, value, key, headers = message
    shape, values = "v", [value]
    if key is not None:
        shape += "k"
        values.append(key)
    words: list[Word] = [*values]
    if headers:
        shape += "h"
        words.append(to_json(dict(headers)))
        if "alone" in headers:
            shape += "a"
            words.append(1)
    if published_ms is not None:
        shape += "t"
        words.append(published_ms)
    return shape, words


def _mixed(words: list[Word], index: int, messages: Iterable[Message]) -> int:
    """Runs of as many successive messages as have one shape; returns how many runs."""
    runs, last, count_at = 0, "", 0
    for message in messages:
        shape, values = fields_of(message)
        if shape != last:
            words += (index, shape, 0)
            runs, last, count_at = runs + 1, shape, len(words) - 1
        words[count_at] = int(words[count_at]) + 1
        words += values
    return runs
