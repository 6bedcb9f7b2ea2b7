"""Taking deliveries that are due, and writing down what became of them: a batch a statement.

Any number of processes may do so. Whoever takes a delivery moves the time at which it is due to when it is given up:
so what a killed process had in hand comes again by itself.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple
from uuid import uuid4

from pydantic_core import from_json, to_json
from sqlalchemy import bindparam, case, literal_column, not_, select, text, update

from predictq.clock import wire_time
from predictq_sync.arrays import array_literal
from predictq_sync.database import Database
from predictq_sync.statements import among, json_ids
from predictq_sync.tables import deliveries, webhooks
from predictq_sync.webhooks.places import BATCHED

__all__ = ["Claimed", "Deliveries", "Said"]

PLACES = 500
"""In one look; more of them have their turn when these are busy."""


class Claimed(NamedTuple):
    """A delivery in hand."""

    id: str
    webhook_id: str | None
    url: str
    place: str
    event: str
    subject: str
    attempts: int
    history: list[dict[str, Any]]
    created_at: str
    claim: str


class Said(NamedTuple):
    """What becomes of a delivery; times are RFC 3339."""

    id: str
    claim: str
    state: str
    attempts: int
    history: list[dict[str, Any]]
    due_at: str
    finished_at: str | None


class Deliveries:
    """The rows of `deliveries`, for dispatchers. Blocks; every method is one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._claim = text(_CLAIMS[database.dialect])
        self._said = text(_SAID[database.dialect])

    def due_places(self, now: float, *, full: Sequence[str], gather_seconds: float) -> Sequence[str]:
        """Places to which something is due, those aside that are `full`; where several events go in one push, if the
        first of them has waited for `gather_seconds`.
        """
        wanted = {
            "now": wire_time(now),
            "gathered": wire_time(now - gather_seconds),
            "full": json_ids(full),
            "most": PLACES,
        }
        with self._database.read() as connection:
            return connection.execute(_PLACES, wanted).scalars().all()

    def claim(self, rooms: Mapping[str, int], now: float, *, seconds: float) -> Sequence[Claimed]:
        """Take, for so many seconds, what is due to these places: at most so many of each."""
        claim = uuid4().hex
        taken: list[Claimed] = []
        with self._database.write() as connection:
            for place, room in rooms.items():
                wanted = {
                    "place": place,
                    "most": room,
                    "now": wire_time(now),
                    "mine": claim,
                    "until": wire_time(now + seconds),
                }
                found = connection.execute(self._claim, wanted).all()
                taken += [
                    Claimed(*row)._replace(history=from_json(row.history))
                    for row in sorted(found, key=lambda row: (row.created_at, row.id))
                ]
        return taken

    def write(self, said: Sequence[Said]) -> None:
        """Write down what became of some. One that another process has taken over stays, unless it was delivered."""
        marks = to_json([each._asdict() for each in said]).decode()
        with self._database.write() as connection:
            ids = {"ids": array_literal([each.id for each in said])} if self._database.dialect == "postgresql" else {}
            connection.execute(self._said, {"said": marks, **ids})

    def disable(self, webhook_ids: Sequence[str], reason: str) -> None:
        """Push to these webhooks no more."""
        with self._database.write() as connection:
            connection.execute(_DISABLE, {"ids": json_ids(webhook_ids), "why": reason})


# A word, not a parameter: neither database would take its index of the pending ones otherwise.
_IS_PENDING = deliveries.c.state == literal_column("'pending'")
_first = (
    select(literal_column("min(place)").label("place"))
    .select_from(deliveries)
    .where(_IS_PENDING)
    .cte("places", recursive=True)
)
_following = (
    select(literal_column("min(following.place)"))
    .select_from(following := deliveries.alias("following"))
    .where(following.c.state == literal_column("'pending'"), following.c.place > _first.c.place)
    .correlate(_first)
    .scalar_subquery()
)
_places = _first.union_all(select(_following).where(_first.c.place.is_not(None)))
_waiting = deliveries.alias("waiting")
_PLACES = (
    select(_places.c.place)
    .where(
        _places.c.place.is_not(None),
        not_(among(_places.c.place, bindparam("full"))),
        # Not `EXISTS`, which PostgreSQL may turn into a join with all that is due.
        select(literal_column("min(waiting.due_at)"))
        .select_from(_waiting)
        .where(_waiting.c.state == literal_column("'pending'"), _waiting.c.place == _places.c.place)
        .scalar_subquery()
        <= case((_places.c.place.contains(BATCHED), bindparam("gathered")), else_=bindparam("now")),
    )
    .limit(bindparam("most"))
)
_DISABLE = (
    update(webhooks).where(among(webhooks.c.id, bindparam("ids"))).values(state="disabled", reason=bindparam("why"))
)
# On PostgreSQL rows are looked up by arrays of ids: a join would be planned by statistics that are often old.
_CLAIM = """
UPDATE deliveries SET claim = :mine, due_at = :until WHERE id {among}
RETURNING id, webhook_id, url, place, event, subject, attempts, CAST(history AS text) AS history, created_at, claim
"""
_DUE = """
    SELECT id FROM deliveries WHERE state = 'pending' AND place = :place AND due_at <= :now ORDER BY due_at LIMIT :most
"""
_CLAIMS = {
    "sqlite": _CLAIM.format(among=f"IN ({_DUE})"),
    "postgresql": _CLAIM.format(among=f"= ANY (ARRAY({_DUE} FOR UPDATE SKIP LOCKED))"),
}
_SET = """
UPDATE deliveries SET state = said.state, attempts = said.attempts, history = said.history, due_at = said.due_at,
    claim = NULL, finished_at = said.finished_at
FROM {said}
WHERE deliveries.id = said.id AND deliveries.state = 'pending'
    AND (deliveries.claim = said.claim OR said.state = 'delivered')
"""
_SAID_ON_SQLITE = """(
    SELECT value ->> '$.id' AS id, value ->> '$.claim' AS claim, value ->> '$.state' AS state,
        value ->> '$.attempts' AS attempts, value -> '$.history' AS history, value ->> '$.due_at' AS due_at,
        value ->> '$.finished_at' AS finished_at
    FROM json_each(:said)
) AS said"""
_SAID_ON_POSTGRESQL = """json_to_recordset(CAST(:said AS json)) AS said (
    id text, claim text, state text, attempts integer, history json, due_at text, finished_at text
)"""
_SAID = {
    "sqlite": _SET.format(said=_SAID_ON_SQLITE),
    "postgresql": _SET.format(said=_SAID_ON_POSTGRESQL) + "    AND deliveries.id = ANY (CAST(:ids AS text[]))\n",
}
