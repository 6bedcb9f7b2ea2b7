"""What is done every so often goes on through outages, and ends when it is told to."""

import threading
from collections.abc import Callable

import pytest
from tests.beside import running

from predictq.errors import DatabaseUnavailable
from predictq.loop import Rounds, Stop


def rounds(call: Callable[[Stop], None]) -> Rounds:
    return Rounds(name="chores", call=call, every_seconds=0.001)


def test_it_goes_on_through_an_outage_and_is_not_ready_meanwhile() -> None:
    stop, outcomes, ready = Stop(), iter([None, DatabaseUnavailable("away"), None, None]), list[bool]()
    ended = threading.Event()

    def call(_: Stop) -> None:
        ready.append(chores.ready.is_set())
        outcome = next(outcomes, None)
        if len(ready) == 4:
            ended.set()
        if outcome is not None:
            raise outcome

    chores = rounds(call)
    with running(lambda: chores.run(stop), stop=stop.set):
        assert ended.wait(30)

    assert ready[:4] == [True, True, False, True]


def test_it_ends_early_when_it_is_told_to_in_the_middle() -> None:
    stop, calls = Stop(), list[int]()

    def call(told: Stop) -> None:
        calls.append(1)
        stop.set()
        assert told.is_set()

    rounds(call).run(stop)

    assert calls == [1]


def test_what_no_waiting_mends_ends_it() -> None:
    def call(_: Stop) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        rounds(call).run(Stop())
