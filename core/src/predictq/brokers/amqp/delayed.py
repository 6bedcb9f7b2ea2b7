"""Where a copy goes that must not be handed out before its time."""

from predictq.brokers.amqp.queues import DELAY_STEPS_MS, delay_of

__all__ = ["queue_for"]


def queue_for(home: str, due_ms: int, now_ms: float) -> str:
    """The queue of the longest step that is not too long; home itself where even the shortest is.

    It comes back to `home` from there, and is sent on by whoever fetches it, until it is due.
    """
    ahead_ms = due_ms - now_ms
    steps = [step for step in DELAY_STEPS_MS if step <= ahead_ms]
    return delay_of(home, steps[-1]) if steps else home
