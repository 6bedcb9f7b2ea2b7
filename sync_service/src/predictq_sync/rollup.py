"""How a request's status follows from its predictions."""

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import Connection, bindparam, case, func, select, update

from predictq_sync.arrays import array_literal
from predictq_sync.statements import among, json_ids
from predictq_sync.tables import predictions, requests

__all__ = ["NOTHING_FINISHED", "Finished", "roll_up"]


class Finished(NamedTuple):
    """Requests whose status changed."""

    ids: Sequence[str]
    called_back: bool
    """Whether one of them has a callback."""


NOTHING_FINISHED = Finished((), False)


def roll_up(connection: Connection, ids: Sequence[str], now: str) -> Finished:
    """Settle the status of those requests that have all the answers they are owed.

    To be called in the transaction that wrote their rows in `requests`, after it wrote predictions: whoever holds those
    rows sees every prediction of theirs that was committed before, so that one of two commits, and only one, completes
    a request. Stubs owe nothing yet and are left to the ledger.
    """
    if not ids:
        return NOTHING_FINISHED
    if connection.dialect.name == "postgresql":
        found = connection.exec_driver_sql(_ON_POSTGRESQL, (array_literal(ids), now)).all()
    else:
        found = connection.execute(_ROLL_UP, {"ids": json_ids(ids), "now": now}).all()
    return Finished([row[0] for row in found], any(row[1] for row in found))


_same = func.min(predictions.c.status) == func.max(predictions.c.status)
_tally = (
    select(
        predictions.c.request_id,
        func.count().label("answered"),
        case((_same, func.min(predictions.c.status)), else_="partial").label("status"),
    )
    .join(requests, requests.c.id == predictions.c.request_id)
    .where(
        among(predictions.c.request_id, bindparam("ids")),
        predictions.c.visible,
        among(predictions.c.deployment, requests.c.deployments),
    )
    .group_by(predictions.c.request_id)
    .subquery("tally")
)
_ROLL_UP = (
    update(requests)
    .where(
        requests.c.id == _tally.c.request_id,
        requests.c.owed == _tally.c.answered,
        requests.c.status != _tally.c.status,
    )
    .values(status=_tally.c.status, completed_at=bindparam("now"))
    .returning(requests.c.id, requests.c.callback.is_not(None))
)

# PostgreSQL chooses by its statistics which side of a join it reads first, and with those of a table that has just been
# filled it has read all of `requests` for each id. Here nothing is left to choose: what is LATERAL is looked up id by
# id, and so is the row of an upsert; the rows are there, so that none is ever inserted.
_ON_POSTGRESQL = """
INSERT INTO requests AS known (id, endpoint, owed, status, instances_hash, created_at)
SELECT touched.id, '', tally.answered, tally.status, '', ''
FROM unnest(%s::text[]) AS touched (id)
CROSS JOIN LATERAL (
    SELECT count(*) AS answered,
        CASE WHEN min(answer.status) = max(answer.status) THEN min(answer.status) ELSE 'partial' END AS status
    FROM requests AS asked JOIN predictions AS answer ON answer.request_id = asked.id
    WHERE asked.id = touched.id AND answer.visible AND asked.deployments::jsonb ? answer.deployment
) AS tally
WHERE tally.answered > 0
ON CONFLICT (id) DO UPDATE SET status = excluded.status, completed_at = %s
WHERE known.owed = excluded.owed AND known.status <> excluded.status
RETURNING known.id, known.callback IS NOT NULL
"""
