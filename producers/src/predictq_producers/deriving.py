"""Ids that come out the same again: each way in has a space of its own, so that none can take the id of another."""

from predictq.ids import derived_id

__all__ = [
    "event_id",
    "keyed_id",
    "keyed_job_id",
    "object_job_id",
    "queued_job_id",
    "record_id",
    "scheduled_job_id",
    "watched_job_id",
]

NO_CALLER = ""
"""Who sent a key; one for all until there is authentication."""


def keyed_id(endpoint: str, key: str) -> str:
    """Of a submit by HTTP under an `Idempotency-Key`."""
    return derived_id(endpoint, "http", NO_CALLER, key)


def keyed_job_id(endpoint: str, key: str) -> str:
    """Of a job by HTTP under an `Idempotency-Key`."""
    return derived_id(endpoint, "http-job", NO_CALLER, key)


def object_job_id(endpoint: str, rule: str, bucket: str, key: str, version: str) -> str:
    """Of the job that a rule makes of one content of an object."""
    return derived_id(endpoint, "object-job", rule, bucket, key, version)


def queued_job_id(endpoint: str, own_id: str) -> str:
    """Of a job that a job of RQ's starts."""
    return derived_id(endpoint, "rq", own_id)


def scheduled_job_id(endpoint: str, schedule: str, tick: str) -> str:
    """Of the job that a schedule starts for a time, in UTC as the wire has it."""
    return derived_id(endpoint, "schedule", schedule, tick)


def watched_job_id(endpoint: str, path: str, *state: int) -> str:
    """Of a file that was put into a watched folder: where it was put, and what tells it from another one there."""
    return derived_id(endpoint, "watched", path, *map(str, state))


def event_id(endpoint: str, source: str, own_id: str) -> str:
    """Of an intake message that names itself; `source` is empty where it does not say where it is from."""
    return derived_id(endpoint, "intake", source, own_id)


def record_id(endpoint: str, topic: str, partition: int, position: str) -> str:
    """Of an intake message that does not: its place, which is the same however often it is delivered."""
    return derived_id(endpoint, "intake-record", topic, str(partition), position)
