"""Predictions read from the broker itself, on every kind of broker; the test publishes what workers would."""

import threading
from collections.abc import Iterator
from contextlib import nullcontext

import pytest
from tests.beside import running
from tests.conftest import Installation, eventually
from tests.places import EMBEDDED, SERVER_BROKERS, place_on
from tests.unit.sync.conftest import batch, prediction

from predictq.brokers import Message
from predictq.errors import UserMistake
from predictq.ids import new_id
from predictq_producers import Client
from predictq_producers.client import NotFound, Result
from predictq_producers.client.direct import DirectClient
from predictq_producers.client.topic_stream import TopicStream

SETTINGS = """
[endpoints.tumours]
partitions = 4
[deployments.linear]
endpoint = "tumours"
model = "models:Sum"
"""


@pytest.fixture(scope="module", params=["embedded", *SERVER_BROKERS])
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    with nullcontext(EMBEDDED) if request.param == "embedded" else place_on(request.param) as place:
        installation = Installation(tmp_path_factory.mktemp("topic"), place)
        installation.configure(SETTINGS)
        yield installation


@pytest.fixture
def client(site: Installation) -> Iterator[DirectClient]:
    with Client.direct(site.settings) as client:
        yield client


@pytest.fixture
def group() -> str:
    return f"g{new_id()[-12:]}"


def published(site: Installation, count: int) -> list[str]:
    """Ids of requests whose predictions have just been published, each beside the record of its mini-batch."""
    topic = site.names.predictions("tumours")
    ids = [new_id() for _ in range(count)]
    for request_id in ids:
        answer, its_batch = prediction(request_id, outputs=[request_id]), batch(new_id())
        key = request_id.encode()
        site.publish(Message(topic, answer.value, key), Message(topic, its_batch.value), Message(topic, b"{}"))
    return ids


def taken(stream: TopicStream, count: int) -> list[Result]:
    """So many, settled; and whatever came with the last of them, which comes again."""
    found: list[Result] = []
    for result in stream:
        if len(found) == count:
            break
        found.append(result)
    return found


def test_without_a_group_everybody_gets_everything_from_now_on(site: Installation, client: DirectClient) -> None:
    published(site, 2)
    with client.stream("tumours") as one, client.stream("tumours") as other:
        ids = published(site, 5)
        for stream in (one, other):
            told = [result for _, result in zip(range(5), stream, strict=False)]
            assert sorted(result.id for result in told) == sorted(ids)
            assert all(result.outputs == [result.id] and result.finished for result in told)
            assert len({result.predictions[0]["id"] for result in told}) == 5


def test_the_readers_of_a_group_share_and_what_came_meanwhile_waits(
    site: Installation, client: DirectClient, group: str
) -> None:
    client.stream("tumours", group=group).close()
    ids = published(site, 40)
    told: list[str] = []
    over = threading.Event()

    def read() -> None:
        with Client.direct(site.settings) as own, own.stream("tumours", group=group) as stream:
            for result in stream:
                if over.is_set():
                    return
                told.append(result.id)

    def end() -> None:
        over.set()
        published(site, 40)  # so that each of them wakes

    with running(read, read, stop=end):
        eventually(lambda: len(told) >= 40)
    assert sorted(set(told)) == sorted(ids)


def test_what_is_in_hand_when_the_loop_is_left_comes_again(
    site: Installation, client: DirectClient, group: str
) -> None:
    client.stream("tumours", group=group).close()
    ids = published(site, 10)
    with client.stream("tumours", group=group) as stream:
        done = [result.id for result in taken(stream, 4)]
    with client.stream("tumours", group=group) as stream:
        rest = [result.id for _, result in zip(range(6), stream, strict=False)]
    assert sorted(done + rest) == sorted(ids)


def test_two_groups_do_not_know_of_each_other(site: Installation, client: DirectClient, group: str) -> None:
    names = (group, f"{group}-too")
    for name in names:
        client.stream("tumours", group=name).close()
    ids = published(site, 3)
    for name in names:
        with client.stream("tumours", group=name) as stream:
            assert sorted(result.id for _, result in zip(range(3), stream, strict=False)) == sorted(ids)


def test_an_endpoint_that_there_is_not_and_a_name_that_is_none_are_refused(client: DirectClient) -> None:
    with pytest.raises(NotFound):
        client.stream("nothing")
    with pytest.raises(UserMistake, match="mailer"):
        client.stream("tumours", group="My Group")
