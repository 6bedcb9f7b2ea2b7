"""Which instances an id stands for: fixed by whatever was committed first under it, request or prediction."""

from collections.abc import Sequence

from sqlalchemy import Connection, bindparam, exists, select

from predictq_sync.statements import among, json_ids
from predictq_sync.tables import requests

__all__ = ["Body", "any_known", "bodies_of"]

Body = tuple[str, str]
"""Endpoint, and hash of the instances."""


def bodies_of(connection: Connection, ids: Sequence[str]) -> dict[str, Body]:
    """The bodies of those ids that have a row."""
    found = connection.execute(_BODIES, {"ids": json_ids(ids)})
    return {identifier: (endpoint, instances_hash) for identifier, endpoint, instances_hash in found.all()}


def any_known(connection: Connection, ids: Sequence[str]) -> bool:
    """Whether one of the ids has a row."""
    return connection.execute(_ANY, {"ids": json_ids(ids)}).scalar_one()


_BODIES = select(requests.c.id, requests.c.endpoint, requests.c.instances_hash).where(
    among(requests.c.id, bindparam("ids"))
)
_ANY = select(exists().where(among(requests.c.id, bindparam("ids"))))
