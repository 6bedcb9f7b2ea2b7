"""The composition root of a worker process."""

import time
from collections.abc import Callable, Sequence

from predictq.brokers import Broker, Guarantees, Subscription, open_broker
from predictq.cancels import Cancelled, HearCancels
from predictq.errors import UserMistake
from predictq.garbage import settle_garbage_collection
from predictq.loop import Loop, Watchdog
from predictq.members import member_name
from predictq.names import Names
from predictq.payloads import Payloads
from predictq.process import run_process
from predictq.settings import Settings
from predictq.starting import ensure_topics
from predictq.storage import Storage
from predictq.topology import topology_of
from predictq_workers.answers import Answers
from predictq_workers.batch_records import BatchRecords
from predictq_workers.calling import Calls, Guard
from predictq_workers.loading import open_model
from predictq_workers.model import Servable
from predictq_workers.predicting import Predicting
from predictq_workers.selecting import Selection

__all__ = ["build_handler", "build_loops", "run"]


def run(settings: Settings, deployment: str) -> int:
    """Load the model, then serve until SIGTERM; returns the exit code. Raises ModelError before anything is read."""
    spec = settings.deployments[deployment]
    model = open_model(spec, settings.folder)
    broker = open_broker(settings.broker_url())
    _check_hold(deployment, spec.max_predict_seconds, broker.guarantees)
    # Before a model that takes long to load: from here on the group is owed what is submitted.
    ensure_topics(broker, topology_of(settings))
    model.load()
    loops = build_loops(settings, deployment, model=model, broker=broker)
    settle_garbage_collection()
    return run_process(f"worker {deployment}", loops, grace_seconds=settings.worker.grace_seconds, close=broker.close)


def build_loops(settings: Settings, deployment: str, *, model: Servable, broker: Broker) -> Sequence[Loop]:
    """The loop that predicts and the one that hears of cancelled requests."""
    spec = settings.deployments[deployment]
    names = Names(settings.prefix)
    member = member_name()
    cancelled = Cancelled()
    handler = build_handler(
        settings,
        deployment,
        model=model,
        max_message_bytes=broker.max_message_bytes,
        worker=member,
        cancelled=cancelled,
        guard=Watchdog(max_seconds=spec.max_predict_seconds, what=f"one predict call of {deployment}"),
    )
    retries = names.retries(spec.endpoint, deployment)
    reading = Subscription(
        topics=(retries, names.requests(spec.endpoint), names.bulk(spec.endpoint)),
        group=names.workers(spec.endpoint, deployment),
        member=member,
        retry_topic=retries,
        claim_seconds=settings.worker.claim_seconds,
        instance=settings.worker.instance,
    )
    hearing = Subscription(topics=(names.cancels,), member=f"{member}-cancels")
    return (
        Loop(name=f"worker {deployment}", broker=broker, subscription=reading, handler=handler),
        Loop(name=f"cancels of {deployment}", broker=broker, subscription=hearing, handler=HearCancels(cancelled)),
    )


def build_handler(
    settings: Settings,
    deployment: str,
    *,
    model: Servable,
    max_message_bytes: int,
    worker: str,
    cancelled: Cancelled,
    guard: Guard,
    clock: Callable[[], float] = time.time,
) -> Predicting:
    """The step between poll and settle, put together."""
    spec = settings.deployments[deployment]
    answers = Answers(
        endpoint=spec.endpoint, deployment=deployment, model_version=spec.version, max_bytes=max_message_bytes
    )
    selection = Selection(
        names=Names(settings.prefix),
        endpoint=spec.endpoint,
        deployment=deployment,
        shadow=spec.role == "shadow",
        cancelled=cancelled,
        answers=answers,
    )
    return Predicting(
        settings=spec,
        model=model,
        calls=Calls(model, max_batch_size=spec.max_batch_size, guard=guard),
        selection=selection,
        answers=answers,
        batch_records=BatchRecords(
            endpoint=spec.endpoint, deployment=deployment, model_version=spec.version, worker=worker
        ),
        payloads=Payloads(Storage(settings.storage_url(), settings.jobs.storage_options)),
        max_payload_bytes=settings.claim_check.max_bytes,
        clock=clock,
    )


def _check_hold(deployment: str, max_predict_seconds: float, guarantees: Guarantees) -> None:
    """One batch is predicted while the next is fetched already: both must be done before the broker takes them away."""
    hold = guarantees.hold_seconds
    if hold is not None and 2 * max_predict_seconds > hold:
        raise UserMistake(
            f"deployments.{deployment}.max_predict_seconds: {max_predict_seconds:g} s is too long for this broker, "
            f"which takes a record away after {hold:g} s in hand; at most {hold / 2:g} would be right, or a longer "
            "consumer_timeout of the broker and of the option consumer_timeout_seconds"
        )
