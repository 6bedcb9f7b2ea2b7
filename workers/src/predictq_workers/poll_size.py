"""How much one poll may bring: about one mini-batch, judged by what the last one brought."""

from math import ceil

from predictq.loop import Limits

__all__ = ["PollSize"]

MAX_MESSAGES = 5_000
MIN_BYTES = 1 << 20
MAX_BYTES = 8 << 20


class PollSize:
    """Turns a number of instances into a number of messages and bytes."""

    def __init__(self, *, max_batch_size: int, max_wait_seconds: float) -> None:
        self._max_batch_size = max_batch_size
        self._max_wait_seconds = max_wait_seconds
        self._instances_per_request = 1.0
        self._bytes_per_request = 0.0

    def saw(self, *, requests: int, instances: int, size_bytes: int) -> None:
        """Remember what a poll brought."""
        self._instances_per_request = instances / requests
        self._bytes_per_request = size_bytes / requests

    def limits(self) -> Limits:
        """For the next poll. Room for twice the expected bytes, so that a longer request does not cut it short."""
        messages = min(ceil(self._max_batch_size / self._instances_per_request), MAX_MESSAGES)
        expected_bytes = int(messages * self._bytes_per_request)
        return Limits(messages, min(max(2 * expected_bytes, MIN_BYTES), MAX_BYTES), self._max_wait_seconds)
