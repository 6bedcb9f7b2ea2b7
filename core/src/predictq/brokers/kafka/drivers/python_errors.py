"""Exceptions of kafka-python become ours here.

https://kafka.apache.org/protocol.html#protocol_error_codes
"""

from collections.abc import Iterator
from contextlib import contextmanager

from kafka import errors

from predictq.brokers.kafka.driver import Evicted, Rebalancing, UnknownTopic
from predictq.errors import BrokerUnavailable, PredictqError, UserMistake

__all__ = ["EVICTED", "MISTAKES", "ours", "translated"]

MISTAKES: dict[type[Exception], str] = {
    errors.SaslAuthenticationFailedError: "refuses the user or the password of the URL",
    errors.UnsupportedSaslMechanismError: "does not know the sasl_mechanism of the URL",
    errors.IllegalSaslStateError: "speaks another security_protocol than the URL says",
    errors.TopicAuthorizationFailedError: "gives this user no right to the topic; grant READ, WRITE and DESCRIBE on it",
    errors.GroupAuthorizationFailedError: "gives this user no right to the group; grant READ and DESCRIBE on it",
    errors.TransactionalIdAuthorizationFailedError: "gives this user no right to transactions; grant WRITE on the id",
    errors.AuthorizationError: "gives this user no right to do this",
    errors.SecurityDisabledError: "has no security features; take user and security_protocol out of the URL",
    errors.MessageSizeTooLargeError: "has a smaller message.max.bytes than the message_max_bytes of the URL",
    errors.RecordListTooLargeError: "has a smaller segment.bytes than what was sent at once",
    errors.InvalidReplicationFactorError: "has fewer brokers than the replication_factor of the URL",
    errors.InvalidConfigurationError: "does not take this configuration",
    errors.PolicyViolationError: "has a policy against this",
    errors.InvalidTopicError: "does not take this name for a topic",
    errors.InvalidPartitionsError: "does not take this number of partitions",
    errors.TopicDeletionDisabledError: "does not let topics be deleted; set delete.topic.enable",
    errors.InvalidSessionTimeoutError: (
        "does not take this session_timeout_seconds; it is between its group.min.session.timeout.ms and "
        "group.max.session.timeout.ms"
    ),
    errors.InvalidTransactionTimeoutError: "does not take this transaction_timeout_seconds",
    errors.InconsistentGroupProtocolError: "has members of this group that share partitions in another way",
    errors.GroupMaxSizeReachedError: "takes no more members in this group",
    errors.NonEmptyGroupError: "cannot do this to a group that has members; stop them first",
    errors.GroupSubscribedToTopicError: "cannot do this to a group that has members; stop them first",
    errors.UnsupportedCompressionTypeError: "does not know the compression of the URL",
    errors.UnsupportedVersionError: "is too old; predictq needs 2.5 or newer",
    errors.UnrecognizedBrokerVersion: "is too old; predictq needs 2.5 or newer",
    errors.KafkaConfigurationError: "cannot be reached with these options",
}
"""What the user must mend."""

EVICTED: tuple[type[Exception], ...] = (
    errors.CommitFailedError,
    errors.UnknownMemberIdError,
    errors.IllegalGenerationError,
    errors.FencedInstanceIdError,
    errors.ProducerFencedError,
    errors.InvalidProducerEpochError,
    errors.TransactionCoordinatorFencedError,
)

_AWAY: tuple[type[Exception], ...] = (
    errors.RetriableError,
    errors.BrokerNotAvailableError,
    errors.KafkaProtocolError,
    errors.UnknownBrokerIdError,
    errors.UnknownError,
    errors.OutOfOrderSequenceNumberError,
    errors.InvalidProducerIdMappingError,
    errors.UnknownProducerIdError,
    errors.TransactionAbortedError,
    errors.TransactionAbortableError,
    errors.QuotaViolationError,
    errors.CorruptRecordError,
    errors.OperationNotAttemptedError,
)


@contextmanager
def translated(where: str) -> Iterator[None]:
    """Raise ours in place of an error of kafka-python."""
    try:
        yield
    except (errors.KafkaError, OSError) as error:
        raise ours(error, where) from error


def ours(error: BaseException, where: str) -> Exception:  # noqa: PLR0911 - one for each kind
    """One of the signals, UserMistake, BrokerUnavailable or, for a defect, PredictqError."""
    if isinstance(error, errors.UnknownTopicOrPartitionError | errors.UnknownTopicIdError):
        return UnknownTopic(str(error))
    if isinstance(error, errors.RebalanceInProgressError) or _wraps_rebalance(error):
        return Rebalancing()
    if isinstance(error, EVICTED):
        return Evicted(type(error).__name__)
    if isinstance(error, errors.InvalidReplicationFactorError) and "replication_factor=-1" in str(error):
        return BrokerUnavailable(
            f"broker {where} has fewer brokers than its default.replication.factor; they are still starting, or it is "
            "to be lowered"
        )
    for kind in type(error).__mro__:
        if kind in MISTAKES:
            return UserMistake(f"broker {where} {MISTAKES[kind]} ({_words(error)})")
    if isinstance(error, errors.KafkaTimeoutError) and "bootstrap" in str(error):
        return BrokerUnavailable(
            f"no Kafka broker answers at {where}; is it running, and are the address and the security_protocol right?"
        )
    if isinstance(error, (*_AWAY, OSError)):
        return BrokerUnavailable(f"broker {where} does not answer as it should: {_words(error)}")
    return PredictqError(f"broker {where}: {_words(error)}")


def _wraps_rebalance(error: BaseException) -> bool:
    return isinstance(error, errors.CommitFailedError) and any(
        isinstance(part, errors.RebalanceInProgressError) for part in error.args
    )


def _words(error: BaseException) -> str:
    """The error's name and the beginning of its first line: the rest may be a whole request."""
    name = type(error).__name__
    text = str(error).partition("\n")[0].partition(f"{name}: ")
    return f"{name}: {(text[2] or text[0])[:200]}"
