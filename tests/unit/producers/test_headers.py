"""Prefer and Idempotency-Key."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from predictq_producers.headers import Preferences, idempotency_key, preferences
from predictq_producers.refusals import Refused


@pytest.mark.parametrize(
    ("header", "wait", "respond_async"),
    [
        (None, None, False),
        ("wait=10", 10, False),
        ("Wait = 10", 10, False),
        ('wait="10"', 10, False),
        ("respond-async, wait=5", 5, True),
        ('return=minimal; foo="some, text", wait=7', 7, False),
        ('foo="a, wait=3", respond-async', None, True),
        ("wait=3, wait=9", 3, False),
        ("wait=100000", 60, False),
        ("wait=-1", None, False),
        ("wait=1.5", None, False),
        ("wait", None, False),
        ("respond-async;x=y", None, True),
    ],
)
def test_preferences(header: str | None, wait: float | None, respond_async: bool) -> None:
    assert preferences(header, max_wait_seconds=60) == Preferences(wait_seconds=wait, respond_async=respond_async)


@given(st.text(max_size=200))
def test_no_prefer_header_is_an_error(header: str) -> None:
    preferences(header, max_wait_seconds=60)


@pytest.mark.parametrize("repeated", ["a", " ", "a;", "a; ", '"', '\\"', "a=", 'a="', ",", '",'])
def test_a_hostile_prefer_header_is_read_in_linear_time(repeated: str) -> None:
    # In quadratic time these take minutes, and the whole gateway with them.
    for start in ("", "a=", "a;", 'a="'):
        preferences(start + repeated * 200_000 + '"', max_wait_seconds=60)


def test_a_key_may_be_quoted() -> None:
    assert idempotency_key('"a b"') == idempotency_key("a b") == "a b"


@pytest.mark.parametrize("header", ["", '""', "\x07", "é", "x" * 256])
def test_what_is_no_key_is_refused(header: str) -> None:
    with pytest.raises(Refused) as refused:
        idempotency_key(header)
    assert refused.value.status == 400
