"""`predictq db upgrade` and `predictq db prune`."""

import time
from dataclasses import asdict

from predictq.cli.output import emit_json, emit_table, say
from predictq.errors import UserMistake
from predictq.payloads import Payloads
from predictq.settings import RetentionSettings, Settings
from predictq.storage import Storage
from predictq_sync.database import opened
from predictq_sync.jobs.forgetting import forgetting
from predictq_sync.migrations import revision_of, upgrade
from predictq_sync.payload_retention import prune_payloads
from predictq_sync.prune import prune

__all__ = ["run_prune", "run_upgrade"]

UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}


def run_upgrade(settings: Settings, *, as_json: bool) -> None:
    """Create or migrate the tables, and say so."""
    with opened(settings.database_url()) as database:
        changed = upgrade(database)
        revision = revision_of(database)
    if as_json:
        emit_json({"revision": revision, "changed": changed})
    else:
        say(f"the database is {'now' if changed else 'already'} at revision {revision}")


def run_prune(settings: Settings, *, older_than: str | None, dry_run: bool, as_json: bool) -> None:
    """Delete what is too old, and say how much that was.

    An age that was typed in may well be shorter than the queue: what still waits for an answer is spared then, and so
    are all payloads younger than the settings say, for they do not tell whose they are.
    """
    storage = Storage(settings.storage_url(), settings.jobs.storage_options)
    now = time.time()
    retention = settings.retention
    if older_than is not None:
        seconds = _seconds(older_than)
        retention = RetentionSettings(
            requests_seconds=seconds,
            batches_seconds=seconds,
            dead_letters_seconds=seconds,
            deliveries_seconds=seconds,
            completions_seconds=seconds,
        )
    with opened(settings.database_url()) as database:
        pruned = prune(
            database,
            retention,
            now,
            forget_jobs=forgetting(database, storage),
            dry_run=dry_run,
            open_too=older_than is None,
        )
    payloads = prune_payloads(Payloads(storage), settings.retention, now, dry_run=dry_run)
    counts = {**asdict(pruned), "payloads": payloads}
    if as_json:
        emit_json({**counts, "dry_run": dry_run})
    else:
        emit_table(("table", "would be deleted" if dry_run else "deleted"), list(counts.items()))


def _seconds(text: str) -> float:
    unit = UNITS.get(text[-1:], 0.0)
    try:
        seconds = float(text[:-1]) * unit
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < 1e10:
        raise UserMistake(f"--older-than: {text!r} is no age; 90s, 30m, 12h or 7d would be right")
    return seconds
