"""What only a server of Kafka can show: faults, permissions, rebalances, transactions."""

import gc
import os
import signal
import sys
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from tests.beside import running_process
from tests.contract.brokers.conftest import PATIENCE, Rig, eventually, values
from tests.servers.finding import private_server
from tests.servers.kafka_server import LOGIN, KafkaServer

from predictq.brokers import Done, Message, Retry, Subscription, open_broker
from predictq.errors import BrokerUnavailable, PublishError, Unavailable, UserMistake
from predictq.topology import GroupSpec, TopicSpec, Topology

pytestmark = pytest.mark.filterwarnings(
    # kafka-python leaves the socket of a refused connection to the garbage collector.
    "ignore:unclosed <socket:ResourceWarning"
)
SCHEMES = ("kafka", "kafka+confluent")


@pytest.fixture(autouse=True)
def collected() -> Iterator[None]:
    """What a test left to the garbage collector goes while its warning is expected."""
    yield
    gc.collect()


@pytest.fixture(params=SCHEMES)
def url(request: pytest.FixtureRequest, kafka_url: str) -> str:
    """The shared server, by each driver."""
    return kafka_url.replace("kafka://", f"{request.param}://")


RigOn = Callable[[str], Rig]


@pytest.fixture
def rig_on() -> Iterator[RigOn]:
    """Opens rigs, and closes them whatever becomes of the test: their threads would go on beside the next ones."""
    with ExitStack() as stack:

        def opened(url: str) -> Rig:
            rig = Rig(url)
            stack.callback(rig.close)
            return rig

        yield opened


@pytest.fixture(scope="module")
def own() -> Iterator[KafkaServer]:
    """A server that may be killed."""
    with private_server(KafkaServer, {"broker.session.timeout.ms": "2000"}) as server:
        yield server


@pytest.fixture(scope="module")
def guarded() -> Iterator[tuple[KafkaServer, str]]:
    """A server that asks who comes, and the address at which it does."""
    with private_server(KafkaServer, LOGIN) as server, server.through_proxy() as proxy:
        yield server, proxy.url.partition("://")[2]


def test_nobody_at_the_address_is_told_at_once(url: str) -> None:
    scheme = url.partition("://")[0]
    broker = open_broker(f"{scheme}://127.0.0.1:1?connect_seconds=1")
    health = broker.admin().health()
    assert not health.ok
    assert "127.0.0.1:1" in health.detail
    with pytest.raises(BrokerUnavailable, match=r"127\.0\.0\.1:1"):
        broker.producer().publish([Message("x.e.requests", b"x")])


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_wrong_password_is_the_users_to_mend_and_is_not_shown(
    guarded: tuple[KafkaServer, str], scheme: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    options = "security_protocol=SASL_PLAINTEXT&sasl_mechanism=PLAIN"
    broker = open_broker(f"{scheme}://reader:wr%40ng@{guarded[1]}?{options}")
    with pytest.raises(UserMistake, match="password") as caught:
        broker.admin().topics("x")
    assert "wr@ng" not in str(caught.value) + caplog.text
    assert "wr%40ng" not in str(caught.value) + caplog.text


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_missing_permission_is_the_users_to_mend(guarded: tuple[KafkaServer, str], scheme: str) -> None:
    server, address = guarded
    prefix = f"t{uuid.uuid4().hex[:8]}"
    requests, group = f"{prefix}.e.requests", f"{prefix}.e.a"
    admin = open_broker(server.url).admin()
    admin.ensure(Topology(prefix, (TopicSpec(requests, 1, 60.0),), (GroupSpec(group, (requests,)),)))
    admin.close()
    broker = open_broker(f"{scheme}://reader:secret@{address}?security_protocol=SASL_PLAINTEXT&sasl_mechanism=PLAIN")
    producer = broker.producer()
    # librdkafka is not told of a topic that its user may not see.
    said = "does not exist" if "confluent" in scheme else "right to the topic"
    with pytest.raises(UserMistake, match=said):
        producer.publish([Message(requests, b"x")])
    producer.close()
    with pytest.raises(UserMistake, match=r"right to|does not exist"):
        broker.consumer(Subscription(topics=(requests,), member="m", group=group))


def test_unknown_options_and_bad_values_are_named(url: str) -> None:
    with pytest.raises(UserMistake, match="'colour' is no option"):
        open_broker(f"{url}?colour=red")
    with pytest.raises(UserMistake, match=r"compression.*'rot13'"):
        open_broker(f"{url}?compression=rot13")
    with pytest.raises(UserMistake, match="needs a user and a password"):
        open_broker(f"{url}?security_protocol=SASL_SSL")


def test_a_topic_that_the_broker_keeps_too_small_is_widened_by_ensure(url: str, rig_on: RigOn) -> None:
    rig = rig_on(f"{url}?message_max_bytes=3000000")
    try:
        consumer = rig.consumer()
        rig.producer.publish([Message(rig.requests, os.urandom(3_000_000))])
        [record] = rig.served(consumer, 1)
        assert len(record.value) == 3_000_000
    finally:
        rig.close()


@pytest.mark.parametrize("delays", [[0.3], [0.05, 0.7, 0.2], [1.3, 0.0, 0.6]])
def test_retries_come_on_time_whatever_waits_beside_them(rig: Rig, delays: list[float]) -> None:
    consumer = rig.consumer(idle_seconds=0.02)
    wanted = {f"{i}": delay for i, delay in enumerate([*delays, 60.0])}
    rig.publish(*wanted, key="k")
    settled = time.monotonic()
    rig.served(consumer, len(wanted), lambda record: Retry(wanted[record.value.decode()]))
    came: dict[str, float] = {}

    def all_came() -> bool:
        batch = consumer.poll(10, 1 << 20, 0.0)
        for record in batch:
            came[record.value.decode()] = time.monotonic() - settled
        consumer.settle(batch, [Done()] * len(batch))
        return len(came) == len(delays)

    eventually(all_came, "all retries but the long one")
    for text, after in came.items():
        assert wanted[text] <= after + 0.002, "it is due to a millisecond"
    assert rig.lag(rig.retries).ready == 1


def test_a_rebalance_that_takes_one_partition_leaves_the_rest_of_the_batch(url: str, rig_on: RigOn) -> None:
    """The batch is held longer than a partition waits for it, so what goes to the other member is lost."""
    rig = rig_on(f"{url}?handover_seconds=0.3")
    try:
        for i in range(40):
            rig.publish(f"{i}", key=f"{i}")
        first = rig.consumer()
        batch = rig.polled(first, 40)
        second = rig.consumer()
        mine: list[str] = []

        def taken_over() -> bool:
            assert isinstance(first.extend(batch), bool)
            got = second.poll(100, 1 << 20, 0.2)
            second.settle(got, [Done((rig.output(record.value.decode()),)) for record in got])
            mine.extend(values(list(got)))
            return len(mine) >= 20

        eventually(lambda: taken_over() or (not first.extend(batch) and len(mine) > 5), "the other has its share")
        lost = first.settle(batch, [Done((rig.output(record.value.decode()),)) for record in batch])
        assert 0 < lost < 40
        emitted = values(rig.served(rig.consumer(group=rig.store), 40 - lost + len(mine)))
        assert Counter(emitted) == Counter(f"{i}" for i in range(40))
    finally:
        rig.close()


@pytest.mark.parametrize("second", SCHEMES)
def test_each_topic_is_shared_out_evenly_whatever_drivers_the_members_use(
    kafka_url: str, url: str, second: str, rig_on: RigOn
) -> None:
    rig, other = rig_on(kafka_url), open_broker(kafka_url.replace("kafka://", f"{second}://"))
    first = open_broker(url)
    try:
        told = Subscription(
            topics=(rig.retries, rig.requests, rig.bulk),
            member="one",
            group=rig.group,
            retry_topic=rig.retries,
            idle_seconds=0.05,
        )
        members = [first.consumer(told), other.consumer(told)]
        seen: dict[int, set[int]] = {0: set(), 1: set()}

        def shared() -> bool:
            for i in range(8):
                rig.publish("x", key=f"key-{i}")
            for i, member in enumerate(members):
                batch = member.poll(100, 1 << 20, 0.05)
                member.settle(batch, [Done()] * len(batch))
                seen[i] = {record.partition for record in batch}
            return sorted(map(len, seen.values())) == [2, 2]

        eventually(shared, "two partitions of requests each")
        for member in members:
            member.close()
    finally:
        first.close()
        other.close()
        rig.close()


def test_a_server_that_comes_back_finds_producer_and_consumer_at_work(own: KafkaServer, rig_on: RigOn) -> None:
    rig = rig_on(f"{own.url}?request_seconds=5&connect_seconds=5")
    consumer = rig.consumer(claim_seconds=10.0)
    rig.publish("before", key="k")
    batch = rig.polled(consumer, 1)
    own.kill()
    with pytest.raises(Unavailable):
        rig.publish("lost?", key="k")
    with pytest.raises(Unavailable):
        consumer.settle(batch, [Done((rig.output("before"),))])
    own.start()
    _until(lambda: rig.publish("after", key="k"))
    _until(lambda: consumer.settle(batch, [Done((rig.output("before"),))]))
    consumer.close()
    heir = rig.consumer(claim_seconds=10.0)
    came: list[str] = []
    # A group whose coordinator has just come back may not hear a farewell: then it waits until that session is over.
    deadline = time.monotonic() + 60.0
    while "after" not in came:
        # Where the server was away for longer than the first member's session, "before" is the heir's to answer.
        batch = heir.poll(10, 1 << 20, 0.0)
        heir.settle(batch, [Done((rig.output(value),)) for value in values(batch)])
        came += values(batch)
        assert time.monotonic() < deadline, "what was published afterwards does not come"
    # The outputs have no key, so that any of them may be the first to come.
    store, emitted = rig.consumer(group=rig.store), list[str]()
    while "before" not in emitted:
        emitted += values(rig.served(store, 1))
    rig.close()


def _until(call: Callable[[], object], seconds: float = 60.0) -> None:
    """Until it works."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            call()
        except Unavailable:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        else:
            return


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_settle_that_nobody_answers_comes_to_an_end(scheme: str, rig_on: RigOn) -> None:
    # Not the server of other tests: after such a time it counts itself among the lost, and takes new topics only later.
    with private_server(KafkaServer) as frozen:
        rig = rig_on(frozen.url)
        patient = open_broker(f"{frozen.url.replace('kafka://', f'{scheme}://')}?request_seconds=5")
        consumer = patient.consumer(
            Subscription(topics=(rig.requests,), member="member", group=rig.other_group, claim_seconds=60.0)
        )
        try:
            rig.publish("x")
            batch = rig.polled(consumer, 1)
            started = time.monotonic()
            os.kill(frozen.pid, signal.SIGSTOP)
            try:
                with pytest.raises(BrokerUnavailable):
                    consumer.settle(batch, [Done()])
            finally:
                os.kill(frozen.pid, signal.SIGCONT)
            assert time.monotonic() - started < PATIENCE
            _until(lambda: consumer.settle(batch, [Done()]))
            assert rig.left(rig.other_group) == 0
        finally:
            consumer.close()
            patient.close()
            rig.close()


def test_a_lost_reply_to_a_publish_doubles_nothing(own: KafkaServer, rig_on: RigOn) -> None:
    with own.through_proxy() as proxy:
        rig = rig_on(f"{proxy.url}?request_seconds=10")
        consumer = rig.consumer()
        rig.publish("first", key="k")
        proxy.drop_replies(lambda request: b"dropped-one" in request)
        try:
            rig.publish("dropped-one", key="k")
        except PublishError:
            rig.publish("dropped-one", key="k")
        assert proxy.dropped == 1
        assert values(rig.served(consumer, 2)) == ["first", "dropped-one"]
        assert rig.nothing_for(consumer)
        rig.close()


def test_a_lost_reply_to_a_settle_doubles_nothing(own: KafkaServer, rig_on: RigOn) -> None:
    with own.through_proxy() as proxy:
        rig = rig_on(f"{proxy.url}?request_seconds=10")
        consumer = rig.consumer(claim_seconds=60.0)
        rig.publish("a", key="k")
        batch = rig.polled(consumer, 1)
        proxy.drop_replies(lambda request: b"an-output" in request)
        _until(lambda: consumer.settle(batch, [Done((rig.output("an-output"),))]))
        assert proxy.dropped == 1
        store = rig.consumer(group=rig.store)
        assert values(rig.served(store, 1)) == ["an-output"]
        assert rig.nothing_for(store)
        assert rig.left() == 0
        rig.close()


def test_a_member_that_is_killed_loses_nothing(url: str, tmp_path: Path, rig_on: RigOn) -> None:
    rig = rig_on(f"{url}?session_timeout_seconds=1")
    log = tmp_path / "member.log"
    member = Path(__file__).with_name("member.py")
    try:
        with log.open("w") as out:
            for i in range(500):
                rig.publish(f"{i}", key=f"{i}") if i % 100 == 0 else None
            rig.publish(*[f"x{i}" for i in range(2000)])
            argv = [sys.executable, str(member), rig.url, rig.prefix, "1.0"]
            with running_process(argv, stderr=out) as process:
                assert process.stdout is not None
                assert process.stdout.readline() == "ready\n", log.read_text()
                store = rig.consumer(group=rig.store)
                seen = Counter(values(rig.served(store, 100)))
        heir = rig.consumer()
        deadline = time.monotonic() + 6 * PATIENCE
        while rig.left() or rig.left(rig.store):
            for consumer in (heir, store):
                batch = consumer.poll(100, 1 << 20, 0.0)
                outputs = [Done((rig.output(r.value.decode()),) if consumer is heir else ()) for r in batch]
                consumer.settle(batch, outputs)
                if consumer is store:
                    seen.update(values(list(batch)))
            assert time.monotonic() < deadline
        wanted = {f"{i}" for i in range(0, 500, 100)} | {f"x{i}" for i in range(2000)}
        assert set(seen) == wanted
        assert sum(seen.values()) - len(wanted) <= 20
    finally:
        rig.close()


class TestTransactions:
    """With `transactions=true`."""

    @pytest.fixture
    def rig(self, url: str) -> Iterator[Rig]:
        rig = Rig(f"{url}?transactions=true")
        yield rig
        rig.close()

    def test_outputs_and_acknowledgement_are_one(self, rig: Rig) -> None:
        consumer, store = rig.consumer(), rig.consumer(group=rig.store)
        rig.publish("a", "b", "c", key="k")
        batch = rig.polled(consumer, 3)
        assert consumer.settle(batch, [Done((rig.output(record.value.decode()),)) for record in batch]) == 0
        assert sorted(values(rig.served(store, 3))) == ["a", "b", "c"]
        consumer.close()
        assert rig.nothing_for(rig.consumer())

    def test_a_settle_after_the_claim_leaves_no_trace(self, rig: Rig) -> None:
        zombie = rig.consumer(claim_seconds=0.6)
        rig.publish("a", key="k")
        lost = rig.polled(zombie, 1)
        heir = rig.consumer()
        taken = rig.polled(heir, 1)
        assert zombie.settle(lost, [Done((rig.output("zombie"),))], [rig.output("batch")]) == 1
        assert heir.settle(taken, [Done((rig.output("heir"),))]) == 0
        store = rig.consumer(group=rig.store)
        assert values(rig.served(store, 1)) == ["heir"]
        assert rig.nothing_for(store)

    def test_an_output_for_an_unknown_topic_takes_all_back(self, rig: Rig) -> None:
        consumer, store = rig.consumer(), rig.consumer(group=rig.store)
        rig.publish("a")
        batch = rig.polled(consumer, 1)
        with pytest.raises(UserMistake, match=rig.nowhere):
            consumer.settle(batch, [Done((rig.output("x"), Message(rig.nowhere, b"y")))])
        assert consumer.settle(batch, [Done((rig.output("z"),))]) == 0
        assert values(rig.served(store, 1)) == ["z"]
        assert rig.nothing_for(store)
