"""`predictq sync`, `db`, `get`, `dead-letters` and `deliveries`."""

from collections.abc import Sequence
from typing import Annotated

import typer

from predictq.cli.output import Json
from predictq.settings import Settings, load_settings
from predictq.supervisor import ProcessSpec

__all__ = ["processes", "register"]

Limit = Annotated[int, typer.Option("--limit", min=1, help="At most so many, the latest ones.")]
OnEndpoint = Annotated[str | None, typer.Option("--endpoint", help="Only those of this endpoint.")]
OfGroup = Annotated[str | None, typer.Option("--group", help="Only those that this group gave up.")]
Ids = Annotated[list[str] | None, typer.Argument(metavar="[ID]...", help="Dead letters by id.")]
All = Annotated[bool, typer.Option("--all", help="All that the filters leave, instead of ids.")]
ToWebhook = Annotated[str | None, typer.Option("--webhook", help="Only those to this webhook.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("sync", help="Run the sync service: ledger, predictions and dead letters into the database.")(_sync)
    app.command("get", help="Print a request and its predictions. Exit code 1 while it is unknown or queued.")(_get)
    db = typer.Typer(no_args_is_help=True, help="The database.")
    db.command("upgrade", help="Create or migrate the tables.")(_upgrade)
    db.command("prune", help="Delete what is older than its retention.")(_prune)
    app.add_typer(db, name="db")
    letters = typer.Typer(no_args_is_help=True, help="Messages that a group will not see again.")
    letters.command("list", help="The latest dead letters.")(_list)
    letters.command("show", help="One dead letter, with its reason, origin, headers and body.")(_show)
    letters.command("redrive", help="Send dead letters again to the group that gave them up.")(_redrive)
    letters.command("purge", help="Delete dead letters.")(_purge)
    app.add_typer(letters, name="dead-letters")
    deliveries = typer.Typer(no_args_is_help=True, help="Pushes, and what came of them.")
    deliveries.command("list", help="The latest deliveries.")(_list_deliveries)
    deliveries.command("replay", help="Deliver again, under the same ids.")(_replay_deliveries)
    app.add_typer(deliveries, name="deliveries")


def processes(settings: Settings) -> Sequence[ProcessSpec]:
    """What `predictq up` runs of this member."""
    return [ProcessSpec("sync", ("sync",))] if settings.endpoints else []


# The database and its drivers are imported by these commands alone: `predictq --help` is to stay fast.
# ruff: noqa: PLC0415


def _sync() -> None:
    from predictq.logs import configure_logging
    from predictq_sync.service import run

    settings = load_settings()
    configure_logging(settings.log, process="sync")
    raise typer.Exit(run(settings))


def _get(
    request_id: Annotated[str, typer.Argument(metavar="ID", help="Of a request, as submitting gave it.")],
    wait: Annotated[float, typer.Option("--wait", min=0, help="Seconds to wait until it is finished.")] = 0.0,
    json: Json = False,
) -> None:
    from predictq_sync.getting import get

    raise typer.Exit(get(load_settings(), request_id, wait_seconds=wait, as_json=json))


def _upgrade(json: Json = False) -> None:
    from predictq_sync.db_commands import run_upgrade

    run_upgrade(load_settings(), as_json=json)


def _prune(
    older_than: Annotated[
        str | None, typer.Option("--older-than", help="Instead of the retention of the settings: 90s, 30m, 12h, 7d.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Count, and delete nothing.")] = False,
    json: Json = False,
) -> None:
    from predictq_sync.db_commands import run_prune

    run_prune(load_settings(), older_than=older_than, dry_run=dry_run, as_json=json)


def _list(endpoint: OnEndpoint = None, group: OfGroup = None, limit: Limit = 100, json: Json = False) -> None:
    from predictq_sync.dead_letter_commands import list_letters

    list_letters(load_settings(), endpoint=endpoint, group=group, limit=limit, as_json=json)


def _show(
    dead_letter_id: Annotated[str, typer.Argument(metavar="ID", help="Of a dead letter, as the list gives it.")],
    json: Json = False,
) -> None:
    from predictq_sync.dead_letter_commands import show_letter

    show_letter(load_settings(), dead_letter_id, as_json=json)


def _redrive(
    ids: Ids = None,
    every: All = False,
    endpoint: OnEndpoint = None,
    group: OfGroup = None,
    limit: Limit = 10_000,
    json: Json = False,
) -> None:
    from predictq_sync.dead_letter_commands import redrive_letters

    redrive_letters(load_settings(), ids, every=every, endpoint=endpoint, group=group, limit=limit, as_json=json)


def _purge(
    ids: Ids = None,
    every: All = False,
    endpoint: OnEndpoint = None,
    group: OfGroup = None,
    yes: Yes = False,
    json: Json = False,
) -> None:
    from predictq_sync.dead_letter_commands import purge_letters

    purge_letters(load_settings(), ids, every=every, endpoint=endpoint, group=group, yes=yes, as_json=json)


def _list_deliveries(
    state: Annotated[
        str | None, typer.Option("--state", help="Only those in this state: pending, delivered or failed.")
    ] = None,
    webhook: ToWebhook = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=10_000, help="At most so many, the latest ones.")] = 100,
    json: Json = False,
) -> None:
    from predictq_sync.webhooks.commands import list_deliveries

    list_deliveries(load_settings(), state=state, webhook=webhook, limit=limit, as_json=json)


def _replay_deliveries(
    ids: Annotated[list[str] | None, typer.Argument(metavar="[ID]...", help="Deliveries by id.")] = None,
    every: Annotated[bool, typer.Option("--all", help="All that failed, instead of ids.")] = False,
    webhook: ToWebhook = None,
    json: Json = False,
) -> None:
    from predictq_sync.webhooks.commands import replay_deliveries

    replay_deliveries(load_settings(), ids, every=every, webhook=webhook, as_json=json)
