"""The bodies of pushes: `{"type", "timestamp", "data"}`, the data as `GET` tells it at that moment."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic_core import to_json

from predictq_sync.database import Database
from predictq_sync.jobs.reading import JobReader
from predictq_sync.reading import Reader
from predictq_sync.webhooks.claiming import Claimed
from predictq_sync.webhooks.outbox import TEST_EVENT

__all__ = ["Payloads"]


class Payloads:
    """Reads what deliveries tell of. Blocks."""

    def __init__(self, database: Database) -> None:
        self._requests = Reader(database)
        self._jobs = JobReader(database)

    def bodies(self, claimed: Sequence[Claimed]) -> Mapping[str, bytes]:
        """By delivery. One is missing where its request or job is kept no longer."""
        ids = sorted({each.subject for each in claimed if each.event.startswith("prediction.")})
        about: dict[tuple[str, str], Any] = {}
        if ids:
            about.update({("prediction", key): body for key, body in self._requests.requests(ids).items()})
        for each in claimed:
            if each.event.startswith("job.") and ("job", each.subject) not in about:
                about["job", each.subject] = self._jobs.job(each.subject)
            elif each.event == TEST_EVENT:
                about["webhook", each.subject] = {"id": each.subject}
        bodies: dict[str, bytes] = {}
        for each in claimed:
            data = about.get((each.event.partition(".")[0], each.subject))
            if data is not None:
                bodies[each.id] = to_json({"type": each.event, "timestamp": each.created_at, "data": data})
        return bodies
