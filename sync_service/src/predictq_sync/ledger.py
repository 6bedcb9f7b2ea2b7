"""The ledger: every request and every job that was accepted, and up to when it knows them all."""

import logging
import time
from collections.abc import Callable, Iterable, Sequence

from pydantic_core import to_json

from predictq.brokers import Admin, Dead, Done, Message, Record, Verdict
from predictq.clock import wire_time
from predictq.errors import BadMessage
from predictq.loop import Limits, Outcome
from predictq.names import Names
from predictq_sync.announcing import announcement, finished_among
from predictq_sync.bodies import Body
from predictq_sync.database import Database
from predictq_sync.jobs.entering import JobEntries, JobRequest, Said
from predictq_sync.jobs.progress import JobProgress
from predictq_sync.rollup import NOTHING_FINISHED
from predictq_sync.skimming import skim_request, time_or
from predictq_sync.streams.recording import CompletionRecorder
from predictq_sync.watermark import Watermark
from predictq_sync.webhooks.outbox import Outbox
from predictq_sync.writing import Entered, RequestRow, writer_of

__all__ = ["Ledger"]

log = logging.getLogger(__name__)

_DONE = Done()


class Ledger:
    """Writes requests. What no one can parse becomes a dead letter here, once for all groups."""

    def __init__(
        self,
        *,
        database: Database,
        names: Names,
        endpoints: Iterable[str],
        limits: Limits,
        admin: Callable[[], Admin],
        outbox: Outbox | None = None,
        job_news: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`job_news` is called now and then, and tells how far jobs are."""
        self.conflicts = 0
        """Requests dropped because their id was taken by another body or endpoint."""
        self._database = database
        self._names = names
        self._limits = limits
        self._clock = clock
        endpoints = tuple(endpoints)
        self._endpoint_of = {topic(name): name for name in endpoints for topic in (names.requests, names.bulk)}
        self._job_topics = frozenset(names.jobs(name) for name in endpoints)
        self._outbox = outbox or Outbox(database.dialect)
        # Reads webhooks anew each time: jobs end rarely, and one that was just made may be on a job that ends just now.
        of_jobs = Outbox(database.dialect, ring=self._outbox.ring)
        self._jobs = JobEntries(database.dialect, of_jobs)
        self._progress = JobProgress(database, of_jobs, clock=clock)
        self._job_news = job_news
        self._writer = writer_of(database.dialect)
        self._record_completions = CompletionRecorder(database.dialect)
        self._watermark = Watermark(
            database=database,
            admin=admin,
            group=names.ledger_group,
            topics=(*self._endpoint_of, *sorted(self._job_topics)),
            clock=clock,
        )

    def limits(self) -> Limits:
        return self._limits

    def handle(self, records: Sequence[Record]) -> Outcome:
        rows: dict[str, RequestRow] = {}
        verdicts: list[Verdict] = []
        redelivered: list[str] = []
        said: list[Said] = []
        of_jobs: list[JobRequest] = []
        conflicts = 0
        for record in records:
            try:
                if record.topic in self._job_topics:
                    said.append(self._jobs.read(record))
                    verdicts.append(_DONE)
                    continue
                row = self._row(record, of_jobs)
            except BadMessage as error:
                verdicts.append(Dead(str(error)))
                continue
            verdicts.append(_DONE)
            conflicts += _body(rows.setdefault(row.id, row)) != _body(row)
            if record.redeliveries:
                redelivered.append(row.id)
        if not rows and not said:
            return Outcome(verdicts)
        # In the order of ids, as every writer: two that want the same rows then wait for, and never lock, each other.
        ids = sorted(rows)
        now = self._clock()
        with self._database.write() as connection:
            entered = Entered(0, NOTHING_FINISHED)
            if rows:
                entered = self._writer.enter(connection, [rows[identifier] for identifier in ids], wire_time(now))
                endpoint_of = {identifier: rows[identifier].endpoint for identifier in entered.finished.ids}
                self._record_completions(connection, entered.finished.ids, endpoint_of, wire_time(now))
            if said or of_jobs:
                self._jobs(connection, said, of_jobs)
            pushes = self._outbox.requests(connection, entered.finished, wire_time(now))
            finished = dict.fromkeys([*entered.finished.ids, *finished_among(connection, redelivered)])
        if pushes:
            self._outbox.ring()
        conflicts += entered.conflicts
        if conflicts:
            self.conflicts += conflicts
            log.warning("%d request(s) dropped: their ids were taken by other instances or endpoints", conflicts)
        return Outcome(verdicts, announcement(self._names, list(finished), now))

    def buried(self, record: Record, reason: str) -> Sequence[Message]:  # noqa: ARG002 - nothing stands for it
        return ()

    def tick(self) -> None:
        self._watermark.advance()
        self._progress()
        self._job_news()

    def _row(self, record: Record, of_jobs: list[JobRequest]) -> RequestRow:
        event = skim_request(record.value)
        data = event["data"]
        endpoint = self._endpoint_of[record.topic]
        if data["endpoint"] != endpoint:
            raise BadMessage(f"data/endpoint: is {data['endpoint']!r} on the topic of {endpoint!r}")
        deployments = data["deployments"]
        metadata = data.get("metadata")
        callback = data.get("callback")
        if (job := data.get("job")) is not None:
            of_jobs.append(JobRequest(job["id"], job["chunk"], job["first_row"], event["id"], job["rows"]))
        return RequestRow(
            event["id"],
            endpoint,
            to_json(deployments).decode(),
            len(set(deployments)),
            "queued",
            data["instances_hash"],
            to_json(metadata).decode() if metadata else None,
            time_or(event["time"], record.published_at),
            event.get("expirytime"),
            to_json(callback).decode() if callback is not None else None,
        )


def _body(row: RequestRow) -> Body:
    return row.endpoint, row.instances_hash
