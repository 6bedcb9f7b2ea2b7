"""Ids that are not worth predicting any more."""

from predictq.brokers import Done, Record
from predictq.cancels import Cancelled, HearCancels
from predictq.messages import CANCEL, new_cancel


def _hint(value: bytes) -> Record:
    return Record("predictq.cancels", 0, "0", value, None, {}, 0.0, 0)


def test_hints_are_remembered_and_junk_is_passed_over() -> None:
    cancelled = Cancelled()
    assert not cancelled
    outcome = HearCancels(cancelled).handle([_hint(b"junk"), _hint(CANCEL.encode(new_cancel(["a", "b"], 0.0)))])
    assert list(outcome.verdicts) == [Done(), Done()]
    assert "a" in cancelled
    assert "b" in cancelled
    assert "c" not in cancelled


def test_the_oldest_make_room() -> None:
    cancelled = Cancelled(max_ids=3)
    cancelled.add(["a", "b", "a"])
    cancelled.add(["c", "d"])
    assert [one in cancelled for one in "abcd"] == [False, True, True, True]
