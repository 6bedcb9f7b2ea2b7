"""What the ledger and the store hear of a job, as planner, cutter and workers say it."""

from typing import Any

from tests.unit.sync.conftest import LIMITS, NAMES, NOW, make_ledger, prediction, record

from predictq.brokers import Record
from predictq.clock import wire_time
from predictq.ids import derived_id
from predictq.messages import CHUNK, JOB, REQUEST, new_request
from predictq_sync.database import Database
from predictq_sync.jobs.progress import JobProgress
from predictq_sync.store import Store

__all__ = ["TheJob", "job_event"]


def job_event(job_id: str, state: str, **more: Any) -> Record:
    """An event of a job of the endpoint `tumours`."""
    event: Any = {
        "specversion": "1.0",
        "id": job_id if state == "accepted" else derived_id(job_id, state),
        "source": "/predictq/endpoints/tumours",
        "type": "predictq.job.v1",
        "time": wire_time(NOW),
        "data": {"job_id": job_id, "endpoint": "tumours", "state": state, **more},
    }
    return record(NAMES.jobs("tumours"), JOB.encode(event))


class TheJob:
    """A job of chunks of two rows, a request each; row `i` holds `[i, 2i]`, and is answered by `i`."""

    def __init__(
        self,
        database: Database,
        job_id: str,
        result: dict[str, str] | None,
        *,
        callback: dict[str, object] | None = None,
    ) -> None:
        self.id = job_id
        self.database = database
        self._ledger = make_ledger(database)
        self._store = Store(
            database=database, names=NAMES, endpoints=["tumours"], limits=LIMITS, after_commit=lambda *_: None
        )
        asked: dict[str, Any] = {} if result is None else {"result": result}
        if callback is not None:
            asked["callback"] = callback
        self.say(job_event(job_id, "accepted", source={"url": "file:///in.csv", "name": "in.csv"}, **asked))

    def say(self, *events: Record) -> None:
        self._ledger.handle(events)

    def cut(self, chunks: int) -> None:
        """All chunks are cut, none of their requests is answered."""
        for number in range(chunks):
            self.say(self._chunk(number, "planned"), self._chunk(number, "cut", requests=1, refused=0))
            self.say(record(NAMES.bulk("tumours"), REQUEST.encode(self._request(number))))

    def answer(self, chunks: int) -> None:
        for number in range(chunks):
            event = self._request(number)
            outputs = [2 * number, 2 * number + 1]
            self._store.handle([prediction(event["id"], instances=event["data"]["instances"], outputs=outputs)])

    def planned(self, chunks: int) -> None:
        self.say(job_event(self.id, "planned", rows=2 * chunks, chunks=chunks))

    def failed(self) -> None:
        self.say(job_event(self.id, "failed", reason="the file cannot be read on"))

    def progress(self) -> None:
        JobProgress(self.database, clock=lambda: NOW + 5)()

    def complete(self, chunks: int) -> None:
        """Everything of the above."""
        self.cut(chunks)
        self.answer(chunks)
        self.planned(chunks)
        self.progress()

    def _request(self, number: int) -> Any:
        event: Any = new_request(
            request_id=derived_id(self.id, "rows", str(2 * number)),
            endpoint="tumours",
            instances=[[float(row), 2.0 * row] for row in (2 * number, 2 * number + 1)],
            deployments=["linear"],
            now=NOW,
        )
        event["data"]["job"] = {"id": self.id, "chunk": number, "first_row": 2 * number, "rows": 2}
        return event

    def _chunk(self, number: int, state: str, **more: Any) -> Record:
        event: Any = {
            "specversion": "1.0",
            "id": derived_id(self.id, "chunk", str(number), state),
            "source": "/predictq/endpoints/tumours",
            "type": "predictq.chunk.v1",
            "time": wire_time(NOW),
            "data": {
                "job_id": self.id,
                "endpoint": "tumours",
                "state": state,
                "number": number,
                "first_row": 2 * number,
                "rows": 2,
                "url": "file:///nowhere",
                "form": "arrow",
                "features": ["a", "b"],
                "named": False,
                "carried": [],
                "request_rows": 500,
                "request_bytes": 1000000,
                **more,
            },
        }
        return record(NAMES.jobs("tumours"), CHUNK.encode(event))
