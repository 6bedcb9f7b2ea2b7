"""`predictq topics`: create what the settings ask for, see what is there and how far each group is behind."""

import sys
import time
from collections.abc import Callable, Container, Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated

import typer
from rich.live import Live

from predictq.asyncapi import asyncapi_document
from predictq.brokers.opening import open_broker
from predictq.brokers.port import Admin, Change
from predictq.cli.output import Json, draw_table, emit_json, emit_table, say
from predictq.cli.pruning import prune_topics
from predictq.settings import Settings, load_settings
from predictq.topology import Topology, topology_of

__all__ = ["ensure_topics", "register"]

WATCH_SECONDS = 1.0
LAG_COLUMNS = ("group", "topic", "ready", "in flight", "oldest age (s)", "members")

DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")]
Prune = Annotated[bool, typer.Option("--prune", help="Delete topics and groups that the settings no longer ask for.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before deleting.")]
Watch = Annotated[bool, typer.Option("--watch", "-w", help="Again every second, until Ctrl-C.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    topics = typer.Typer(no_args_is_help=True, help="Topics and groups on the broker.")
    topics.command("ensure")(ensure)
    topics.command("list")(list_topics)
    topics.command("lag")(lag)
    topics.command("asyncapi")(asyncapi)
    app.add_typer(topics, name="topics")


def ensure_topics(settings: Settings) -> Sequence[Change]:
    """Create what is missing on the broker of these settings."""
    with _admin(settings) as admin:
        return admin.ensure(topology_of(settings))


def ensure(dry_run: DryRun = False, prune: Prune = False, yes: Yes = False, json: Json = False) -> None:
    """Create the topics and groups that the settings ask for. May be run again at any time."""
    settings = load_settings()
    with _admin(settings) as admin:
        if prune and not dry_run:
            changes = prune_topics(settings, admin, yes=yes)
        else:
            changes = admin.ensure(topology_of(settings), dry_run=dry_run, prune=prune)
    if json:
        emit_json([{"action": change.action, "what": change.what} for change in changes])
    elif changes:
        emit_table(("action", "what"), [(change.action, change.what) for change in changes])
    else:
        say("nothing to do: every topic and group is there")


def list_topics(json: Json = False) -> None:
    """Topics that exist on the broker, and those that the settings ask for."""
    settings = load_settings()
    wanted = {topic.name: topic.partitions for topic in topology_of(settings).topics}
    with _admin(settings) as admin:
        there = admin.topics(settings.prefix)
    rows = [
        (name, there.get(name, wanted.get(name)), _state(name, there, wanted)) for name in sorted({*there, *wanted})
    ]
    if json:
        emit_json([{"topic": topic, "partitions": partitions, "state": state} for topic, partitions, state in rows])
    else:
        emit_table(("topic", "partitions", "state"), rows)


def lag(json: Json = False, watch: Watch = False) -> None:
    """How far each group is behind on each of its topics."""
    settings = load_settings()
    topology = topology_of(settings)
    with _admin(settings) as admin:
        if not watch:
            _emit_lag(_lag_rows(admin, topology), json=json)
        elif json or not sys.stdout.isatty():
            _repeat(lambda: _emit_lag(_lag_rows(admin, topology), json=json))
        else:
            with Live(auto_refresh=False) as live:
                _repeat(lambda: live.update(draw_table(LAG_COLUMNS, _lag_rows(admin, topology)), refresh=True))


def asyncapi() -> None:
    """The AsyncAPI document of the topics that the settings ask for, and of the messages on them."""
    emit_json(asyncapi_document(load_settings()))


@contextmanager
def _admin(settings: Settings) -> Iterator[Admin]:
    broker = open_broker(settings.broker_url())
    admin = broker.admin()
    try:
        yield admin
    finally:
        admin.close()
        broker.close()


def _state(name: str, there: Container[str], wanted: Container[str]) -> str:
    if name not in there:
        return "missing"
    return "in use" if name in wanted else "not in the settings"


def _lag_rows(admin: Admin, topology: Topology) -> list[tuple[str, str, int, int | None, float | None, int | None]]:
    now = time.time()
    rows = []
    for group in topology.groups:
        for topic, found in zip(group.topics, admin.lags(group.topics, group.name), strict=True):
            oldest = found.oldest_published_at
            age = None if oldest is None else round(max(0.0, now - oldest), 1)
            rows.append((group.name, topic, found.ready, found.in_flight, age, found.members))
    return rows


def _emit_lag(rows: Sequence[Sequence[object]], *, json: bool) -> None:
    if json:
        keys = ("group", "topic", "ready", "in_flight", "oldest_age_seconds", "members")
        emit_json([dict(zip(keys, row, strict=True)) for row in rows])
    else:
        emit_table(LAG_COLUMNS, rows)


def _repeat(step: Callable[[], None]) -> None:
    try:
        while True:
            step()
            sys.stdout.flush()
            time.sleep(WATCH_SECONDS)
    except KeyboardInterrupt:
        return
