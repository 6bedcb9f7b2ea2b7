"""Looking at a cluster with kafka-python, and changing it."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from kafka import KafkaAdminClient, TopicPartition
from kafka import errors as kafka_errors
from kafka.admin import ConfigFilterType, ConfigResource, ConfigResourceType
from kafka.structs import OffsetAndMetadata

from predictq.brokers.kafka.driver import Committed, GroupState, Place, Rebalancing, TopicConfig
from predictq.brokers.kafka.drivers.python_client import closed, connected
from predictq.brokers.kafka.drivers.python_errors import ours, translated
from predictq.brokers.kafka.drivers.python_heads import PythonHeads
from predictq.brokers.kafka.options import Options
from predictq.errors import BrokerUnavailable

__all__ = ["PythonAdmin"]

_EARLIEST, _LATEST = -2, -1
_PAUSE_SECONDS = 0.02
_SOON = (
    kafka_errors.CoordinatorNotAvailableError,
    kafka_errors.CoordinatorLoadInProgressError,
    kafka_errors.LeaderNotAvailableError,
    # Also what a new cluster says while it makes the topic of the groups' offsets.
    kafka_errors.NotCoordinatorError,
)
_MOVED = (
    kafka_errors.NotCoordinatorError,
    kafka_errors.NotLeaderForPartitionError,
    kafka_errors.NotControllerError,
)

AnswerT = TypeVar("AnswerT")


class PythonAdmin:
    """A KafkaAdminClient, made when it is first needed and anew after it failed."""

    def __init__(self, options: Options, settings: Mapping[str, Any]) -> None:
        self._options = options
        self._settings = settings
        self._client: Any = None
        self._heads = PythonHeads(options, settings)

    def topics(self) -> Mapping[str, int]:
        found = self._ask(lambda client: client.describe_topics())
        return {topic["name"]: len(topic["partitions"]) for topic in found if not topic["error_code"]}

    def partitions(self, topic: str) -> int:
        """How many the topic has, 0 where it does not exist."""

        def count(client: Any) -> int:
            [described] = client.describe_topics([topic])
            error = kafka_errors.for_code(described["error_code"])
            if error in (kafka_errors.UnknownTopicOrPartitionError, kafka_errors.InvalidTopicError):
                return 0
            if error is not kafka_errors.NoError:
                raise error(topic)
            return len(described["partitions"])

        return self._ask(count)

    def describe(self, topics: Sequence[str], keys: Sequence[str]) -> Mapping[str, Mapping[str, str]]:
        if not topics:
            return {}
        resources = [ConfigResource(ConfigResourceType.TOPIC, topic, dict.fromkeys(keys)) for topic in topics]
        found = self._ask(lambda client: client.describe_configs(resources, config_filter=ConfigFilterType.ALL))[
            "topic"
        ]
        return {topic: {key: str(config["value"]) for key, config in values.items()} for topic, values in found.items()}

    def create(self, topic: str, config: TopicConfig, replication_factor: int) -> bool:
        wanted = {
            "num_partitions": config.partitions,
            "replication_factor": replication_factor,
            "configs": dict(config.values),
        }

        def create(client: Any) -> bool:
            try:
                client.create_topics({topic: wanted})
            except kafka_errors.TopicAlreadyExistsError:
                return False
            return True

        created = self._ask(create)
        self._until(lambda: self.partitions(topic) > 0, f"topic {topic} is not there yet")
        return created

    def alter(self, topic: str, values: Mapping[str, str]) -> None:
        resource = ConfigResource(ConfigResourceType.TOPIC, topic, dict(values))
        self._ask(lambda client: client.alter_configs([resource]))

    def delete_topics(self, topics: Sequence[str]) -> None:
        if topics:
            answer = self._ask(lambda client: client.delete_topics(list(topics), raise_errors=False))
            self._check(answer["topics"], kafka_errors.UnknownTopicOrPartitionError)
            self._until(lambda: not any(map(self.partitions, topics)), "topics that were deleted are still there")

    def groups(self) -> Sequence[str]:
        return [group["group_id"] for group in self._ask(lambda client: client.list_groups())]

    def group(self, group: str) -> GroupState:
        found = self._ask(lambda client: client.describe_groups([group]))[group]
        members = found["members"] if found["group_state"] not in ("Dead", "Empty") else []
        return GroupState(len(members), {member["member_id"]: _places(member) for member in members})

    def committed(self, group: str) -> Mapping[Place, Committed]:
        found = self._ask(lambda client: client.list_group_offsets({group: None}))[group]
        return {Place(*tp): Committed(c.offset, c.metadata or "") for tp, c in found.items() if c.offset >= 0}

    def commit(self, group: str, offsets: Mapping[Place, Committed]) -> None:
        packed = {TopicPartition(*place): OffsetAndMetadata(c.offset, c.note, -1) for place, c in offsets.items()}

        def alter(client: Any) -> None:
            for error in client.alter_group_offsets(group, packed).values():
                if error in (kafka_errors.UnknownMemberIdError, kafka_errors.RebalanceInProgressError):
                    raise Rebalancing
                if error is not kafka_errors.NoError:
                    raise error(group)

        self._ask(alter)

    def delete_groups(self, groups: Sequence[str]) -> None:
        def delete(client: Any) -> None:
            for group, answer in client.delete_groups(list(groups)).items():
                if answer not in ("OK", kafka_errors.GroupIdNotFoundError.__name__):
                    raise getattr(kafka_errors, answer)(group)

        if groups:
            self._ask(delete)

    def delete_offsets(self, group: str, places: Sequence[Place]) -> None:
        def delete(client: Any) -> None:
            try:
                answer = client.delete_group_offsets(group, [TopicPartition(*place) for place in places])
            except kafka_errors.GroupIdNotFoundError:
                return
            for error in answer.values():
                if error not in (kafka_errors.NoError, kafka_errors.UnknownTopicOrPartitionError):
                    raise error(group)

        self._ask(delete)

    def starts(self, places: Sequence[Place]) -> Mapping[Place, int]:
        return self._offsets(places, _EARLIEST)

    def ends(self, places: Sequence[Place]) -> Mapping[Place, int]:
        return self._offsets(places, _LATEST)

    def published(self, spans: Mapping[Place, tuple[int, int]]) -> Mapping[Place, float]:
        try:
            return self._heads.published(spans)
        except BrokerUnavailable:
            self._heads.close()
            raise

    def cluster(self) -> str:
        brokers = len(self._ask(lambda client: client.describe_cluster())["brokers"])
        return f"{brokers} broker{'' if brokers == 1 else 's'}"

    def close(self) -> None:
        self._heads.close()
        client, self._client = self._client, None
        if client is not None:
            closed(client, client.close)

    def _offsets(self, places: Sequence[Place], which: int) -> Mapping[Place, int]:
        if not places:
            return {}
        level = "read_committed" if self._options.transactions else "read_uncommitted"
        wanted = {TopicPartition(*place): which for place in places}
        found = self._ask(lambda client: client.list_partition_offsets(wanted, level))
        return {Place(*tp): answer.offset for tp, answer in found.items()}

    def _ask(self, question: Callable[[Any], AnswerT]) -> AnswerT:
        """The answer; asked again while a coordinator or leader is only being found."""
        deadline = time.monotonic() + self._options.request_seconds
        with translated(self._options.shown):
            while True:
                if self._client is None:
                    self._client = connected(KafkaAdminClient, self._settings)
                try:
                    return question(self._client)
                except (kafka_errors.RetriableError, OSError) as error:
                    soon = isinstance(error, _SOON) and time.monotonic() < deadline
                    if not soon or isinstance(error, kafka_errors.NotCoordinatorError):
                        # What the client knows of the cluster may be the trouble.
                        self.close()
                    if not soon:
                        raise
                time.sleep(_PAUSE_SECONDS)

    def _until(self, true: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + self._options.request_seconds
        while not true():
            if time.monotonic() > deadline:
                raise BrokerUnavailable(f"broker {self._options.shown}: {what}")
            time.sleep(_PAUSE_SECONDS)

    def _check(self, answers: Sequence[Mapping[str, Any]], fine: type[Exception]) -> None:
        for answer in answers:
            error = kafka_errors.for_code(answer["error_code"])
            if error not in (kafka_errors.NoError, fine):
                raise ours(error(answer.get("error_message") or answer["name"]), self._options.shown)


def _places(member: Mapping[str, Any]) -> list[Place]:
    assignment = member["member_assignment"]
    if not assignment:
        return []
    return [Place(t["topic"], p) for t in assignment["assigned_partitions"] for p in t["partitions"]]
