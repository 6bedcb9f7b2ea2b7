"""Nothing is kept for ever, and nothing is deleted early."""

from itertools import count

import pytest
from tests.unit.sync.conftest import LIMITS, NAMES, NOW, batch, make_store, prediction, request, rows_of

from predictq.brokers import Record
from predictq.clock import wire_time
from predictq.ids import derived_id
from predictq.settings import RetentionSettings
from predictq_sync import prune as module
from predictq_sync.database import Database
from predictq_sync.dead_letters import DeadLetterKeeper
from predictq_sync.ledger import Ledger
from predictq_sync.prune import Pruned, Retention, prune
from predictq_sync.retiring import cancel_retired
from predictq_sync.store import Store
from predictq_sync.tables import deliveries, jobs, webhooks
from predictq_sync.webhooks.outbox import pending
from predictq_sync.webhooks.places import place_for

DAY = 86_400.0
RETENTION = RetentionSettings(requests_seconds=30 * DAY, batches_seconds=30 * DAY, dead_letters_seconds=90 * DAY)
OLD, YOUNG = NOW - 31 * DAY, NOW - 29 * DAY
_numbers = count()


def no_jobs(_: str) -> int:
    return 0


def _made(ledger: Ledger, now: float) -> str:
    request_id = derived_id(str(next(_numbers)))
    ledger.handle([request(request_id, now=now)])
    return request_id


def test_finished_requests_go_with_their_predictions(database: Database, ledger: Ledger) -> None:
    answered_then = make_store(database)
    answered_then._clock = lambda: OLD + 60
    old, young = _made(ledger, OLD), _made(ledger, YOUNG)
    late = _made(ledger, OLD)
    answered_then.handle([prediction(old), prediction(old, deployment="dark", shadow=True), prediction(young)])
    make_store(database).handle([prediction(late)])

    assert prune(database, RETENTION, NOW, forget_jobs=no_jobs, dry_run=True) == Pruned(
        requests=1, batches=0, dead_letters=0, completions=1
    )
    assert len(rows_of(database, "requests", "id")) == 3
    assert prune(database, RETENTION, NOW, forget_jobs=no_jobs) == Pruned(
        requests=1, batches=0, dead_letters=0, completions=1
    )

    assert {row["id"] for row in rows_of(database, "requests", "id")} == {young, late}
    assert {row["request_id"] for row in rows_of(database, "predictions", "request_id")} == {young, late}


def test_what_was_never_answered_and_what_was_never_asked_goes_too(
    database: Database, ledger: Ledger, store: Store
) -> None:
    _made(ledger, OLD)
    store.handle([prediction(derived_id("stub"), now=OLD)])
    waiting = _made(ledger, YOUNG)

    assert prune(database, RETENTION, NOW, forget_jobs=no_jobs).requests == 2
    assert [row["id"] for row in rows_of(database, "requests", "id")] == [waiting]
    assert rows_of(database, "predictions", "request_id") == []


def test_mini_batches_and_dead_letters_go(database: Database, store: Store) -> None:
    store.handle([batch("old", now=OLD), batch("young", now=YOUNG)])
    keeper = DeadLetterKeeper(database=database, limits=LIMITS, clock=lambda: NOW - 91 * DAY)
    keeper.handle([Record(NAMES.dead_letters("tumours"), 0, "1", b"", None, {}, OLD, 0)])

    assert prune(database, RETENTION, NOW, forget_jobs=no_jobs) == Pruned(requests=0, batches=1, dead_letters=1)
    assert [row["id"] for row in rows_of(database, "batches", "id")] == ["young"]


def test_what_waits_for_an_answer_can_be_spared(database: Database, ledger: Ledger, store: Store) -> None:
    answered, waiting = _made(ledger, OLD), _made(ledger, OLD)
    store.handle([prediction(answered)])
    later = NOW + 31 * DAY

    assert prune(database, RETENTION, later, forget_jobs=no_jobs, dry_run=True, open_too=False).requests == 1
    assert prune(database, RETENTION, later, forget_jobs=no_jobs, open_too=False).requests == 1
    assert [row["id"] for row in rows_of(database, "requests", "id")] == [waiting]


def test_in_the_background_chunks_go_for_as_long_as_a_tick_may_take(
    database: Database, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CHUNK", 2)
    for _ in range(9):
        _made(ledger, OLD)
    now, step = 0.0, module.TICK_SECONDS * 0.6

    def monotonic() -> float:
        nonlocal now
        now += step
        return now

    retention = Retention(database, RETENTION, no_jobs, clock=lambda: NOW, monotonic=monotonic)

    left = []
    for _ in range(3):
        retention()
        left.append(len(rows_of(database, "requests", "id")))
    assert left == [5, 1, 0]
    step = 0.0

    _made(ledger, OLD)
    retention()
    assert len(rows_of(database, "requests", "id")) == 1, "looked again before its time"
    now += 61.0
    retention()
    assert rows_of(database, "requests", "id") == []


def test_what_a_removed_deployment_owes_is_cancelled(database: Database, ledger: Ledger, store: Store) -> None:
    both, gone, kept = (derived_id(name) for name in ("both", "gone", "kept"))
    ledger.handle([request(both, deployments=["linear", "old"]), request(gone, deployments=["old"]), request(kept)])
    store.handle([prediction(both)])

    serving = {"linear": "tumours", "forest": "tumours"}
    assert cancel_retired(database, serving, NOW) == 2
    assert {row["id"]: row["status"] for row in rows_of(database, "requests", "id")} == {
        both: "partial",
        gone: "cancelled",
        kept: "queued",
    }
    assert cancel_retired(database, serving, NOW) == 0


def test_what_a_deployment_owes_to_the_endpoint_that_it_left_is_cancelled(database: Database, ledger: Ledger) -> None:
    ledger.handle([request(derived_id("left"), deployments=["linear"])])

    assert cancel_retired(database, {"linear": "elsewhere"}, NOW) == 1


def test_deliveries_go_and_pending_ones_can_be_spared(database: Database) -> None:
    url = "https://example.org/"
    rows = [
        pending(url, "prediction.failed", name, wire_time(OLD), webhook_id=None, place=place_for(url)) for name in "abc"
    ]
    rows[1] = rows[1]._replace(state="delivered")
    rows[2] = rows[2]._replace(created_at=wire_time(YOUNG), state="failed")
    with database.write() as connection:
        for row in rows:
            connection.execute(deliveries.insert().values(**row._asdict()))

    spared = prune(database, RETENTION, NOW, forget_jobs=no_jobs, open_too=False)
    assert [row["subject"] for row in rows_of(database, "deliveries", "subject")] == ["a", "c"]
    gone = prune(database, RETENTION, NOW, forget_jobs=no_jobs)
    assert [row["subject"] for row in rows_of(database, "deliveries", "subject")] == ["c"]
    assert (spared.deliveries, gone.deliveries) == (1, 1)


def test_a_webhook_of_a_job_goes_with_the_job(database: Database) -> None:
    made = {"url": "https://example.org/", "events": "[]", "source": "api", "state": "enabled"}
    job = {"id": "kept", "endpoint": "tumours", "status": "completed", "created_at": wire_time(OLD)}
    with database.write() as connection:
        connection.execute(jobs.insert().values(**job))
        for name, job_id in (("all", None), ("of-kept", "kept"), ("of-gone", "gone")):
            connection.execute(webhooks.insert().values(id=name, job_id=job_id, created_at=wire_time(OLD), **made))

    assert prune(database, RETENTION, NOW, forget_jobs=no_jobs).webhooks == 1
    assert [row["id"] for row in rows_of(database, "webhooks", "id")] == ["all", "of-kept"]
