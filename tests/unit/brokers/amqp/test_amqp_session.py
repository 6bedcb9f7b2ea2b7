"""How far ahead a member fetches."""

import threading

import pytest

from predictq.brokers.amqp.outlived import Outlived
from predictq.brokers.amqp.session import Session


@pytest.mark.parametrize(
    ("mean_bytes", "max_messages", "max_bytes", "wanted"),
    [
        (0.0, 500, 1 << 20, 1000),
        (1000.0, 500, 1 << 20, 1000),
        (float(1 << 20), 500, 1 << 20, 64),
        (float(1 << 20), 500, 100 << 20, 200),
        (float(100 << 20), 500, 1 << 20, 2),
        (0.0, 1 << 20, 1 << 20, 65_535),
    ],
)
def test_two_polls_are_fetched_ahead_within_bounds(
    mean_bytes: float, max_messages: int, max_bytes: int, wanted: int
) -> None:
    session = Session(None, threading.Event(), Outlived())  # type: ignore[arg-type]  # nothing is asked of the connection
    session.mean_bytes = mean_bytes
    assert session._wanted(max_messages, max_bytes) == wanted
