"""The permissions that `docs/operations.md` names are enough for all that predictq does on a server."""

import re
import shlex
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import redis
from confluent_kafka.admin import (
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
)
from tests.servers.finding import private_server
from tests.servers.kafka_server import LOGIN, KafkaServer
from tests.servers.rabbitmq_server import RabbitmqServer
from tests.servers.redis_server import RedisServer

from predictq.brokers import (
    Broker,
    Dead,
    Done,
    Isolate,
    Message,
    Release,
    Retry,
    Subscription,
    Verdict,
    open_broker,
)
from predictq.names import Names
from predictq.starting import ensure_topics
from predictq.topology import GroupSpec, TopicSpec, Topology

TEXT = (Path(__file__).parents[3] / "docs/operations.md").read_text(encoding="utf-8")
NAMES = Names("predictq")
REQUESTS, RETRIES = NAMES.requests("e"), NAMES.retries("e", "d")
PREDICTIONS, DEAD = NAMES.predictions("e"), NAMES.dead_letters("e")
GROUP = NAMES.workers("e", "d")
TOPOLOGY = Topology(
    "predictq",
    tuple(TopicSpec(name, 2, 60.0) for name in (REQUESTS, RETRIES, PREDICTIONS, DEAD, NAMES.commits)),
    (GroupSpec(GROUP, (RETRIES, REQUESTS)), GroupSpec(NAMES.store_group, (PREDICTIONS,))),
)


def _line(beginning: str) -> list[str]:
    """The words of the command on the page that begins so."""
    (line,) = re.findall(rf"^{re.escape(beginning)}.*$", TEXT, re.MULTILINE)
    return shlex.split(line)


@pytest.fixture(scope="module")
def redis_as_told() -> Iterator[str]:
    with private_server(RedisServer) as server:
        with closing(redis.Redis.from_url(server.url)) as root:
            words = [word.replace("PASSWORD", "secret") for word in _line("ACL SETUSER predictq")]
            root.execute_command(*words)  # type: ignore[no-untyped-call]  # redis-py has no types there
        yield server.url.replace("redis://", "redis://predictq:secret@")


@pytest.fixture(scope="module")
def amqp_as_told() -> Iterator[str]:
    with private_server(RabbitmqServer) as server:
        server.ctl("add_user", "predictq", "secret")
        server.ctl(*_line("rabbitmqctl set_permissions")[1:])
        yield server.url.replace("guest:guest", "predictq:secret")


@pytest.fixture(scope="module")
def kafka_as_told() -> Iterator[str]:
    words = _line("kafka-acls.sh")
    told = {word: words[i + 1] for i, word in enumerate(words[:-1]) if word.startswith("--")}
    assert (told["--operation"], told["--resource-pattern-type"]) == ("All", "prefixed")
    kinds = {
        "--topic": ResourceType.TOPIC,
        "--group": ResourceType.GROUP,
        "--transactional-id": ResourceType.TRANSACTIONAL_ID,
    }
    with private_server(KafkaServer, LOGIN) as server, server.through_proxy() as proxy:
        admin = AdminClient({"bootstrap.servers": urlsplit(server.url).netloc})
        bindings = [
            AclBinding(
                kind,
                told[option],
                ResourcePatternType.PREFIXED,
                told["--allow-principal"].replace("predictq", "reader"),
                "*",
                AclOperation.ALL,
                AclPermissionType.ALLOW,
            )
            for option, kind in kinds.items()
        ]
        for done in admin.create_acls(bindings).values():
            done.result(30)
        yield f"kafka://reader:secret@{urlsplit(proxy.url).netloc}?security_protocol=SASL_PLAINTEXT"


@pytest.mark.parametrize(
    ("server", "scheme", "option"),
    [
        ("redis_as_told", "redis", ""),
        ("amqp_as_told", "amqp", ""),
        # First, for it meets a cluster in which no group has a coordinator yet.
        ("kafka_as_told", "kafka+confluent", ""),
        ("kafka_as_told", "kafka", ""),
        ("kafka_as_told", "kafka", "&transactions=true"),
    ],
    ids=["redis", "amqp", "confluent", "kafka", "kafka with transactions"],
)
def test_they_are_enough(server: str, scheme: str, option: str, request: pytest.FixtureRequest) -> None:
    url = urlsplit(request.getfixturevalue(server) + option)._replace(scheme=scheme).geturl()
    with closing(open_broker(url)) as broker, closing(broker.admin()) as admin:
        # A server that has just started elects first.
        ensure_topics(broker, TOPOLOGY)
        assert admin.ensure(TOPOLOGY, dry_run=True) == []
        assert admin.topics("predictq") == {topic.name: 2 for topic in TOPOLOGY.topics}
        assert admin.health().ok
        _use(broker)
        assert admin.lag(REQUESTS, GROUP).ready == 0
        admin.ensure(Topology("predictq", (), ()), prune=True)
        assert admin.topics("predictq") == {}


def _use(broker: Broker) -> None:
    """All verbs and all verdicts."""
    hints = broker.consumer(Subscription(topics=(NAMES.commits,), member="hints"))
    worker = broker.consumer(Subscription(topics=(RETRIES, REQUESTS), member="w", group=GROUP, retry_topic=RETRIES))
    with closing(hints), closing(worker), closing(broker.producer()) as producer:
        first: dict[str, Verdict] = {"done": Done((Message(PREDICTIONS, b"out"),)), "dead": Dead("bad")}
        first |= {"again": Retry(0.5), "alone": Isolate(), "back": Release()}
        open_ones = set(first)
        producer.publish([Message(REQUESTS, name.encode(), b"k") for name in first])
        while open_ones:
            batch = worker.poll(10, 10_000, 0.0)
            verdicts = [first.pop(record.value.decode(), Done()) for record in batch]
            assert worker.extend(batch) or not batch
            assert worker.settle(batch, verdicts) == 0
            open_ones -= {r.value.decode() for r, v in zip(batch, verdicts, strict=True) if isinstance(v, Done | Dead)}
        heard = 0
        while not heard:
            producer.publish([Message(NAMES.commits, b"hint")])
            hint = hints.poll(10, 10_000, 0.0)
            heard = len(hint)
            hints.settle(hint, [Done()] * heard)
