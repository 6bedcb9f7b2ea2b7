"""Events of jobs and chunks, their ids derived, so that whatever is said twice is the same."""

import time

from predictq.brokers.port import Message
from predictq.clock import wire_time
from predictq.ids import derived_id
from predictq.messages import (
    CHUNK,
    CHUNK_TYPE,
    JOB,
    JOB_TYPE,
    SPECVERSION,
    ChunkData,
    ChunkEvent,
    JobData,
    JobEvent,
    source_of,
)
from predictq.names import Names

__all__ = ["chunk_message", "job_message"]


def job_message(names: Names, data: JobData) -> Message:
    """All of one job goes to one partition, in order."""
    job_id = data["job_id"]
    event: JobEvent = {
        "specversion": SPECVERSION,
        "id": job_id if data["state"] == "accepted" else derived_id(job_id, data["state"]),
        "source": source_of(data["endpoint"]),
        "type": JOB_TYPE,
        "time": wire_time(time.time()),
        "partitionkey": job_id,
        "data": data,
    }
    return Message(names.jobs(data["endpoint"]), JOB.encode(event), job_id.encode())


def chunk_message(names: Names, data: ChunkData) -> Message:
    """Chunks of one job go to all partitions, so that several cutters share them."""
    job_id, number = data["job_id"], data["number"]
    key = f"{job_id}/{number}"
    event: ChunkEvent = {
        "specversion": SPECVERSION,
        "id": derived_id(job_id, "chunk", str(number), data["state"]),
        "source": source_of(data["endpoint"]),
        "type": CHUNK_TYPE,
        "time": wire_time(time.time()),
        "partitionkey": key,
        "data": data,
    }
    return Message(names.jobs(data["endpoint"]), CHUNK.encode(event), key.encode())
