"""`predictq.job.v1` and `predictq.chunk.v1`: a file of many rows, and the runs of rows that it is cut into."""

from typing import Annotated, Literal, NotRequired

from pydantic import Field
from typing_extensions import TypedDict

from predictq.messages.envelope import Codec, Envelope, Hash, Id, Name
from predictq.messages.request import Callback

__all__ = [
    "CHUNK",
    "CHUNK_TYPE",
    "JOB",
    "JOB_TYPE",
    "ChunkData",
    "ChunkEvent",
    "ChunkForm",
    "FileFormat",
    "JobData",
    "JobEvent",
    "JobResult",
    "JobSource",
]

JOB_TYPE: Literal["predictq.job.v1"] = "predictq.job.v1"
CHUNK_TYPE: Literal["predictq.chunk.v1"] = "predictq.chunk.v1"

FileFormat = Literal["csv", "jsonl", "json", "parquet", "arrow"]
ChunkForm = Literal["arrow", "jsonl"]
Column = Annotated[str, Field(min_length=1, max_length=1024)]
Count = Annotated[int, Field(ge=0)]


class JobSource(TypedDict):
    """The file, and how it is to be read where it does not say so itself."""

    url: Annotated[str, Field(min_length=1, max_length=4096)]
    """As fsspec takes it."""
    name: Annotated[str, Field(max_length=1024)]
    """What the file was called; its ending is a hint."""
    format: NotRequired[FileFormat]
    header: NotRequired[bool]
    """CSV: whether the first row names the columns."""
    delimiter: NotRequired[Annotated[str, Field(min_length=1, max_length=1)]]
    encoding: NotRequired[Annotated[str, Field(max_length=40)]]
    etag: NotRequired[Annotated[str, Field(max_length=1024)]]
    """Of the content that is meant; where the object has another one by now, the job fails."""
    owned: NotRequired[bool]
    """It was uploaded, and goes with its job."""


class JobResult(TypedDict):
    """Where the result file is written when the job is over."""

    url: Annotated[str, Field(min_length=1, max_length=4096)]
    format: Literal["csv", "jsonl", "parquet"]


class JobData(TypedDict):
    """What became known of a job. `source` and what stands beside it is of `accepted` alone."""

    job_id: Id
    endpoint: Name
    state: Literal["accepted", "planned", "failed"]
    source: NotRequired[JobSource]
    keep: NotRequired[list[Column]]
    """Columns that are carried through to the result; `*` is all that are no features."""
    id_column: NotRequired[Column]
    arrays: NotRequired[bool]
    """An instance is an array of the columns' values, although they have names."""
    result: NotRequired[JobResult]
    metadata: NotRequired[dict[str, str]]
    callback: NotRequired[Callback]
    content_hash: NotRequired[Hash]
    """Of one that came under a key: of the file, or of its URL, and of how it is to be read."""
    rows: NotRequired[Count]
    """Of `planned`: all of them."""
    chunks: NotRequired[Count]
    reason: NotRequired[str]
    """Of `failed`: why the file cannot be read on. What was cut before stays."""


class JobEvent(Envelope):
    """A step of a job."""

    id: Id
    type: Literal["predictq.job.v1"]
    data: JobData
    partitionkey: NotRequired[str]


class ChunkData(TypedDict):
    """A contiguous run of a job's rows, in a file of its own in the storage."""

    job_id: Id
    endpoint: Name
    state: Literal["planned", "cut"]
    number: Count
    first_row: Count
    """Counted from 0 over all rows of the file, those that cannot be used among them."""
    rows: Count
    url: str
    form: ChunkForm
    features: list[str] | None
    """Columns that make an instance; null where a row is an instance as it stands."""
    named: bool
    """Whether an instance is an object with the features' names, else an array of their values."""
    carried: list[str]
    """Columns that go to the result as they are."""
    request_rows: Annotated[int, Field(ge=1)]
    """In one request, at most; so that whoever cuts it, and when, cuts the same."""
    request_bytes: Annotated[int, Field(ge=1)]
    """Of one request, at most."""
    packed: NotRequired[bool]
    """Numbers travel as columns where all features of the chunk are numbers."""
    requests: NotRequired[Count]
    """Of `cut`: requests that were made of it."""
    refused: NotRequired[Count]
    """Of `cut`: rows that are in none of them."""


class ChunkEvent(Envelope):
    """A step of a chunk."""

    id: Id
    type: Literal["predictq.chunk.v1"]
    data: ChunkData
    partitionkey: NotRequired[str]


JOB: Codec[JobEvent] = Codec(JobEvent)
CHUNK: Codec[ChunkEvent] = Codec(ChunkEvent)
