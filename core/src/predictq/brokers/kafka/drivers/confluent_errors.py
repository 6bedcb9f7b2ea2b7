"""Errors of librdkafka become ours here.

https://kafka.apache.org/protocol.html#protocol_error_codes; names that begin with `_` are librdkafka's own.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from confluent_kafka import KafkaError, KafkaException

from predictq.brokers.kafka.driver import Evicted, Rebalancing, UnknownTopic
from predictq.errors import BrokerUnavailable, PredictqError, UserMistake

__all__ = ["AWAY", "EVICTED", "MISTAKES", "REBALANCING", "UNKNOWN_TOPIC", "cause", "ours", "translated"]

_TOO_OLD = "is too old; predictq needs 2.5 or newer"
_NO_RIGHT = "gives this user no right to do this"
_HAS_MEMBERS = "cannot do this to a group that has members; stop them first"
_SSL = "and this client do not agree on SSL; compare security_protocol and the ssl_ options with the broker's listener"

MISTAKES: dict[str, str] = {
    "_AUTHENTICATION": "refuses the user or the password of the URL",
    "SASL_AUTHENTICATION_FAILED": "refuses the user or the password of the URL",
    "UNSUPPORTED_SASL_MECHANISM": "does not know the sasl_mechanism of the URL",
    "ILLEGAL_SASL_STATE": "speaks another security_protocol than the URL says",
    "SECURITY_DISABLED": "has no security features; take user and security_protocol out of the URL",
    "_SSL": _SSL,
    "TOPIC_AUTHORIZATION_FAILED": "gives this user no right to the topic; grant READ, WRITE and DESCRIBE on it",
    "GROUP_AUTHORIZATION_FAILED": "gives this user no right to the group; grant READ and DESCRIBE on it",
    "TRANSACTIONAL_ID_AUTHORIZATION_FAILED": "gives this user no right to transactions; grant WRITE on the id",
    "CLUSTER_AUTHORIZATION_FAILED": _NO_RIGHT,
    "DELEGATION_TOKEN_AUTHORIZATION_FAILED": _NO_RIGHT,
    "MSG_SIZE_TOO_LARGE": "has a smaller message.max.bytes than the message_max_bytes of the URL",
    "RECORD_LIST_TOO_LARGE": "has a smaller segment.bytes than what was sent at once",
    "INVALID_REPLICATION_FACTOR": "has fewer brokers than the replication_factor of the URL",
    "INVALID_CONFIG": "does not take this configuration",
    "POLICY_VIOLATION": "has a policy against this",
    "TOPIC_EXCEPTION": "does not take this name for a topic",
    "INVALID_PARTITIONS": "does not take this number of partitions",
    "INVALID_GROUP_ID": "does not take this name for a group",
    "TOPIC_DELETION_DISABLED": "does not let topics be deleted; set delete.topic.enable",
    "INVALID_SESSION_TIMEOUT": (
        "does not take this session_timeout_seconds; it is between its group.min.session.timeout.ms and "
        "group.max.session.timeout.ms"
    ),
    "INVALID_TRANSACTION_TIMEOUT": "does not take this transaction_timeout_seconds",
    "INCONSISTENT_GROUP_PROTOCOL": "has members of this group that share partitions in another way",
    "_INCONSISTENT": "has members of this group that share partitions in another way",
    "GROUP_MAX_SIZE_REACHED": "takes no more members in this group",
    "NON_EMPTY_GROUP": _HAS_MEMBERS,
    "GROUP_SUBSCRIBED_TO_TOPIC": _HAS_MEMBERS,
    "OFFSET_METADATA_TOO_LARGE": "has a smaller offset.metadata.max.bytes than predictq needs",
    "UNSUPPORTED_COMPRESSION_TYPE": "does not know the compression of the URL",
    "_UNSUPPORTED_COMPRESSION": "sent a compression that this client does not know",
    "UNSUPPORTED_VERSION": _TOO_OLD,
    "UNSUPPORTED_FOR_MESSAGE_FORMAT": _TOO_OLD,
    "_UNSUPPORTED_FEATURE": _TOO_OLD,
}
"""What the user must mend."""

EVICTED = frozenset(
    {
        "FENCED_INSTANCE_ID",
        "_FENCED",
        "PRODUCER_FENCED",
        "INVALID_PRODUCER_EPOCH",
        "TRANSACTION_COORDINATOR_FENCED",
        "FENCED_MEMBER_EPOCH",
    }
)

REBALANCING = frozenset(
    {
        # In answer to the offsets of a transaction.
        "ILLEGAL_GENERATION",
        "UNKNOWN_MEMBER_ID",
        "REBALANCE_IN_PROGRESS",
        "STALE_MEMBER_EPOCH",
        "_ASSIGNMENT_LOST",
    }
)

UNKNOWN_TOPIC = frozenset({"UNKNOWN_TOPIC_OR_PART", "UNKNOWN_TOPIC_ID", "_UNKNOWN_TOPIC", "_UNKNOWN_PARTITION"})

AWAY = frozenset(
    {
        "_ALL_BROKERS_DOWN",
        "_BAD_MSG",
        "_DESTROY",
        "_DESTROY_BROKER",
        "_INTR",
        "_IN_PROGRESS",
        "_ISR_INSUFF",
        "_LOG_TRUNCATION",
        "_MAX_POLL_EXCEEDED",
        "_MSG_TIMED_OUT",
        "_NODE_UPDATE",
        "_NO_OFFSET",
        "_OUTDATED",
        "_PARTIAL",
        "_PREV_IN_PROGRESS",
        "_PURGE_INFLIGHT",
        "_PURGE_QUEUE",
        "_QUEUE_FULL",
        "_RESOLVE",
        "_RETRY",
        "_STATE",
        "_TIMED_OUT",
        "_TIMED_OUT_QUEUE",
        "_TRANSPORT",
        "_WAIT_CACHE",
        "_WAIT_COORD",
        "BROKER_NOT_AVAILABLE",
        "CONCURRENT_TRANSACTIONS",
        "COORDINATOR_LOAD_IN_PROGRESS",
        "COORDINATOR_NOT_AVAILABLE",
        "DUPLICATE_SEQUENCE_NUMBER",
        "ELIGIBLE_LEADERS_NOT_AVAILABLE",
        "FENCED_LEADER_EPOCH",
        "INCONSISTENT_TOPIC_ID",
        "INVALID_MSG",
        "INVALID_PRODUCER_ID_MAPPING",
        "INVALID_TXN_STATE",
        "KAFKA_STORAGE_ERROR",
        "LEADER_NOT_AVAILABLE",
        "LISTENER_NOT_FOUND",
        "LOG_DIR_NOT_FOUND",
        "NETWORK_EXCEPTION",
        "NOT_CONTROLLER",
        "NOT_COORDINATOR",
        "NOT_ENOUGH_REPLICAS",
        "NOT_ENOUGH_REPLICAS_AFTER_APPEND",
        "NOT_LEADER_FOR_PARTITION",
        "OFFSET_NOT_AVAILABLE",
        "OFFSET_OUT_OF_RANGE",
        "OPERATION_NOT_ATTEMPTED",
        "OUT_OF_ORDER_SEQUENCE_NUMBER",
        "PREFERRED_LEADER_NOT_AVAILABLE",
        "REASSIGNMENT_IN_PROGRESS",
        "REBOOTSTRAP_REQUIRED",
        "REPLICA_NOT_AVAILABLE",
        "REQUEST_TIMED_OUT",
        "STALE_BROKER_EPOCH",
        "STALE_CTRL_EPOCH",
        "THROTTLING_QUOTA_EXCEEDED",
        "TRANSACTION_ABORTABLE",
        "UNKNOWN",
        "UNKNOWN_LEADER_EPOCH",
        "UNKNOWN_PRODUCER_ID",
        "UNSTABLE_OFFSET_COMMIT",
    }
)
"""What may work later."""


@contextmanager
def translated(where: str) -> Iterator[None]:
    """Raise ours in place of an error of librdkafka."""
    try:
        yield
    except KafkaException as error:
        raise ours(cause(error), where) from error


def cause(error: KafkaException) -> KafkaError:
    """What an exception carries."""
    carried: KafkaError = error.args[0]
    return carried


def ours(error: KafkaError, where: str) -> Exception:
    """One of the signals, UserMistake, BrokerUnavailable or, for a defect, PredictqError."""
    name = error.name()
    words = f"{name}: {error.str().partition(chr(10))[0][:200]}"
    if name in UNKNOWN_TOPIC:
        return UnknownTopic(words)
    if name in REBALANCING:
        return Rebalancing(words)
    if name in EVICTED:
        return Evicted(words)
    if name in MISTAKES:
        return UserMistake(f"broker {where} {MISTAKES[name]} ({words})")
    if name in AWAY or error.retriable() or error.txn_requires_abort():
        return BrokerUnavailable(f"broker {where} does not answer as it should: {words}")
    return PredictqError(f"broker {where}: {words}")
