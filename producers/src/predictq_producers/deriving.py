"""Ids that come out the same again: each way in has a space of its own, so that none can take the id of another."""

from predictq.ids import derived_id

__all__ = ["event_id", "keyed_id", "record_id"]

NO_CALLER = ""
"""Who sent a key; one for all until there is authentication."""


def keyed_id(endpoint: str, key: str) -> str:
    """Of a submit by HTTP under an `Idempotency-Key`."""
    return derived_id(endpoint, "http", NO_CALLER, key)


def event_id(endpoint: str, source: str, own_id: str) -> str:
    """Of an intake message that names itself; `source` is empty where it does not say where it is from."""
    return derived_id(endpoint, "intake", source, own_id)


def record_id(endpoint: str, topic: str, partition: int, position: str) -> str:
    """Of an intake message that does not: its place, which is the same however often it is delivered."""
    return derived_id(endpoint, "intake-record", topic, str(partition), position)
