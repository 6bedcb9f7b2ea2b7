"""Connections that are cut again and again, in the middle of publishing and settling: nothing accepted is lost."""

import random
import time
import uuid
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import Future
from contextlib import ExitStack, closing
from functools import partial

import pytest
from tests.beside import running
from tests.conftest import eventually
from tests.places import SERVER_BROKERS, ServerBroker
from tests.servers.finding import private_server
from tests.servers.kafka_server import KafkaServer
from tests.servers.local_server import LocalServer
from tests.servers.rabbitmq_server import RabbitmqServer
from tests.servers.redis_server import RedisServer

from predictq.brokers import Broker, Done, Message, Record, Subscription, open_broker
from predictq.errors import Unavailable
from predictq.loop import Limits, Loop, Outcome, Stop
from predictq.names import Names
from predictq.topology import GroupSpec, TopicSpec, Topology

pytestmark = [pytest.mark.faults, pytest.mark.timeout(300)]

CUTS = 10
NAMES = Names("cut")
REQUESTS, RETRIES, PREDICTIONS = NAMES.requests("e"), NAMES.retries("e", "d"), NAMES.predictions("e")
DEAD_LETTERS = NAMES.dead_letters("e")
GROUP, AUDITORS = NAMES.workers("e", "d"), "cut.audit"
TOPOLOGY = Topology(
    "cut",
    tuple(TopicSpec(name, 4, 3600.0) for name in (REQUESTS, RETRIES, PREDICTIONS, DEAD_LETTERS)),
    (GroupSpec(GROUP, (RETRIES, REQUESTS)), GroupSpec(AUDITORS, (PREDICTIONS,))),
)
SERVERS: dict[ServerBroker, type[LocalServer]] = {
    "redis": RedisServer,
    "amqp": RabbitmqServer,
    "kafka": KafkaServer,
    "confluent": KafkaServer,
}


class Echo:
    """Answers each record with its own value."""

    def limits(self) -> Limits:
        return Limits(50, 1 << 20, 0.01)

    def handle(self, records: Sequence[Record]) -> Outcome:
        return Outcome([Done((Message(PREDICTIONS, record.value, record.key),)) for record in records])

    def buried(self, record: Record, reason: str) -> Sequence[Message]:
        return ()

    def tick(self) -> None:
        pass


class Publishing:
    """Publishes until it is stopped; what was not accepted is never sent again, so each value is sent once."""

    def __init__(self, broker: Broker) -> None:
        self.accepted: set[bytes] = set()
        self.sent = 0
        self._broker = broker

    def until_accepted(self, more: int, ended: Future[None]) -> None:
        """Return when so many more were accepted, or `run` has ended."""
        enough = len(self.accepted) + more
        eventually(lambda: ended.done() or len(self.accepted) >= enough)

    def run(self, stop: Stop) -> None:
        with closing(self._broker.producer()) as producer:
            while not stop.wait(0.005):
                values = [b"%d" % (self.sent + i) for i in range(20)]
                self.sent += 20
                try:
                    producer.publish([Message(REQUESTS, value, value) for value in values])
                except Unavailable:
                    continue
                self.accepted.update(values)


class Audit:
    """Every prediction on the topic, as far as it was read."""

    def __init__(self, broker: Broker) -> None:
        self.found: Counter[bytes] = Counter()
        self._admin = broker.admin()
        self._consumer = broker.consumer(Subscription(topics=(PREDICTIONS,), member="auditor", group=AUDITORS))

    def has(self, accepted: set[bytes]) -> bool:
        """Whether all of these are there; reads on."""
        batch = self._consumer.poll(1000, 1 << 24, 0.0)
        self._consumer.settle(batch, [Done()] * len(batch))
        self.found.update(record.value for record in batch)
        return not batch and accepted <= set(self.found)

    def nothing_waits(self) -> bool:
        return sum(self._admin.lag(topic, GROUP).ready for topic in (RETRIES, REQUESTS)) == 0

    def lags(self) -> str:
        return ", ".join(f"{topic}: {self._admin.lag(topic, GROUP)}" for topic in (RETRIES, REQUESTS))

    def close(self) -> None:
        self._consumer.close()
        self._admin.close()


def loop_on(broker: Broker) -> Loop:
    subscription = Subscription(
        topics=(RETRIES, REQUESTS),
        member=f"member-{uuid.uuid4().hex[:8]}",
        group=GROUP,
        retry_topic=RETRIES,
        claim_seconds=2.0,
    )
    return Loop(name="echo", broker=broker, subscription=subscription, handler=Echo())


@pytest.mark.parametrize("broker", SERVER_BROKERS)
def test_cut_connections_lose_nothing_that_was_accepted(broker: ServerBroker) -> None:
    dice = random.Random(7)
    with private_server(SERVERS[broker]) as server, server.through_proxy() as proxy:
        scheme = "kafka+confluent" if broker == "confluent" else server.url.partition("://")[0]
        direct = open_broker(f"{scheme}://{server.url.partition('://')[2]}")
        cut = open_broker(f"{scheme}://{proxy.url.partition('://')[2]}")
        with closing(direct.admin()) as admin:
            admin.ensure(TOPOLOGY)
        publishing, stop, stop_loops = Publishing(cut), Stop(), Stop()
        loops = [partial(loop_on(cut).run, stop_loops) for _ in range(2)]
        with closing(direct), closing(cut), ExitStack() as after_the_loops:
            with running(*loops, stop=stop_loops.set):
                with running(partial(publishing.run, stop), stop=stop.set) as [ended]:
                    for _ in range(CUTS):
                        publishing.until_accepted(dice.randrange(20, 400), ended)
                        proxy.cut()
                        time.sleep(dice.uniform(0.0, 0.5))
                        proxy.mend()
                audit = after_the_loops.enter_context(closing(Audit(direct)))
                eventually(lambda: audit.has(publishing.accepted), audit.lags)
                eventually(audit.nothing_waits, audit.lags)
            eventually(lambda: audit.has(publishing.accepted))
            found = audit.found
            repeated = sum(found.values()) - len(found)
            print(
                f"{publishing.sent} sent, {len(publishing.accepted)} accepted, {len(found)} answered, {repeated} twice"
            )
            assert {int(value) for value in found} <= set(range(publishing.sent)), "nothing comes of nothing"
            if direct.guarantees.atomic_settle:
                assert repeated == 0, "nothing is settled twice"
