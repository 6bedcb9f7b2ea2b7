"""The one loop that reads topics: poll, handle, settle."""

from predictq.loop.handler import Handler, Limits, Outcome

__all__ = ["Handler", "Limits", "Outcome"]
