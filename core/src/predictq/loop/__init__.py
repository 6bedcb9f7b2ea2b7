"""The one loop that reads topics: poll, handle, settle."""

from predictq.loop.backoff import Backoff
from predictq.loop.handler import Handler, Limits, Outcome
from predictq.loop.loop import Loop
from predictq.loop.rounds import Rounds
from predictq.loop.stop import Stop
from predictq.loop.watchdog import Watchdog

__all__ = ["Backoff", "Handler", "Limits", "Loop", "Outcome", "Rounds", "Stop", "Watchdog"]
