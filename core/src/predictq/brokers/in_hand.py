"""The batches that a consumer has handed out and that are not settled yet."""

import threading
from collections import deque
from collections.abc import Iterator, Sequence

from predictq.brokers.port import Batch, Isolate, Record, Release, Retry, Subscription, Verdict

__all__ = ["InHand"]


class InHand:
    """Oldest first, never more than `most`. One thread may add while another settles."""

    def __init__(self, subscription: Subscription, most: int = 1) -> None:
        self._may_retry = subscription.retry_topic is not None
        self._most = most
        self._batches: deque[Batch] = deque()
        self._lock = threading.Lock()
        self._empty = threading.Event()
        self._empty.set()

    def __len__(self) -> int:
        return len(self._batches)

    def __iter__(self) -> Iterator[Batch]:
        return iter(tuple(self._batches))

    @property
    def records(self) -> list[Record]:
        """Of all batches."""
        return [record for batch in self for record in batch.records]

    def check_room(self) -> None:
        """Raises RuntimeError where nothing more may be polled."""
        if len(self._batches) >= self._most:
            what = "a batch is" if self._most == 1 else f"{self._most} batches are"
            raise RuntimeError(f"{what} in hand; settle the oldest before the next poll")

    def add(self, batch: Batch) -> None:
        """It was polled. An empty one is in nobody's hands."""
        if batch:
            with self._lock:
                self._empty.clear()
                self._batches.append(batch)

    def check(self, batch: Batch, verdicts: Sequence[Verdict]) -> None:
        """Raises ValueError for verdicts that do not fit, RuntimeError for a batch whose turn it is not."""
        if len(verdicts) != len(batch):
            raise ValueError(
                f"{len(verdicts)} verdicts on a batch of {len(batch)} records; one for each would be right"
            )
        kinds = set(map(type, verdicts))
        if not self._may_retry and not kinds.isdisjoint((Retry, Isolate)):
            raise ValueError("Retry and Isolate need a subscription with a retry topic")
        if not batch:
            return
        first, *later = self or (None,)
        if batch is not first:
            if any(batch is one for one in later):
                raise RuntimeError("this batch is not the oldest in hand; settle in the order of the polls")
            raise RuntimeError("this batch is not in hand: it was settled before, or is another consumer's")
        if later and Release in kinds:
            raise RuntimeError("nothing can be released while a later batch is in hand")

    def done(self, batch: Batch) -> None:
        """It was settled."""
        if batch:
            with self._lock:
                self._batches.popleft()
                if not self._batches:
                    self._empty.set()

    def wait_until_empty(self, seconds: float) -> bool:
        """Block until all is settled, for at most so long; whether it is. For the thread that polls."""
        return self._empty.wait(seconds)
