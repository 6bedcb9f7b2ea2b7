"""Questions of operators: few at a time, and one for all who ask the same."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Hashable
from typing import Any, NamedTuple, TypeVar

__all__ = ["FRESH_SECONDS", "Questions"]

FRESH_SECONDS = 1.0
"""How old an answer may be that is given to all who ask."""
AT_ONCE = 2
"""Reads of the database: what clients read must never wait for the threads that operators hold."""

AnswerT = TypeVar("AnswerT")


class _Asked(NamedTuple):
    answer: asyncio.Task[Any]
    good_until: float
    """By the monotonic clock; an answer that is still awaited is good anyway."""


class Questions:
    """For one event loop."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._asked: dict[Hashable, _Asked] = {}
        self._room = asyncio.Semaphore(AT_ONCE)

    async def read(self, read: Callable[[], AnswerT]) -> AnswerT:
        """What a blocking read says, once it is its turn; it is called in a thread. Raises what it raises."""
        async with self._room:
            return await asyncio.to_thread(read)

    async def shared(
        self, key: Hashable, ask: Callable[[], Awaitable[AnswerT]], fresh_seconds: float = FRESH_SECONDS
    ) -> AnswerT:
        """The answer that this key had within the last `fresh_seconds`, or will have; an error is an answer too.

        Whoever goes away meanwhile does not take the answer from the others.
        """
        now = self._monotonic()
        asked = self._asked.get(key)
        if asked is None or (asked.answer.done() and asked.good_until <= now):
            self._forget(now)
            asked = self._asked[key] = _Asked(asyncio.ensure_future(_awaited(ask)), now + fresh_seconds)
        answer: AnswerT = await asyncio.shield(asked.answer)
        return answer

    def _forget(self, now: float) -> None:
        for key, (answer, good_until) in list(self._asked.items()):
            if answer.done() and good_until <= now:
                del self._asked[key]
                answer.cancelled() or answer.exception()  # whoever asked may be gone by now


async def _awaited(ask: Callable[[], Awaitable[AnswerT]]) -> AnswerT:
    return await ask()
