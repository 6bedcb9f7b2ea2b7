"""Dead letters as operators see them, without their bodies until one is opened."""

from codecs import getincrementaldecoder
from typing import Any

from pydantic_core import from_json
from sqlalchemy import Connection, LargeBinary, Row, bindparam, func, select
from typing_extensions import TypedDict

from predictq.errors import UserMistake
from predictq.names import Names
from predictq_sync.database import Database
from predictq_sync.operation.newest import newest
from predictq_sync.redriving import deployment_of
from predictq_sync.tables import dead_letters
from predictq_sync.webhooks.named import could_be_id

__all__ = ["LetterBody", "LetterDetail", "LetterPage", "LetterReader", "Origin"]

STATES = ("open", "redriven")
SHOWN_BYTES = 64 * 1024
MOST_OF_A_REQUEST = 100


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

    def page(self, *, endpoint: str | None, state: str | None, cursor: str | None, limit: int) -> LetterPage:
        """Some of them, the latest first. Raises UserMistake for a state or cursor that is none."""
        if state is not None and state not in STATES:
            raise UserMistake(f"state {state[:40]!r} is none of a dead letter; {', '.join(STATES)} are")
        wanted = {dead_letters.c.endpoint: endpoint, dead_letters.c.state: state}
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
        return {"dead_letters": [self._body(row) for row in rows], "next": following}

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
        return {**self._body(row), "headers": from_json(row.headers), "value": shown, "truncated": truncated}

    def of_request(self, connection: Connection, request_id: str) -> list[LetterBody]:
        """The latest of what died of a request."""
        return [self._body(row) for row in connection.execute(_OF_REQUEST, {"request": request_id})]

    def _body(self, row: Row[*tuple[Any, ...]]) -> LetterBody:
        return {
            "id": row.id,
            "endpoint": row.endpoint,
            "group": row.group_name,
            "deployment": deployment_of(row.group_name, row.endpoint, self._names),
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
            "bytes": row.bytes,
        }


_LEFT_OUT = {"key", "value", "headers", "redriven_at"}
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
