"""The composition root of a sync process."""

import time
from collections.abc import Sequence

from predictq.brokers import Broker, Subscription, open_broker
from predictq.errors import SettingsError
from predictq.garbage import settle_garbage_collection
from predictq.loop import Handler, Limits, Loop, Rounds
from predictq.members import member_name
from predictq.names import Names
from predictq.payloads import Payloads
from predictq.process import Running, run_process
from predictq.settings import PushSettings, Settings
from predictq.starting import ensure_topics, patiently
from predictq.storage import Storage
from predictq.topology import topology_of
from predictq_sync.database import Database, opened
from predictq_sync.dead_letters import DeadLetterKeeper
from predictq_sync.jobs.forgetting import forgetting
from predictq_sync.jobs.news import JobNews
from predictq_sync.jobs.orphans import OrphanedUploads
from predictq_sync.jobs.result_files import ResultFiles
from predictq_sync.jobs.results import JobResults
from predictq_sync.ledger import Ledger
from predictq_sync.migrations import upgrade
from predictq_sync.payload_retention import PayloadRetention
from predictq_sync.prune import Retention
from predictq_sync.sinks import Sinks, open_sinks
from predictq_sync.store import Store
from predictq_sync.webhooks.bell import Bell
from predictq_sync.webhooks.declaring import declare
from predictq_sync.webhooks.dispatcher import Dispatcher
from predictq_sync.webhooks.outbox import Outbox
from predictq_sync.webhooks.subscriptions import Subscriptions

__all__ = ["build_loops", "prepare", "run"]

MAX_BATCH_BYTES = 16 * 1024 * 1024
RESULT_FILES_SECONDS = 1.0
"""How soon it is looked again whether a job is over."""
ORPHANS_SECONDS = 3600.0
"""How soon the folders of all jobs are looked at again."""
PAYLOADS_SECONDS = 60.0
"""How soon it is looked again whether payloads are too old."""


def run(settings: Settings) -> int:
    """Ledger, store and dead letters until SIGTERM; returns the exit code. Raises before anything is read."""
    broker = open_broker(settings.broker_url())
    database = Database(settings.database_url())

    def close() -> None:
        database.close()
        broker.close()

    sinks = Sinks(database, open_sinks(settings))
    ensure_topics(broker, topology_of(settings))
    patiently(lambda: upgrade(database))
    patiently(lambda: declare(database, settings.webhooks, time.time()))
    loops = build_loops(settings, broker=broker, database=database, sinks=sinks)
    settle_garbage_collection()
    return run_process("sync", loops, grace_seconds=settings.sync.grace_seconds, close=close)


def prepare(settings: Settings) -> None:
    """Bring the database up to date before any process of this installation starts."""
    with opened(settings.database_url()) as database:
        patiently(lambda: upgrade(database))


def build_loops(settings: Settings, *, broker: Broker, database: Database, sinks: Sinks) -> Sequence[Running]:
    """The loops of the ledger, the store and the keeper of dead letters, each a consumer and a group of its own; and
    what writes the result files of jobs, what deletes the payloads of requests and what pushes, which none of them
    waits for.
    """
    names = Names(settings.prefix)
    limits = Limits(settings.sync.max_batch_size, MAX_BATCH_BYTES, settings.sync.max_batch_wait_seconds)
    endpoints = tuple(settings.endpoints)
    bell = Bell()
    subscriptions = Subscriptions(database)
    outbox = Outbox(database.dialect, subscriptions.current, bell.ring)
    ledger = Ledger(
        database=database,
        names=names,
        endpoints=endpoints,
        limits=limits,
        admin=broker.admin,
        outbox=outbox,
        job_news=JobNews(database, outbox, every_seconds=settings.push.job_progress_seconds),
    )
    store = Store(database=database, names=names, endpoints=endpoints, limits=limits, after_commit=sinks, outbox=outbox)
    storage = Storage(settings.storage_url(), settings.jobs.storage_options)
    retention = Retention(database, settings.retention, forgetting(database, storage))
    keeper = DeadLetterKeeper(database=database, limits=limits, housekeeping=retention)
    handlers: dict[str, Handler] = {
        names.ledger_group: ledger,
        names.store_group: store,
        names.dead_letters_group: keeper,
    }
    member = member_name()
    result_files = ResultFiles(database, JobResults(database, storage), settings.jobs.storage_options)
    loops = [
        Loop(
            name=group.name.removeprefix(f"{settings.prefix}."),
            broker=broker,
            subscription=Subscription(
                topics=group.topics,
                group=group.name,
                member=member,
                claim_seconds=settings.sync.claim_seconds,
            ),
            handler=handlers[group.name],
        )
        for group in topology_of(settings).groups
        if group.name in handlers
    ]
    orphans = OrphanedUploads(database, storage, settings.retention)
    rounds = [
        Rounds(name="result files", call=result_files, every_seconds=RESULT_FILES_SECONDS),
        Rounds(name="orphaned uploads", call=orphans, every_seconds=ORPHANS_SECONDS),
    ]
    if settings.has_storage:
        payloads = PayloadRetention(Payloads(storage), settings.retention)
        rounds.append(Rounds(name="payloads", call=payloads, every_seconds=PAYLOADS_SECONDS))
    return [*loops, *rounds, Dispatcher(database, _push(settings), subscriptions, bell)]


def _push(settings: Settings) -> PushSettings:
    """Those of pushes, their path absolute."""
    file = settings.push.ca_file
    if file is None:
        return settings.push
    path = settings.path(file)
    if not path.is_file():
        raise SettingsError(f"push.ca_file: {path} is no file; a PEM file of certificates would be right")
    return settings.push.model_copy(update={"ca_file": str(path)})
