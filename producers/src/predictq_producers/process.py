"""The composition root of the intake's process."""

from collections.abc import Mapping, Sequence

from predictq.brokers import Broker, Subscription, open_broker
from predictq.cancels import Cancelled, HearCancels
from predictq.errors import UserMistake
from predictq.garbage import settle_garbage_collection
from predictq.logs import configure_logging
from predictq.loop import Loop
from predictq.members import member_name
from predictq.names import Names
from predictq.process import Running, run_process
from predictq.settings import Settings
from predictq.starting import ensure_topics
from predictq.storage import Storage
from predictq.topology import topology_of
from predictq_producers.events.rules import Rules
from predictq_producers.intake import Intake
from predictq_producers.jobs.standing_back import StandingBack
from predictq_producers.jobs.submitting import JobMaker
from predictq_producers.requests import RequestMaker, request_makers

__all__ = ["job_loops", "run_ingest"]


def run_ingest(settings: Settings) -> int:
    """Run the intake until the process is told to stop; returns the exit code. For the main thread."""
    configure_logging(settings.log, process="ingest")
    if not settings.endpoints:
        raise UserMistake("endpoints: none is configured, so there is nothing to take in")
    broker = open_broker(settings.broker_url())
    names = Names(settings.prefix)
    ensure_topics(broker, topology_of(settings))
    subscription = Subscription(
        topics=tuple(names.intake(endpoint) for endpoint in settings.endpoints),
        group=names.intake_group,
        member=member_name(),
        claim_seconds=settings.worker.claim_seconds,
    )
    makers = request_makers(settings, max_message_bytes=broker.max_message_bytes)
    rules = Rules(settings.rules, JobMaker(names, makers, settings.jobs))
    intake = Loop(name="intake", broker=broker, subscription=subscription, handler=Intake(makers, rules))
    loops = [intake, *job_loops(settings, broker=broker, makers=makers)]
    settle_garbage_collection()
    return run_process("ingest", loops, grace_seconds=settings.jobs.grace_seconds, close=broker.close)


def job_loops(settings: Settings, *, broker: Broker, makers: Mapping[str, RequestMaker]) -> Sequence[Running]:
    """The loops of the planner and the cutter, which stand back, and the one that hears of cancelled jobs."""
    from predictq_producers.jobs.cutting import Cutter, Room  # noqa: PLC0415 - pyarrow is an extra
    from predictq_producers.jobs.planning import Planner  # noqa: PLC0415

    names = Names(settings.prefix)
    storage = Storage(settings.storage_url(), settings.jobs.storage_options)
    cancelled = Cancelled()
    planner = Planner(
        names=names,
        makers=makers,
        settings=settings.jobs,
        storage=storage,
        open_producer=broker.producer,
        cancelled=cancelled,
    )
    room = Room(settings, broker.admin)
    cutter = Cutter(names=names, makers=makers, storage=storage, room=room.check, cancelled=cancelled)
    topics = tuple(names.jobs(endpoint) for endpoint in settings.endpoints)
    member = member_name()
    claim_seconds = settings.worker.claim_seconds
    hearing = Subscription(topics=(names.cancels,), member=f"{member}-cancels")
    return [
        *(
            StandingBack(
                Loop(
                    name=name,
                    broker=broker,
                    subscription=Subscription(topics=topics, group=group, member=member, claim_seconds=claim_seconds),
                    handler=handler,
                ),
                settings.jobs.nice,
            )
            for name, group, handler in (
                ("planner", names.planner_group, planner),
                ("cutter", names.cutter_group, cutter),
            )
        ),
        Loop(name="cancelled jobs", broker=broker, subscription=hearing, handler=HearCancels(cancelled)),
    ]
