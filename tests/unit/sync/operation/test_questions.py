"""Many who ask the same cost one question."""

import asyncio
import threading

import pytest

from predictq_sync.operation.questions import AT_ONCE, Questions

DEADLINE_SECONDS = 20.0


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def _counted(asked: list[str], answer: str = "yes") -> str:
    asked.append(answer)
    return answer


def test_an_answer_is_given_again_for_a_second() -> None:
    async def run() -> None:
        clock, asked = Clock(), list[str]()
        questions = Questions(clock)

        async def ask() -> str:
            return await questions.read(lambda: _counted(asked))

        assert await asyncio.gather(*(questions.shared("a", ask) for _ in range(50))) == ["yes"] * 50
        clock.now += 0.999
        await questions.shared("a", ask)
        assert len(asked) == 1
        clock.now += 0.001
        await questions.shared("a", ask)
        assert len(asked) == 2
        await questions.shared("b", ask)
        assert len(asked) == 3

    asyncio.run(run())


def test_an_error_is_an_answer_and_is_forgotten_like_one() -> None:
    async def run() -> None:
        clock, asked = Clock(), list[str]()
        questions = Questions(clock)

        async def fail() -> str:
            asked.append("no")
            raise LookupError("no")

        for _ in range(3):
            with pytest.raises(LookupError):
                await questions.shared("a", fail)
        assert asked == ["no"]
        clock.now += 1.0
        with pytest.raises(LookupError):
            await questions.shared("a", fail)
        assert asked == ["no", "no"]

    asyncio.run(run())


def test_a_question_that_hangs_is_asked_once_and_outlives_who_gave_up() -> None:
    async def run() -> None:
        clock, asked, go_on = Clock(), list[str](), asyncio.Event()
        questions = Questions(clock)

        async def ask() -> str:
            asked.append("yes")
            await go_on.wait()
            return "yes"

        first = asyncio.ensure_future(questions.shared("a", ask))
        while not asked:
            await asyncio.sleep(0)
        clock.now += 60.0
        second = asyncio.ensure_future(questions.shared("a", ask))
        await asyncio.sleep(0)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        go_on.set()
        assert await second == "yes"
        assert asked == ["yes"]

    asyncio.run(run())


def test_operators_hold_few_threads() -> None:
    async def run() -> None:
        questions, lock, go_on, full = Questions(), threading.Lock(), threading.Event(), threading.Event()
        running, most = 0, 0

        def read() -> None:
            nonlocal running, most
            with lock:
                running += 1
                most = max(most, running)
                if running == AT_ONCE:
                    full.set()
            assert go_on.wait(DEADLINE_SECONDS)
            with lock:
                running -= 1

        reads = [asyncio.ensure_future(questions.read(read)) for _ in range(6)]
        await asyncio.to_thread(full.wait, DEADLINE_SECONDS)
        go_on.set()
        await asyncio.gather(*reads)
        assert most == AT_ONCE

    asyncio.run(run())
