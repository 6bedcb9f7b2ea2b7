"""The cutter: a chunk becomes requests on the topic of those that may wait.

Their ids derive from the job and the row that they begin with, and the chunk says how it is to be cut: so whoever cuts
it, and however often, the same requests come out.
"""

import logging
import time
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from pydantic_core import to_json

from predictq.brokers.port import Admin, Dead, Done, Message, Record, Verdict
from predictq.chunkfile import ChunkRows, Refusal, read_chunk, read_numbers
from predictq.errors import BadMessage, NoRoom, Unavailable
from predictq.ids import derived_id
from predictq.loop import Limits, Outcome
from predictq.messages import CHUNK, CHUNK_TYPE, ChunkData, JobPlace, encode_packed, pack
from predictq.names import Names
from predictq.settings import Settings
from predictq.storage import NotInStorage, Storage
from predictq_producers.jobs.events import chunk_message
from predictq_producers.jobs.tries import EndsProcesses, tried
from predictq_producers.parsing import check_values
from predictq_producers.refusals import Refused
from predictq_producers.requests import RequestMaker

__all__ = ["Cutter", "Room", "request_id_of"]

log = logging.getLogger(__name__)

MAX_BATCH_BYTES = 1024 * 1024
PACKED_BYTES = 11
"""Of a number in base64, and some."""
ENVELOPE_BYTES = 16 * 1024
"""Of a request: what stands around its instances."""
_IS_CHUNK = f'"{CHUNK_TYPE}"'.encode()


def request_id_of(job_id: str, first_row: int) -> str:
    """Of the request that begins with this row."""
    return derived_id(job_id, "rows", str(first_row))


class Room:
    """Whether the deployments of an endpoint have so little before them that more may come."""

    def __init__(self, settings: Settings, open_admin: Callable[[], Admin]) -> None:
        self._settings = settings
        self._names = Names(settings.prefix)
        self._open_admin = open_admin
        self._admin: Admin | None = None

    def check(self, endpoint: str) -> None:
        """Raises NoRoom while there is none, BrokerUnavailable."""
        if self._admin is None:
            self._admin = self._open_admin()
        topic, most = self._names.bulk(endpoint), self._settings.jobs.max_waiting_requests
        for deployment in self._settings.deployments_of(endpoint):
            waiting = self._admin.lag(topic, self._names.workers(endpoint, deployment)).ready
            if waiting >= most:
                raise NoRoom(f"{deployment} has {waiting} requests of jobs before it; at most {most}")


class _Rows(NamedTuple):
    """Rows that can be predicted."""

    places: Sequence[int]
    """Within the chunk."""
    instances: Sequence[Any]


class Cutter:
    """The handler of planned chunks. Reads the topic of jobs and passes over everything else on it."""

    def __init__(
        self,
        *,
        names: Names,
        makers: Mapping[str, RequestMaker],
        storage: Storage,
        room: Callable[[str], None],
        cancelled: Container[str] = (),
    ) -> None:
        self._names = names
        self._makers = makers
        self._storage = storage
        self._room = room
        self._cancelled = cancelled

    def limits(self) -> Limits:
        """One by one: a chunk is some megabytes of requests."""
        return Limits(max_messages=1, max_bytes=MAX_BATCH_BYTES, max_wait_seconds=0.0)

    def handle(self, records: Sequence[Record]) -> Outcome:
        """Cut each chunk that was planned."""
        return Outcome([self._verdict(record) if _IS_CHUNK in record.value else Done() for record in records])

    def buried(self, record: Record, reason: str) -> Sequence[Message]:
        """No row of a chunk that ends the cutter can be used."""
        try:
            chunk = CHUNK.decode(record.value)["data"]
        except BadMessage:
            return ()
        if chunk["state"] != "planned":
            return ()
        refused = {place: Refusal(f"its chunk cannot be read: {reason}", "") for place in range(chunk["rows"])}
        self._note(chunk, refused)
        return (self._cut(chunk, 0, len(refused)),)

    def tick(self) -> None:
        """Nothing to keep."""

    def _verdict(self, record: Record) -> Verdict:
        try:
            chunk = CHUNK.decode(record.value)["data"]
        except BadMessage as error:
            return Dead(str(error))
        if chunk["state"] != "planned" or chunk["job_id"] in self._cancelled:
            return Done()
        maker = self._makers.get(chunk["endpoint"])
        if maker is None:
            return Dead(f"there is no endpoint {chunk['endpoint']!r}")
        self._room(chunk["endpoint"])
        return self._tried(record, chunk, maker)

    def _tried(self, record: Record, chunk: ChunkData, maker: RequestMaker) -> Verdict:
        try:
            if not record.redeliveries:
                return self._done(chunk, maker)
            with tried(self._storage, "jobs", chunk["job_id"], "cutting", f"{chunk['number']:06d}"):
                return self._done(chunk, maker)
        except NotInStorage:
            return Done()  # the job was cancelled or is kept no longer
        except EndsProcesses as error:
            return Dead(str(error), self.buried(record, str(error)))

    def _done(self, chunk: ChunkData, maker: RequestMaker) -> Done:
        refused: dict[int, Refusal] = {}
        messages = self._packed(chunk, maker, refused) or self._rows(chunk, maker, refused)
        if refused:
            self._note(chunk, refused)
        return Done((*messages, self._cut(chunk, len(messages), len(refused))))

    def _packed(self, chunk: ChunkData, maker: RequestMaker, refused: dict[int, Refusal]) -> list[Message]:
        """Requests of columns; none where its rows must be looked at one by one."""
        features = chunk["features"]
        if features is None or not chunk.get("packed") or maker.check.json_schema is not None:
            return []
        with self._storage.open(chunk["url"]) as stream:
            numbers = read_numbers(stream, features)
        if numbers is None:
            return []
        refused.update(numbers.refused)
        room = chunk["request_bytes"] - ENVELOPE_BYTES - len(to_json(features))
        most = min(chunk["request_rows"], room // (len(features) * PACKED_BYTES))
        if not most:
            return []
        names = features if chunk["named"] else None
        messages = []
        for places, at in _runs(_Rows(numbers.places, range(len(numbers.places))), most):
            packed = pack(names, numbers.types, numbers.slice(at[0], at[-1] + 1))
            messages.append(self._prepared(chunk, places, encode_packed(packed), packed=True))
        return messages

    def _rows(self, chunk: ChunkData, maker: RequestMaker, refused: dict[int, Refusal]) -> list[Message]:
        with self._storage.open(chunk["url"]) as stream:
            found = read_chunk(stream, chunk["form"])
        refused.update(found.refused)
        rows = _taken(chunk, found, maker, refused)
        return [
            message for run in _runs(rows, chunk["request_rows"]) for message in self._requests(chunk, run, refused)
        ]

    def _requests(self, chunk: ChunkData, rows: _Rows, refused: dict[int, Refusal]) -> Iterator[Message]:
        """One request of the rows, or several smaller ones."""
        instances = to_json(rows.instances)
        # Words that are no JSON, of a number within a list or a struct; or a part of a text.
        if (b"NaN" in instances or b"Infinity" in instances) and (found := _not_finite(rows)):
            refused.update(found)
            left = [each for each in zip(*rows, strict=True) if each[0] not in found]
            for run in _runs(_Rows([place for place, _ in left], [each for _, each in left]), len(left) or 1):
                yield from self._requests(chunk, run, refused)
            return
        if len(instances) > chunk["request_bytes"] - ENVELOPE_BYTES:
            if len(rows.places) == 1:
                right = f"at most {chunk['request_bytes'] - ENVELOPE_BYTES} bytes would be right"
                refused[rows.places[0]] = Refusal(f"is too large for the broker; {right}", _text(rows.instances[0]))
                return
            half = len(rows.places) // 2
            yield from self._requests(chunk, _Rows(rows.places[:half], rows.instances[:half]), refused)
            yield from self._requests(chunk, _Rows(rows.places[half:], rows.instances[half:]), refused)
            return
        yield self._prepared(chunk, rows.places, instances)

    def _prepared(self, chunk: ChunkData, places: Sequence[int], rows: bytes, *, packed: bool = False) -> Message:
        first_row = chunk["first_row"] + places[0]
        job: JobPlace = {
            "id": chunk["job_id"],
            "chunk": chunk["number"],
            "first_row": first_row,
            "rows": len(places),
        }
        maker = self._makers[chunk["endpoint"]]
        request_id = request_id_of(chunk["job_id"], first_row)
        try:
            return maker.prepare_rows(rows, job, request_id, time.time(), packed=packed)
        except Refused as error:
            raise Unavailable(error.detail) from error

    def _note(self, chunk: ChunkData, refused: Mapping[int, Refusal]) -> None:
        """Write what is wrong with rows, for whoever asks for the errors of the job."""
        with self._storage.writing("jobs", chunk["job_id"], "refused", f"{chunk['number']:06d}.jsonl") as stream:
            for place in sorted(refused):
                reason, text, column = refused[place]
                line = {"row": chunk["first_row"] + place, "column": column, "reason": reason, "text": text}
                stream.write(to_json(line) + b"\n")

    def _cut(self, chunk: ChunkData, requests: int, refused: int) -> Message:
        return chunk_message(self._names, {**chunk, "state": "cut", "requests": requests, "refused": refused})


def _taken(chunk: ChunkData, found: ChunkRows, maker: RequestMaker, refused: dict[int, Refusal]) -> _Rows:
    """The rows that the endpoint takes; the others are added to `refused`."""
    instances = _shaped(chunk, found)
    if chunk["features"] is not None and maker.check.json_schema is None:
        return _Rows(found.places, instances)
    places: list[int] = []
    taken: list[Any] = []
    for place, instance in zip(found.places, instances, strict=True):
        refusal = _refusal(instance, maker)
        if refusal is None:
            places.append(place)
            taken.append(instance)
        else:
            refused[place] = refusal
    return _Rows(places, taken)


def _refusal(instance: Any, maker: RequestMaker) -> Refusal | None:
    if not isinstance(instance, dict | list):
        return Refusal("is neither a JSON object of named features nor an array", _text(instance))
    try:
        check_values(instance)
    except Refused as error:
        return Refusal(error.reason, _text(instance))
    if maker.check.json_schema is None or maker.check.valid(instance):
        return None
    fault = next(iter(maker.check.faults(instance, ())), None)
    if fault is None:
        return Refusal("does not fit the endpoint's schema", _text(instance))
    column = fault.pointer.removeprefix("/").replace("~1", "/").replace("~0", "~")
    return Refusal(fault.detail, _text(instance), column or None)


def _not_finite(rows: _Rows) -> dict[int, Refusal]:
    found: dict[int, Refusal] = {}
    for place, instance in zip(*rows, strict=True):
        try:
            check_values(instance)
        except Refused as error:
            found[place] = Refusal(error.reason, _text(instance))
    return found


def _shaped(chunk: ChunkData, found: ChunkRows) -> Sequence[Any]:
    features, names = chunk["features"], found.names
    if features is None or names is None:
        carried = set(chunk["carried"])
        if not carried:
            return found.rows
        return [
            {name: row[name] for name in row if name not in carried} if isinstance(row, dict) else row
            for row in found.rows
        ]
    rows: Sequence[Any] = found.rows
    if features != names:
        picked = [names.index(name) for name in features]
        rows = [[row[at] for at in picked] for row in rows]
    if chunk["named"]:
        return [dict(zip(features, row, strict=True)) for row in rows]
    return list(map(list, rows))


def _runs(rows: _Rows, most: int) -> Iterator[_Rows]:
    """Rows that follow one another, at most so many."""
    places, instances = rows
    start = 0
    gaps = len(places) and places[-1] - places[0] + 1 != len(places)
    if not gaps:
        for at in range(0, len(places), most):
            yield _Rows(places[at : at + most], instances[at : at + most])
        return
    for at in range(1, len(places) + 1):
        if at == len(places) or at - start == most or places[at] != places[at - 1] + 1:
            yield _Rows(places[start:at], instances[start:at])
            start = at


def _text(value: Any) -> str:
    return to_json(value, inf_nan_mode="strings")[:2000].decode(errors="replace")
