"""What follows from a try: delivered, tried again later, or given up."""

import random
from collections.abc import Callable, Sequence

from predictq.clock import parse_time, wire_time
from predictq.push.settings import PushSettings
from predictq.sections import DAY
from predictq_sync.webhooks.claiming import Claimed, Said
from predictq_sync.webhooks.posting import Answer

__all__ = ["Outcomes"]

HISTORY = 50
"""Tries that a delivery remembers; the latest ones."""
GONE = 410


class Outcomes:
    """Decides by the schedule of the settings."""

    def __init__(self, push: PushSettings, *, draw: Callable[[float, float], float] = random.uniform) -> None:
        self._schedule = push.schedule_seconds
        self._jitter = push.jitter
        self._max_retry_after_seconds = push.max_retry_after_seconds
        self._draw = draw
        # Kept back for longer than all tries together take, it was so by a receiver that is dead.
        self._patience = max(sum(self._schedule) * (1 + self._jitter), DAY)

    def after(self, sent: Sequence[Claimed], answer: Answer, *, began: float, now: float) -> list[Said]:
        """After a try of these, in one push, that began then and has ended now, both Unix seconds."""
        # Drawn once: what went together comes again together. The jitter is no secret.
        drawn = self._draw(1 - self._jitter, 1 + self._jitter)
        return [self._after(each, answer, began=began, now=now, drawn=drawn) for each in sent]

    def untried(self, claimed: Claimed, *, seconds: float, now: float) -> Said:
        """Given back, to be tried in so many seconds; nothing is spent, but nothing waits for ever."""
        if now - parse_time(claimed.created_at) > self._patience:
            return self.given_up(claimed, "the receiver was away for as long as the schedule lasts", now=now)
        return _due(claimed, now + seconds)

    def given_up(self, claimed: Claimed, why: str, *, now: float) -> Said:
        """Without a try, because there is no sense in one."""
        entry = {"at": wire_time(now), "status": None, "error": why, "seconds": 0.0}
        return _ended(claimed._replace(history=[*claimed.history, entry][-HISTORY:]), "failed", now)

    def _after(self, claimed: Claimed, answer: Answer, *, began: float, now: float, drawn: float) -> Said:
        entry = {
            "at": wire_time(began),
            "status": answer.status,
            "error": answer.error,
            "seconds": round(max(now - began, 0.0), 3),
        }
        attempts = claimed.attempts + 1
        history = [*claimed.history, entry][-HISTORY:]
        tried = claimed._replace(attempts=attempts, history=history)
        if answer.delivered:
            return _ended(tried, "delivered", now)
        if attempts >= len(self._schedule) or answer.status == GONE:
            return _ended(tried, "failed", now)
        delay = self._schedule[attempts] * drawn
        wanted = min(answer.retry_after_seconds(now), self._max_retry_after_seconds)
        return _due(tried, now + max(delay, wanted))


def _ended(claimed: Claimed, state: str, now: float) -> Said:
    at = wire_time(now)
    return Said(claimed.id, claimed.claim, state, claimed.attempts, claimed.history, at, at)


def _due(claimed: Claimed, at: float) -> Said:
    return Said(claimed.id, claimed.claim, "pending", claimed.attempts, claimed.history, wire_time(at), None)
