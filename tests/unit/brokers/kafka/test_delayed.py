"""The way of a retry through the steps of its delay."""

from hypothesis import given
from hypothesis import strategies as st

from predictq.brokers.kafka.delayed import STEPS, delayed_copy, held_until, moved_on, step_for
from predictq.brokers.kafka.records import PUBLISHED_AT
from predictq.brokers.port import Message, Record

RETRIES = "p.e.retries.a"


@given(wait=st.floats(0.001, 4000.0), started=st.integers(1_600_000_000, 2_000_000_000))
def test_a_retry_is_never_early_and_late_by_the_smallest_step_at_most(wait: float, started: int) -> None:
    now = float(started)
    message = delayed_copy(Message(RETRIES, b"x", b"k", {"attempt": "2"}), started - 5.0, wait, now)
    hops = 0
    while message.topic != RETRIES:
        place, headers = step_for(message.topic, message.headers, now)
        assert place.topic == f"{RETRIES}.delays"
        published_at = int(headers.pop(PUBLISHED_AT)) / 1000
        record = Record(place.topic, place.partition, "0", b"x", b"k", headers, published_at, 0)
        assert held_until(record) <= now + STEPS[place.partition] + 0.001
        now = max(held_until(record), now)
        message = moved_on(record, now)
        hops += 1
        assert hops < 60
    assert started + wait - 0.001 <= now <= started + wait + STEPS[0]
    assert message.headers == {"attempt": "2", PUBLISHED_AT: str(round((started - 5.0) * 1000))}


def test_a_retry_at_once_waits_nowhere() -> None:
    assert delayed_copy(Message(RETRIES, b"x"), 1.0, 0.0, 2.0).topic == RETRIES


def test_a_record_that_says_no_time_goes_on_at_once() -> None:
    record = Record(f"{RETRIES}.delays", 3, "0", b"x", None, {"predictq-not-before": "soon"}, 1.0, 0)
    assert held_until(record) == 0.0
    assert moved_on(record, 5.0).topic == RETRIES
