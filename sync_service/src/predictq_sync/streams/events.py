"""What streams tell, whichever way it is sent: pieces of events.

A piece is text of Server-Sent Events (https://html.spec.whatwg.org/multipage/server-sent-events.html), made once for
all who read it; for any other way the events are found in it again.
"""

from collections.abc import Iterator, Mapping, Sequence
from http import HTTPStatus
from typing import Any, NamedTuple

from pydantic_core import to_json

__all__ = ["ERROR", "HEARTBEAT", "Event", "Piece", "Told", "begin", "event", "piece", "problem_event"]

ERROR = "error"
"""Name of the event whose data is a problem (RFC 9457). With a cursor the stream goes on from there."""


Told = tuple[str, str | None, bytes]
"""Name, cursor and data of an event that is in no piece yet: a plain tuple, for there are very many of them."""


class Event(NamedTuple):
    """Something that was told."""

    name: str
    cursor: str | None
    """A client that was cut off behind the event comes back with it."""
    data: memoryview
    """JSON."""


class Piece(NamedTuple):
    """Some events, one behind the other."""

    sse: bytes
    places: Sequence[tuple[str, str | None, int, int]] = ()
    """Of each event in the text: name, cursor, where its data begin and end."""

    def events(self) -> Iterator[Event]:
        """Each of them; their data are views of the text, so that nothing is held twice."""
        view = memoryview(self.sse)
        for name, cursor, start, end in self.places:
            yield Event(name, cursor, view[start:end])


HEARTBEAT = Piece(b":\n")
"""A comment. No empty line behind it, which some clients take for an event once they have seen an id."""


def begin(cursor: object) -> Piece:
    """Where a stream begins: so that a client that is cut off before the first event comes back to here."""
    return Piece(b"id: %s\n\n" % str(cursor).encode())


def event(name: str, cursor: object, body: Mapping[str, Any]) -> Told:
    """One event."""
    return name, str(cursor), to_json(body)


def problem_event(status: int, detail: str, cursor: object = None) -> Told:
    """An event that tells what went wrong."""
    body = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "detail": detail}
    return ERROR, None if cursor is None else str(cursor), to_json(body)


def piece(*told: Told) -> Piece:
    """These events."""
    texts: list[bytes] = []
    places: list[tuple[str, str | None, int, int]] = []
    behind = 0
    for name, cursor, data in told:
        if cursor is None:
            text = b"event: %s\ndata: %s\n\n" % (name.encode(), data)
        else:
            text = b"id: %s\nevent: %s\ndata: %s\n\n" % (cursor.encode(), name.encode(), data)
        texts.append(text)
        behind += len(text)
        places.append((name, cursor, behind - 2 - len(data), behind - 2))
    return Piece(b"".join(texts), places)
