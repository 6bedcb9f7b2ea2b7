"""Work on files gets the processor where nothing else wants it."""

import os
import sys
import threading

import pytest

from predictq.loop import Stop
from predictq_producers.jobs.standing_back import StandingBack

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere niceness is the whole process's")


def niceness() -> int:
    return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())


class Looks:
    """Looks at the niceness of its thread, and of one that this one starts."""

    name = "planner"

    def __init__(self) -> None:
        self.ready = threading.Event()
        self.seen: list[int] = []

    def run(self, _: Stop) -> None:
        self.seen.append(niceness())
        thread = threading.Thread(target=lambda: self.seen.append(niceness()))
        thread.start()
        thread.join()


def test_a_loop_and_its_threads_stand_back_and_the_rest_of_the_process_does_not() -> None:
    before, looks = niceness(), Looks()
    loop = StandingBack(looks, 19)

    thread = threading.Thread(target=loop.run, args=(Stop(),))
    thread.start()
    thread.join()

    assert (loop.name, loop.ready) == ("planner", looks.ready)
    assert looks.seen == [19, 19]
    assert niceness() == before < 19
