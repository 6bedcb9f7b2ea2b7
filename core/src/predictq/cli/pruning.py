"""`predictq topics ensure --prune`: what the settings no longer ask for goes, and what it still owed is settled."""

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import entry_points

import typer

from predictq.brokers.port import Admin, Change
from predictq.cli.output import say
from predictq.errors import UserMistake
from predictq.names import Names
from predictq.settings import Settings
from predictq.topology import topology_of

__all__ = ["prune_topics"]

CATCH_UP_SECONDS = 5.0
LOOK_AGAIN_SECONDS = 0.1


def prune_topics(settings: Settings, admin: Admin, *, yes: bool) -> Sequence[Change]:
    """Make the broker what the settings ask for, and no more; what was changed.

    Raises UserMistake where no one can be asked, and while the ledger is behind.
    """
    topology = topology_of(settings)
    deletions = [change for change in admin.ensure(topology, dry_run=True, prune=True) if change.action == "delete"]
    if deletions:
        _confirm(deletions, yes=yes)
    made = admin.ensure(topology)
    _refuse_while_ledger_is_behind(settings, admin)
    # Also where nothing is left to delete: requests that name a retired deployment may have come since.
    _cancel_what_is_owed(settings)
    return [*made, *admin.ensure(topology, prune=True)]


def _confirm(deletions: Sequence[Change], *, yes: bool) -> None:
    say("The settings no longer ask for these; they go, with every message that is left in them:")
    for change in deletions:
        say(f"  {change.what}")
    if yes:
        return
    if not sys.stdin.isatty():
        raise UserMistake("--prune deletes what is listed above; add --yes where no one can be asked")
    typer.confirm("Delete them?", abort=True, err=True)


def _refuse_while_ledger_is_behind(settings: Settings, admin: Admin) -> None:
    """What was published before now and is not in the ledger cannot be cancelled; nobody would ever answer it."""
    asked = time.time()
    deadline = time.monotonic() + CATCH_UP_SECONDS
    while behind := list(_behind(settings, admin, asked)):
        if time.monotonic() >= deadline:
            raise UserMistake(
                f"the ledger has not read all of {', '.join(behind)}: what retired deployments owe there cannot be "
                "cancelled yet. Nothing was deleted; run `predictq sync` until `predictq topics lag` shows none, "
                "then this again"
            )
        time.sleep(LOOK_AGAIN_SECONDS)


def _behind(settings: Settings, admin: Admin, asked: float) -> Iterator[str]:
    ledger = Names(settings.prefix).ledger_group
    for group in topology_of(settings).groups:
        topics = group.topics if group.name == ledger else ()
        for topic, found in zip(topics, admin.lags(topics, ledger), strict=True):
            if (found.ready or found.in_flight) and (found.oldest_published_at or 0.0) < asked:
                yield topic


def _cancel_what_is_owed(settings: Settings) -> None:
    """Let members settle what retired deployments still owe, while their requests can still be told.

    Entry point `predictq.retire`: a function of the settings that writes `cancelled` for every open prediction of a
    deployment that is not among them, and returns how many. The broker is pruned only after all of them came back.
    """
    for point in sorted(entry_points(group="predictq.retire"), key=lambda point: point.name):
        retire: Callable[[Settings], int] = point.load()
        if cancelled := retire(settings):
            say(f"{cancelled} predictions that were still owed are cancelled")
