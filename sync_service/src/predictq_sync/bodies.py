"""Which instances an id stands for: fixed by whatever was committed first under it, request or prediction."""

from collections.abc import Sequence

from sqlalchemy import Connection, bindparam, select

from predictq_sync.statements import elements_of, json_ids
from predictq_sync.tables import requests

__all__ = ["Body", "bodies_of"]

Body = tuple[str, str]
"""Endpoint, and hash of the instances."""


def bodies_of(connection: Connection, ids: Sequence[str]) -> dict[str, Body]:
    """The bodies of those ids that have a row."""
    found = connection.execute(_BODIES, {"ids": json_ids(ids)})
    return {identifier: (endpoint, instances_hash) for identifier, endpoint, instances_hash in found.all()}


_BODIES = select(requests.c.id, requests.c.endpoint, requests.c.instances_hash).where(
    requests.c.id.in_(elements_of(bindparam("ids")))
)
