"""Settling on a thread of its own: in order, one at a time, and nothing that it raises is lost."""

import threading
from collections.abc import Callable

import pytest
from tests.beside import after, running

from predictq.brokers import Batch, Done, Record, Release
from predictq.brokers.port import NO_HEADERS
from predictq.errors import UserMistake
from predictq.loop import Outcome
from predictq.loop.settling import Settler

DONE = Outcome([Done()])


def batch(name: str) -> Batch:
    return Batch([Record("t", 0, name, name.encode(), None, NO_HEADERS, 0.0, 0)])


class Settling:
    """Notes what is settled; each settle waits until it is let go."""

    def __init__(self) -> None:
        self.settled: list[str] = []
        self.threads: set[threading.Thread] = set()
        self.gate = threading.Semaphore(0)
        self.error: Exception | None = None

    def __call__(self, batch: Batch, _outcome: Outcome) -> None:
        self.threads.add(threading.current_thread())
        assert self.gate.acquire(timeout=10.0)
        if self.error is not None:
            raise self.error
        self.settled.append(batch[0].position)


def test_with_two_in_hand_the_caller_goes_on_while_the_first_is_settled() -> None:
    settling = Settling()
    with Settler(settling, batches_in_hand=2, name="test") as settler:
        settler.settle(batch("a"), DONE)
        assert settling.settled == []
        settling.gate.release(2)
        settler.settle(batch("b"), DONE)
        assert settling.settled[0] == "a"
    assert settling.settled == ["a", "b"]
    assert threading.current_thread() not in settling.threads


def test_with_one_in_hand_it_is_settled_before_the_caller_goes_on() -> None:
    settling = Settling()
    settling.gate.release(1)
    with Settler(settling, batches_in_hand=1, name="test") as settler:
        settler.settle(batch("a"), DONE)
        assert settling.settled == ["a"]
    assert settling.threads == {threading.current_thread()}


def test_what_is_released_is_settled_before_the_caller_goes_on() -> None:
    settling = Settling()
    with (
        Settler(settling, batches_in_hand=2, name="test") as settler,
        running(after(0.2, settling.gate.release)),  # so late that a caller who does not wait is gone
    ):
        settler.settle(batch("a"), Outcome([Release()]))
        assert settling.settled == ["a"]


@pytest.mark.parametrize(
    "next_call",
    [Settler.check, Settler.wait, lambda settler: settler.settle(batch("b"), DONE)],
    ids=["check", "wait", "settle"],
)
def test_what_it_raised_is_raised_by_the_next_call_and_once(next_call: Callable[[Settler], None]) -> None:
    settling = Settling()
    settling.error = UserMistake("no such topic")
    with Settler(settling, batches_in_hand=2, name="test") as settler:
        settler.settle(batch("a"), DONE)
        settling.gate.release(1)
        ended = settler._under_way
        assert ended is not None
        assert isinstance(ended.exception(10.0), UserMistake)
        with pytest.raises(UserMistake, match="no such topic"):
            next_call(settler)
    assert settling.settled == []


def test_what_it_raised_is_raised_at_the_end() -> None:
    settling = Settling()
    settling.error = UserMistake("no such topic")
    settling.gate.release(1)
    with pytest.raises(UserMistake), Settler(settling, batches_in_hand=2, name="test") as settler:
        settler.settle(batch("a"), DONE)


def test_it_does_not_hide_what_ended_the_loop() -> None:
    settling = Settling()
    settling.error = RuntimeError("stopped")
    settling.gate.release(1)

    def loop() -> None:
        with Settler(settling, batches_in_hand=2, name="test") as settler:
            settler.settle(batch("a"), DONE)
            raise UserMistake("a bug")

    with pytest.raises(UserMistake, match="a bug"):
        loop()


def test_check_does_not_wait() -> None:
    settling = Settling()
    with Settler(settling, batches_in_hand=2, name="test") as settler:
        settler.settle(batch("a"), DONE)
        settler.check()
        assert settling.settled == []
        settling.gate.release(1)
