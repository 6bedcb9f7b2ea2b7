"""`predictq dead-letters`: list, show, redrive, purge."""

import base64
import sys
import time
from collections.abc import Sequence
from contextlib import closing

import typer

from predictq.brokers import open_broker
from predictq.cli.output import emit_json, emit_table, say
from predictq.errors import UserMistake
from predictq.names import Names
from predictq.settings import Settings
from predictq_sync.database import opened
from predictq_sync.operation.letters import LetterReader, letter_body
from predictq_sync.redriving import DeadLetter, Filter, count, find, load, purge, redrive

__all__ = ["list_letters", "purge_letters", "redrive_letters", "show_letter"]

SHOWN_BYTES = 64 * 1024


def list_letters(settings: Settings, *, endpoint: str | None, group: str | None, limit: int, as_json: bool) -> None:
    """The latest ones that the filters leave."""
    with opened(settings.database_url()) as database:
        reader = LetterReader(database, Names(settings.prefix))
        letters = list(reader.latest(endpoint=endpoint, group=group, limit=limit))
    if as_json:
        emit_json(letters)
        return
    rows = [
        (each["id"], each["dead_at"], each["endpoint"], each["group"], each["state"], _line(each["reason"]))
        for each in letters
    ]
    emit_table(("id", "dead at", "endpoint", "group", "state", "reason"), rows)


def show_letter(settings: Settings, dead_letter_id: str, *, as_json: bool) -> None:
    """Everything about one."""
    with opened(settings.database_url()) as database:
        letter = load(database, dead_letter_id)
    if letter is None:
        raise UserMistake(f"{dead_letter_id}: there is no such dead letter")
    body = letter_body(letter, len(letter.value), Names(settings.prefix))
    whole = {**body, "headers": dict(letter.headers), **_content(letter)}
    if as_json:
        emit_json(whole)
        return
    origin = "{topic}[{partition}]@{position}".format(**body["origin"])
    for name, value in {**whole, "origin": origin}.items():
        sys.stdout.write(f"{name}: {_safe(str(value)) if value is not None else ''}\n")


def redrive_letters(
    settings: Settings,
    ids: Sequence[str] | None,
    *,
    every: bool,
    endpoint: str | None,
    group: str | None,
    limit: int,
    as_json: bool,
) -> None:
    """Send them again, oldest first; exit code 1 when some could not be sent, though the others were."""
    wanted = _wanted(ids, every=every, endpoint=endpoint, group=group)
    with opened(settings.database_url()) as database:
        if not ids:
            wanted = wanted._replace(state="open")
        letters = find(database, wanted, limit=limit)[::-1]
        _refuse_unknown(ids, letters)
        _refuse_redriven(letters)
        with closing(open_broker(settings.broker_url())) as broker:
            with closing(broker.admin()) as admin:
                topics = admin.topics(settings.prefix)
            with closing(broker.producer()) as producer:
                redriven = redrive(database, producer, Names(settings.prefix), letters, topics, time.time())
    if as_json:
        emit_json([{"id": letter.id, "topic": message.topic} for letter, message in redriven.sent])
    else:
        say(f"{len(redriven.sent)} dead letter(s) sent again")
    for letter, topic in redriven.undeliverable:
        say(
            f"{letter.id} was not sent: there is no topic {topic} any more; put back what the settings had of "
            f"{letter.group_name}, or purge it"
        )
    if redriven.undeliverable:
        raise typer.Exit(1)


def purge_letters(
    settings: Settings,
    ids: Sequence[str] | None,
    *,
    every: bool,
    endpoint: str | None,
    group: str | None,
    yes: bool,
    as_json: bool,
) -> None:
    """Delete them, once the user has agreed."""
    wanted = _wanted(ids, every=every, endpoint=endpoint, group=group)
    with opened(settings.database_url()) as database:
        found = count(database, wanted)
        if found and not yes:
            if not sys.stdin.isatty():
                raise UserMistake(f"purge deletes {found} dead letter(s) for good; --yes would be right here")
            typer.confirm(f"Delete {found} dead letter(s) for good?", abort=True, err=True)
        purged = purge(database, wanted) if found else 0
    if as_json:
        emit_json({"purged": purged})
    else:
        say(f"{purged} dead letter(s) deleted")


def _wanted(ids: Sequence[str] | None, *, every: bool, endpoint: str | None, group: str | None) -> Filter:
    if bool(ids) == every:
        raise UserMistake("say which: either ids, or --all, which --endpoint and --group narrow down")
    return Filter(ids=ids or None, endpoint=endpoint, group=group)


def _refuse_unknown(ids: Sequence[str] | None, letters: Sequence[DeadLetter]) -> None:
    unknown = set(ids or ()) - {letter.id for letter in letters}
    if unknown:
        raise UserMistake(f"{', '.join(sorted(unknown))}: there is no such dead letter; nothing was sent")


def _refuse_redriven(letters: Sequence[DeadLetter]) -> None:
    """A letter goes out once: what was sent again and failed again has left a letter of its own, with a higher redrive.

    Sent a second time the old one would carry the same redrive, and its answer would be dropped.
    """
    redriven = [letter.id for letter in letters if letter.state == "redriven"]
    if redriven:
        raise UserMistake(
            f"{', '.join(redriven)}: sent again already; if it died again, the newer dead letter that `predictq "
            "dead-letters list` shows as open is the one to redrive. Nothing was sent"
        )


def _content(letter: DeadLetter) -> dict[str, str | None]:
    """Key and body, as text where they are UTF-8, else in base64."""
    key = None if letter.key is None else letter.key.decode("utf-8", "backslashreplace")
    try:
        return {"key": key, "value": letter.value.decode()}
    except UnicodeDecodeError:
        return {"key": key, "value_base64": base64.b64encode(letter.value).decode()}


def _safe(text: str) -> str:
    """Text that does to a terminal nothing but be read: control characters are escaped, and an end is made."""
    shown = text[:SHOWN_BYTES]
    escaped = "".join(c if c.isprintable() or c == "\n" else repr(c)[1:-1] for c in shown)
    return escaped if len(shown) == len(text) else f"{escaped} … ({len(text)} characters; --json has them all)"


def _line(reason: str) -> str:
    return _safe(reason.partition("\n")[0][:200])
