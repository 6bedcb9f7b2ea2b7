"""Dead letters as operators see them, without their bodies until one is opened."""

from codecs import getincrementaldecoder
from collections.abc import Iterator
from typing import Any

from pydantic_core import from_json
from sqlalchemy import Connection, LargeBinary, Row, bindparam, func, select
from typing_extensions import TypedDict

from predictq.errors import UserMistake
from predictq.names import Names
from predictq_sync.database import Database
from predictq_sync.operation.newest import newest
from predictq_sync.redriving import DeadLetter, deployment_of
from predictq_sync.tables import dead_letters
from predictq_sync.webhooks.named import could_be_id

__all__ = ["LetterBody", "LetterDetail", "LetterPage", "LetterReader", "Origin", "letter_body"]

STATES = ("open", "redriven")
SHOWN_BYTES = 64 * 1024
MOST_OF_A_REQUEST = 100
MOST_AT_ONCE = 500


class Origin(TypedDict):
    """Where a message stood."""

    topic: str
    partition: int
    position: str


class LetterBody(TypedDict):
    """A dead letter."""

    id: str
    endpoint: str
    group: str
    """Who gave it up."""
    deployment: str | None
    """Whose group that is; null where it is none of a deployment's workers."""
    reason: str
    attempts: int
    """How often the model was tried."""
    redeliveries: int
    redrive: int
    """How often it had been sent again before."""
    origin: Origin
    request_id: str | None
    """Null where the message is no request, or cannot be read."""
    published_at: str
    dead_at: str
    state: str
    redriven_at: str | None
    bytes: int
    """Of its body."""


class LetterDetail(LetterBody):
    """A dead letter with what it holds."""

    headers: dict[str, str]
    value: str
    """Its first 64 KiB as UTF-8, with U+FFFD for what is none."""
    truncated: bool
    """Whether there is more."""


class LetterPage(TypedDict):
    """Dead letters, the latest first."""

    dead_letters: list[LetterBody]
    next: str | None
    """Cursor of the next page, which may be there although this one is short, or empty; null where there is none."""


class LetterReader:
    """Reads dead letters. Blocks; may be used by any thread."""

    def __init__(self, database: Database, names: Names) -> None:
        self._database = database
        self._names = names

    def page(
        self,
        *,
        endpoint: str | None = None,
        group: str | None = None,
        state: str | None = None,
        cursor: str | None = None,
        limit: int,
    ) -> LetterPage:
        """Some of them, the latest first. Raises UserMistake for a state or cursor that is none."""
        if state is not None and state not in STATES:
            raise UserMistake(f"state {state[:40]!r} is none of a dead letter; {', '.join(STATES)} are")
        wanted = {dead_letters.c.endpoint: endpoint, dead_letters.c.group_name: group, dead_letters.c.state: state}
        conditions = [column == value for column, value in wanted.items() if value is not None]
        with self._database.read() as connection:
            rows, following = newest(
                connection,
                [_ALL],
                at=dead_letters.c.dead_at,
                row_id=dead_letters.c.id,
                conditions=conditions,
                cursor=cursor,
                limit=limit,
            )
        return {"dead_letters": [letter_body(row, row.bytes, self._names) for row in rows], "next": following}

    def latest(self, *, endpoint: str | None, group: str | None, limit: int) -> Iterator[LetterBody]:
        """The latest `limit` of them, however far back they are."""
        cursor = None
        while limit:
            page = self.page(endpoint=endpoint, group=group, cursor=cursor, limit=min(limit, MOST_AT_ONCE))
            yield from page["dead_letters"]
            limit, cursor = limit - len(page["dead_letters"]), page["next"]
            if cursor is None:
                return

    def one(self, letter_id: str) -> LetterDetail | None:
        """One with its body; None where there is none of that id."""
        if not could_be_id(letter_id):
            return None
        with self._database.read() as connection:
            row = connection.execute(_ONE, {"letter": letter_id}).one_or_none()
        if row is None:
            return None
        truncated = row.bytes > SHOWN_BYTES
        # A character that the end cuts in two is left out.
        shown = getincrementaldecoder("utf-8")("replace").decode(row.value or b"", final=not truncated)
        body = letter_body(row, row.bytes, self._names)
        return {**body, "headers": from_json(row.headers), "value": shown, "truncated": truncated}

    def of_request(self, connection: Connection, request_id: str) -> list[LetterBody]:
        """The latest of what died of a request."""
        rows = connection.execute(_OF_REQUEST, {"request": request_id})
        return [letter_body(row, row.bytes, self._names) for row in rows]


def letter_body(row: DeadLetter | Row[*tuple[Any, ...]], size: int, names: Names) -> LetterBody:
    """A row of the table, or most of one, as it is told."""
    return {
        "id": row.id,
        "endpoint": row.endpoint,
        "group": row.group_name,
        "deployment": deployment_of(row.group_name, row.endpoint, names),
        "reason": row.reason,
        "attempts": row.attempts,
        "redeliveries": row.redeliveries,
        "redrive": row.redrive,
        "origin": {
            "topic": row.origin_topic,
            "partition": row.origin_partition,
            "position": row.origin_position,
        },
        "request_id": row.request_id,
        "published_at": row.published_at,
        "dead_at": row.dead_at,
        "state": row.state,
        "redriven_at": row.redriven_at,
        "bytes": size,
    }


_LEFT_OUT = {"key", "value", "headers"}
_ALL = select(
    *(column for column in dead_letters.columns if column.name not in _LEFT_OUT),
    func.length(dead_letters.c.value).label("bytes"),
)
_ONE = _ALL.add_columns(
    dead_letters.c.headers,
    func.substr(dead_letters.c.value, 1, SHOWN_BYTES, type_=LargeBinary).label("value"),
).where(dead_letters.c.id == bindparam("letter"))
_OF_REQUEST = (
    _ALL.where(dead_letters.c.request_id == bindparam("request"))
    .order_by(dead_letters.c.dead_at.desc(), dead_letters.c.id.desc())
    .limit(MOST_OF_A_REQUEST)
)
