"""No exception of kafka-python leaves the adapter, and each is put to the right account."""

import inspect

import pytest
from kafka import errors

from predictq.brokers.kafka.driver import Evicted, Rebalancing, UnknownTopic
from predictq.brokers.kafka.drivers.python_errors import ours, translated
from predictq.errors import BrokerUnavailable, PredictqError, UserMistake

KINDS = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, errors.KafkaError)]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_error_becomes_one_of_ours(kind: type[Exception]) -> None:
    error = kind.__new__(kind)
    error.args = ("what happened",)
    assert isinstance(ours(error, "host:1"), PredictqError | Rebalancing | Evicted | UnknownTopic)


@pytest.mark.parametrize(
    ("error", "mine"),
    [
        (errors.SaslAuthenticationFailedError("x"), UserMistake),
        (errors.TopicAuthorizationFailedError("x"), UserMistake),
        (errors.MessageSizeTooLargeError("x"), UserMistake),
        (errors.InvalidReplicationFactorError("x"), UserMistake),
        (errors.KafkaTimeoutError("x"), BrokerUnavailable),
        (errors.NotEnoughReplicasError("x"), BrokerUnavailable),
        (errors.CoordinatorLoadInProgressError("x"), BrokerUnavailable),
        (ConnectionResetError("x"), BrokerUnavailable),
        (errors.UnknownTopicOrPartitionError("x"), UnknownTopic),
        (errors.RebalanceInProgressError("x"), Rebalancing),
        (errors.CommitFailedError(errors.RebalanceInProgressError()), Rebalancing),
        (errors.CommitFailedError(errors.UnknownMemberIdError()), Evicted),
        (errors.ProducerFencedError("x"), Evicted),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
def test_who_is_to_mend_it(error: Exception, mine: type[Exception]) -> None:
    with pytest.raises(mine), translated("host:1"):
        raise error


def test_a_factor_that_nobody_named_is_for_the_brokers_to_mend() -> None:
    text = "Request 'CreateTopicsRequest(topics=[CreatableTopic(name='t', replication_factor={})])' failed"

    named, default = (ours(errors.InvalidReplicationFactorError(text.format(factor)), "here") for factor in (3, -1))

    assert isinstance(named, UserMistake)
    assert isinstance(default, BrokerUnavailable)


def test_an_error_tells_where_and_in_one_line() -> None:
    told = str(ours(errors.KafkaTimeoutError("no\nanswer" + "x" * 1000), "host:1"))
    assert "host:1" in told
    assert "\n" not in told
    assert len(told) < 300
