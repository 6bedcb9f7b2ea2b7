"""What stands beside a committed offset: who had records in hand, so that a crash is noticed and counted.

Kafka does not count how often it hands a record out. So the end of what is handed out is written down before it is; an
heir that finds such a mark knows that a member ended with these records in its hands.
"""

from typing import NamedTuple

from predictq.brokers.kafka.driver import Committed

__all__ = ["Note", "committed_of", "note_of", "taken_over"]

_MOST_CHARACTERS = 100


class Note(NamedTuple):
    """All three are offsets or counts of one partition."""

    handed: int
    """Below this, records may be in somebody's hands."""
    suspect: int
    """Below this, records were in the hands of a member that ended, `redeliveries` times at most."""
    redeliveries: int


def committed_of(offset: int, note: Note) -> Committed:
    """With the note as text, which is empty as long as there is nothing to say."""
    handed, suspect = max(note.handed - offset, 0), max(note.suspect - offset, 0)
    if not handed and not suspect:
        return Committed(offset, "")
    return Committed(offset, f"handed={handed} suspect={suspect} redeliveries={note.redeliveries if suspect else 0}")


def note_of(committed: Committed) -> Note:
    """What is no note of ours says nothing."""
    offset, text = committed
    values: dict[str, int] = {}
    for part in text[:_MOST_CHARACTERS].split():
        name, _, value = part.partition("=")
        if value.isdecimal():
            values[name] = int(value)
    return Note(offset + values.get("handed", 0), offset + values.get("suspect", 0), values.get("redeliveries", 0))


def taken_over(offset: int, note: Note) -> Note:
    """The note of an heir: what was in hand has come once more."""
    if note.handed <= offset:
        return note
    redeliveries = note.redeliveries + 1 if note.suspect > offset else 1
    # What an earlier member had in hand and this one had not come to yet counts one too many, rather than none.
    return Note(offset, max(note.handed, note.suspect), redeliveries)
