"""What stands beside a committed offset."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from predictq.brokers.kafka.driver import Committed
from predictq.brokers.kafka.notes import Note, committed_of, note_of, taken_over

offsets = st.integers(0, 2**40)


@given(offset=offsets, handed=st.integers(0, 10_000), suspect=st.integers(1, 10_000), count=st.integers(1, 9))
def test_a_note_comes_back_as_it_was_written(offset: int, handed: int, suspect: int, count: int) -> None:
    note = Note(offset + handed, offset + suspect, count)
    assert note_of(committed_of(offset, note)) == note


@given(offset=offsets)
def test_where_nothing_is_in_hand_nothing_is_written(offset: int) -> None:
    committed = committed_of(offset, Note(offset, 0, 0))
    assert committed == Committed(offset, "")
    assert taken_over(offset, note_of(committed)) == note_of(committed)


@pytest.mark.parametrize("text", ["hello", "handed=x", "=", "handed", '{"a": 1}', "handed=-4 suspect=1.5"])
def test_what_is_no_note_of_ours_says_nothing(text: str) -> None:
    assert note_of(Committed(7, text)) == Note(7, 7, 0)


def test_each_heir_counts_one_more() -> None:
    first = taken_over(10, Note(handed=13, suspect=0, redeliveries=0))
    assert first == Note(handed=10, suspect=13, redeliveries=1)
    assert taken_over(10, first._replace(handed=13)) == Note(handed=10, suspect=13, redeliveries=2)
    assert taken_over(13, Note(handed=15, suspect=13, redeliveries=1)).redeliveries == 1


def test_what_an_heir_had_not_come_to_when_it_ended_stays_counted() -> None:
    assert taken_over(10, Note(handed=12, suspect=13, redeliveries=1)) == Note(handed=10, suspect=13, redeliveries=2)
    assert taken_over(12, Note(handed=13, suspect=14, redeliveries=1)) == Note(handed=12, suspect=14, redeliveries=2)


def test_who_leaves_with_nothing_in_hand_is_not_counted() -> None:
    kept = Note(handed=10, suspect=13, redeliveries=1)
    assert taken_over(10, kept) == kept
