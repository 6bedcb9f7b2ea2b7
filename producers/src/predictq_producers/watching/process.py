"""The composition root of `predictq watch`."""

import logging
from pathlib import Path
from typing import Any

from predictq.brokers import open_broker
from predictq.errors import MissingExtra, UserMistake
from predictq.logs import configure_logging
from predictq.names import Names
from predictq.process import run_process
from predictq.settings import Settings
from predictq.starting import ensure_topics
from predictq.storage import Storage
from predictq.topology import topology_of
from predictq_producers.jobs.starting import JobStarter
from predictq_producers.jobs.submitting import JobMaker
from predictq_producers.requests import request_makers

__all__ = ["run_watch"]


def run_watch(
    settings: Settings,
    folder: Path,
    *,
    endpoint: str,
    pattern: str,
    done: Path | None,
    failed: Path | None,
    results: Path | None,
    result_format: str,
    settle_seconds: float,
    options: dict[str, Any],
) -> int:
    """Watch the folder until the process is told to stop; returns the exit code. For the main thread."""
    try:
        from predictq_producers.watching.watcher import Watched, Watcher  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise MissingExtra("predictq watch", "watch", of="predictq-producers") from error
    configure_logging(settings.log, process="watch")
    logging.getLogger("watchfiles").setLevel(logging.WARNING)  # it tells of each change that it sees
    folder = folder.resolve()
    watched = Watched(
        endpoint=endpoint,
        folder=folder,
        pattern=pattern,
        done=(done or folder / "done").resolve(),
        failed=(failed or folder / "failed").resolve(),
        results=None if results is None else results.resolve(),
        result_format=result_format,
        settle_seconds=settle_seconds,
        options=options,
        max_bytes=settings.jobs.max_upload_bytes,
    )
    _make_folders(folder, watched.done, watched.failed, watched.results)
    broker = open_broker(settings.broker_url())
    names = Names(settings.prefix)
    makers = request_makers(settings, max_message_bytes=broker.max_message_bytes)
    maker = JobMaker(names, makers, settings.jobs, trusted=True)
    # What would be refused of every file is refused before any of them is moved.
    maker.check(endpoint)
    maker.of_upload(endpoint, "00000000-0000-8000-8000-000000000000", "file:///rows.csv", "rows.csv", options)
    ensure_topics(broker, topology_of(settings))
    storage = Storage(settings.storage_url(), settings.jobs.storage_options)
    starter = JobStarter(maker, storage, broker.producer)

    def close() -> None:
        starter.close()
        broker.close()

    watcher = Watcher(watched, starter)
    return run_process("watch", [watcher], grace_seconds=settings.jobs.grace_seconds, close=close)


def _make_folders(folder: Path, *others: Path | None) -> None:
    if not folder.is_dir():
        raise UserMistake(f"{folder}: is no folder; make it first, or name another")
    for other in others:
        if other is None:
            continue
        if other == folder:
            raise UserMistake(
                f"{folder}: what is put there is taken; a folder of its own, such as {folder}/done, is right"
            )
        try:
            other.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserMistake(f"{other}: cannot be made: {error.strerror}") from error
