"""The composition root of the intake's process."""

from contextlib import closing

from predictq.brokers import Subscription, open_broker
from predictq.errors import UserMistake
from predictq.logs import configure_logging
from predictq.loop import Loop
from predictq.members import member_name
from predictq.names import Names
from predictq.process import run_process
from predictq.settings import Settings
from predictq.topology import topology_of
from predictq_producers.intake import Intake
from predictq_producers.requests import request_makers

__all__ = ["run_ingest"]


def run_ingest(settings: Settings) -> int:
    """Run the intake until the process is told to stop; returns the exit code. For the main thread."""
    configure_logging(settings.log, process="ingest")
    if not settings.endpoints:
        raise UserMistake("endpoints: none is configured, so there is nothing to take in")
    broker = open_broker(settings.broker_url())
    names = Names(settings.prefix)
    with closing(broker.admin()) as admin:
        admin.ensure(topology_of(settings))
    subscription = Subscription(
        topics=tuple(names.intake(endpoint) for endpoint in settings.endpoints),
        group=names.intake_group,
        member=member_name(),
        claim_seconds=settings.worker.claim_seconds,
    )
    handler = Intake(request_makers(settings, max_message_bytes=broker.max_message_bytes))
    loop = Loop(name="intake", broker=broker, subscription=subscription, handler=handler)
    return run_process("ingest", [loop], grace_seconds=settings.worker.grace_seconds, close=broker.close)
