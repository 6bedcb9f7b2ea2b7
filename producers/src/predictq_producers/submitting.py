"""Files to requests on a topic: checked to the last row first, then published in batches."""

from collections.abc import Callable, Iterator, Sequence
from typing import IO, NamedTuple

from predictq.brokers.port import Producer
from predictq.errors import BrokerUnavailable, StorageUnavailable, Unavailable, UserMistake
from predictq.ids import new_id
from predictq.messages import Callback
from predictq_producers.files import Format, Row, read_rows
from predictq_producers.parsing import check_values
from predictq_producers.refusals import MAX_FAULTS, Fault, Refused
from predictq_producers.requests import Prepared, RequestMaker, Submission

__all__ = ["FileSubmit", "Submitted"]

MAX_BATCH = 500
MAX_BATCH_BYTES = 8 * 1024 * 1024


class Submitted(NamedTuple):
    """A request that the broker holds, and the place of its first row."""

    id: str
    place: str
    instances: int


class FileSubmit:
    """Submits one file, `instances_per_request` rows a request. The stream must be seekable: it is read twice."""

    def __init__(
        self,
        maker: RequestMaker,
        stream: IO[bytes],
        *,
        name: str,
        form: Format,
        instances_per_request: int,
        clock: Callable[[], float],
        callback: Callback | None = None,
    ) -> None:
        if instances_per_request > maker.max_instances:
            raise UserMistake(
                f"--instances-per-request {instances_per_request} is too many: endpoint {maker.endpoint!r} takes "
                f"{maker.max_instances} a request"
            )
        self._maker = maker
        self._stream = stream
        self._name = name
        self._form = form
        self._size = instances_per_request
        self._clock = clock
        self._callback = callback

    def check(self) -> int:
        """How many requests the file makes. Raises UserMistake that names the rows that are wrong."""
        wrong: list[str] = []
        count = 0
        try:
            for rows in self._requests():
                for row in rows:
                    wrong.extend(f"{row.place}: {fault}" for fault in _faults(self._maker, row))
                if len(wrong) >= MAX_FAULTS:
                    break
                if not wrong:
                    self._prepared(rows)
                count += 1
        except UserMistake as error:  # the file cannot be read any further
            wrong.append(str(error))
        if wrong:
            raise UserMistake("\n".join([*wrong[:MAX_FAULTS], "nothing was submitted"]))
        if not count:
            raise UserMistake(f"{self._name}: holds no instance; nothing was submitted")
        return count

    def publish(self, producer: Producer) -> Iterator[Sequence[Submitted]]:
        """Publish all, a batch at a time; what is yielded is durable.

        Raises BrokerUnavailable or StorageUnavailable, which tell how many were submitted before.
        """
        done = 0
        for batch in self._batches():
            try:
                for prepared, _ in batch:
                    if prepared.payload is not None:
                        prepared.payload.write()
                producer.publish([prepared.message for prepared, _ in batch])
            except Unavailable as error:
                kind = StorageUnavailable if isinstance(error, StorageUnavailable) else BrokerUnavailable
                raise kind(f"{error}; {done} requests were submitted before") from error
            done += len(batch)
            yield [Submitted(prepared.id, rows[0].place, len(rows)) for prepared, rows in batch]

    def _batches(self) -> Iterator[Sequence[tuple[Prepared, Sequence[Row]]]]:
        batch: list[tuple[Prepared, Sequence[Row]]] = []
        size = 0
        for rows in self._requests():
            prepared = self._prepared(rows)
            batch.append((prepared, rows))
            size += prepared.size
            if len(batch) >= MAX_BATCH or size >= MAX_BATCH_BYTES:
                yield batch
                batch, size = [], 0
        if batch:
            yield batch

    def _prepared(self, rows: Sequence[Row]) -> Prepared:
        submission = Submission(instances=[row.instance for row in rows], callback=self._callback)
        try:
            return self._maker.prepare(submission, new_id(), self._clock())
        except Refused as error:
            raise UserMistake(f"{rows[0].place}: {error.reason}") from error

    def _requests(self) -> Iterator[Sequence[Row]]:
        self._stream.seek(0)
        rows: list[Row] = []
        for row in read_rows(self._stream, self._name, self._form):
            rows.append(row)
            if len(rows) == self._size:
                yield rows
                rows = []
        if rows:
            yield rows


def _faults(maker: RequestMaker, row: Row) -> Iterator[str]:
    if not isinstance(row.instance, dict | list):
        yield "is neither an object of named features nor an array of values"
        return
    faults: Sequence[Fault] = ()
    try:
        check_values(row.instance)
        if not maker.check.valid(row.instance):
            faults = list(maker.check.faults(row.instance, ()))
    except Refused as error:
        faults = error.faults
    for fault in faults:
        yield f"{fault.pointer.removeprefix('/')}: {fault.detail}" if fault.pointer else fault.detail
