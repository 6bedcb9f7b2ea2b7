"""How a request's status follows from its predictions."""

from collections.abc import Sequence

from sqlalchemy import Connection, bindparam, case, func, select, update

from predictq_sync.statements import elements_of, json_ids
from predictq_sync.tables import predictions, requests

__all__ = ["roll_up"]


def roll_up(connection: Connection, ids: Sequence[str], now: str) -> Sequence[str]:
    """Settle the status of those requests that have all the answers they are owed; the ids whose status changed.

    To be called in the transaction that wrote their rows in `requests`, after it wrote predictions: whoever holds those
    rows sees every prediction of theirs that was committed before, so that one of two commits, and only one, completes
    a request. Stubs owe nothing yet and are left to the ledger.
    """
    if not ids:
        return []
    return connection.execute(_ROLL_UP, {"ids": json_ids(ids), "now": now}).scalars().all()


_same = func.min(predictions.c.status) == func.max(predictions.c.status)
_tally = (
    select(
        predictions.c.request_id,
        func.count().label("answered"),
        case((_same, func.min(predictions.c.status)), else_="partial").label("status"),
    )
    .join(requests, requests.c.id == predictions.c.request_id)
    .where(
        predictions.c.request_id.in_(elements_of(bindparam("ids"))),
        predictions.c.visible,
        predictions.c.deployment.in_(elements_of(requests.c.deployments)),
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
    .returning(requests.c.id)
)
