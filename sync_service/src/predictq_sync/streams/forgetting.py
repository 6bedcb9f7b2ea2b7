"""Retention of the order of completions."""

from sqlalchemy import BindParameter, Connection, and_, bindparam, delete, func, select, tuple_, update

from predictq_sync.tables import completions

__all__ = ["forget_completions", "old_completions"]


def forget_completions(connection: Connection, before: str, most: int) -> int:
    """Delete at most `most` rows of what was completed before that time; how many went.

    Of each endpoint the last of them stays, without its ids: a stream that was to begin before it is told so.
    """
    gone = 0
    for endpoint in _endpoints(connection):
        gone += _forget(connection, endpoint, before, most - gone)
        if gone == most:
            break
    return gone


def old_completions(connection: Connection, before: str) -> int:
    """How many rows are that old."""
    return connection.execute(_OLD, {"before": before}).scalar_one()


def _forget(connection: Connection, endpoint: str, before: str, most: int) -> int:
    # One more, for the first may be what was left the last time.
    rows = connection.execute(_FIRST, {"endpoint": endpoint, "rows": most + 1}).all()
    last, gone = None, 0
    for row in rows:
        if row.completed_at >= before or gone == most:
            break
        last = row
        gone += row.full
    if last is None or not gone:
        return 0
    place = {"endpoint": endpoint, "until_transaction": last.transaction_id, "until": last.number}
    connection.execute(_DELETE, place)
    connection.execute(_EMPTY, {"until": last.number})
    return gone


def _endpoints(connection: Connection) -> list[str]:
    """By one probe of the index each."""
    found: list[str] = []
    while (following := connection.execute(_NEXT, {"last": found[-1] if found else ""}).scalar()) is not None:
        found.append(following)
    return found


_UNTIL: BindParameter[int] = bindparam("until")
_place = tuple_(completions.c.transaction_id, completions.c.number)
_NEXT = select(func.min(completions.c.endpoint)).where(completions.c.endpoint > bindparam("last"))
_FIRST = (
    select(
        completions.c.transaction_id,
        completions.c.number,
        completions.c.completed_at,
        completions.c.ids.is_not(None).label("full"),
    )
    .where(completions.c.endpoint == bindparam("endpoint"))
    .order_by(completions.c.transaction_id, completions.c.number)
    .limit(bindparam("rows"))
)
_DELETE = delete(completions).where(
    and_(completions.c.endpoint == bindparam("endpoint"), _place < tuple_(bindparam("until_transaction"), _UNTIL))
)
_EMPTY = update(completions).where(completions.c.number == _UNTIL).values(ids=None)
_OLD = (
    select(func.count())
    .select_from(completions)
    .where(completions.c.completed_at < bindparam("before"), completions.c.ids.is_not(None))
)
