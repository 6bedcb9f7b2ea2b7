"""When a call is sent again, and when it is given up."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from predictq.errors import Unavailable
from predictq_producers.client.errors import GatewayUnavailable
from predictq_producers.client.retrying import Attempts, retry_after


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def pauses(attempts: Attempts, clock: Clock, *, at_least: float = 0.0) -> list[float]:
    """All pauses until it is given up, slept by the clock."""
    found: list[float] = []
    while True:
        try:
            found.append(attempts.pause_seconds("away", at_least_seconds=at_least))
        except GatewayUnavailable:
            return found
        clock.now += found[-1]


def test_pauses_double_up_to_a_bound() -> None:
    clock = Clock()
    found = pauses(Attempts(60, clock=clock, draw=lambda: 1.0), clock)
    assert found[:7] == pytest.approx([0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10.0])
    assert set(found[7:]) == {10.0}


@given(seconds=st.floats(0.01, 600), draw=st.floats(0.01, 1), at_least=st.floats(0, 30))
def test_it_never_sleeps_past_its_time(seconds: float, draw: float, at_least: float) -> None:
    clock = Clock()
    assert sum(pauses(Attempts(seconds, clock=clock, draw=lambda: draw), clock, at_least=at_least)) < seconds


def test_what_the_gateway_asks_for_is_slept_at_least() -> None:
    clock = Clock()
    found = pauses(Attempts(60, clock=clock, draw=lambda: 0.5), clock, at_least=7.0)
    assert all(pause > 7.0 for pause in found)


def test_it_is_given_up_at_once_where_the_gateway_asks_for_longer_than_there_is() -> None:
    with pytest.raises(GatewayUnavailable, match=r"closed \(tried once within 5 s\)") as raised:
        Attempts(5).pause_seconds("closed", status=503, at_least_seconds=3600)
    assert raised.value.status == 503
    assert isinstance(raised.value, Unavailable)


def test_what_sends_a_large_file_has_its_time_from_the_first_failure() -> None:
    clock = Clock()
    attempts = Attempts(10, from_first_failure=True, clock=clock, draw=lambda: 1.0)
    clock.now += 3600
    assert attempts.left_seconds == 10
    assert sum(pauses(attempts, clock)) < 10


def test_retry_after_is_a_number_or_a_date() -> None:
    assert retry_after("12") == 12.0
    assert retry_after(None) == 0.0
    assert retry_after("soon") == 0.0
    coming = format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)
    assert 50 < retry_after(coming) <= 60
    assert retry_after("Wed, 21 Oct 2015 07:28:00 GMT") == 0.0
