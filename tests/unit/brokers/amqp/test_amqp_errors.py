"""Every exception of pika becomes one of ours, in one line."""

import inspect

import pytest
from pika import exceptions
from pika.adapters.utils import connection_workflow

from predictq.brokers.amqp.errors import closed_channel, closed_connection
from predictq.errors import BrokerUnavailable, UserMistake


def raised() -> list[BaseException]:
    """One of each."""
    found: list[BaseException] = []
    for module in (exceptions, connection_workflow):
        for _, kind in inspect.getmembers(module, inspect.isclass):
            if issubclass(kind, Exception) and kind.__module__ == module.__name__:
                error = kind.__new__(kind)
                error.args = (311, "text")
                found.append(error)
    return found


@pytest.mark.parametrize("error", raised(), ids=lambda error: type(error).__name__)
def test_none_is_left_unmapped(error: BaseException) -> None:
    for ours in (closed_channel(error, "amqp://h:1/"), closed_connection(error, "amqp://h:1/")):
        assert isinstance(ours, BrokerUnavailable | UserMistake)
        assert "\n" not in str(ours)
        assert "amqp://h:1/" in str(ours)


@pytest.mark.parametrize(
    ("code", "text", "kind", "cure"),
    [
        (403, "ACCESS_REFUSED - access to queue 'q' refused", UserMistake, "permission"),
        (404, "NOT_FOUND - no exchange 't' in vhost '/'", UserMistake, "topic t does not exist"),
        (404, "NOT_FOUND - no queue 'q' in vhost '/'", UserMistake, "queue q does not exist"),
        (406, "inequivalent arg 'x-queue-type' for queue 'q' in vhost", UserMistake, "delete it when it is empty"),
        (406, "delivery acknowledgement on channel 1 timed out", BrokerUnavailable, "consumer_timeout"),
        (541, "INTERNAL_ERROR", BrokerUnavailable, "closed a channel"),
    ],
)
def test_a_closed_channel_says_what_to_do(code: int, text: str, kind: type[Exception], cure: str) -> None:
    ours = closed_channel(exceptions.ChannelClosedByBroker(code, text), "amqp://h:1/")
    assert isinstance(ours, kind)
    assert cure in str(ours)


@pytest.mark.parametrize(
    ("code", "kind", "cure"),
    [(403, UserMistake, "password"), (530, UserMistake, "virtual host"), (320, BrokerUnavailable, "lost")],
)
def test_a_closed_connection_says_what_to_do(code: int, kind: type[Exception], cure: str) -> None:
    ours = closed_connection(exceptions.ConnectionClosedByBroker(code, "text"), "amqp://h:1/")
    assert isinstance(ours, kind)
    assert cure in str(ours)
