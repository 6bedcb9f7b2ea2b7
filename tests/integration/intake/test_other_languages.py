"""What docs/events.md shows in other languages puts an event on the intake, and it is answered."""

import re
import subprocess
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from tests.conftest import Installation, eventually
from tests.places import ServerBroker, place_on
from tests.servers.kafka_jars import jar_folder
from tests.servers.nodejs import install_packages
from tests.servers.programs import program

from predictq_producers.deriving import event_id

PAGE = Path(__file__).parents[3] / "docs/events.md"
SETTINGS = """
[endpoints.orders]
[deployments.total]
endpoint = "orders"
model = "models:Total"
"""
MODELS = """
class Total:
    def predict(self, batch):
        return [row["price"] * row["items"] for row in batch]
"""


def _host_of(url: str) -> str:
    return urlsplit(url).netloc


def _java(file: Path) -> Sequence[str]:
    program("javac")  # what it needs to run a file of source
    return (program("java"), "-cp", f"{jar_folder()}/*", str(file))


def _node(file: Path) -> Sequence[str]:
    install_packages(Path(__file__).parent / "nodejs", file.parent)
    return (program("node"), str(file))


@pytest.fixture
def installation(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Installation]:
    broker: ServerBroker = request.param
    with place_on(broker) as place:
        (tmp_path / "installation").mkdir()
        installation = Installation(tmp_path / "installation", place)
        try:
            installation.configure(SETTINGS, MODELS)
            yield installation
        finally:
            installation.clear()


@pytest.mark.parametrize(
    ("installation", "name", "command", "place"),
    [
        ("kafka", "kafka.mjs", _node, _host_of),
        ("redis", "redis.mjs", _node, str),
        ("amqp", "rabbitmq.mjs", _node, str),
        ("kafka", "Send.java", _java, _host_of),
    ],
    indirect=["installation"],
    ids=["kafkajs", "redis", "amqplib", "kafka-clients"],
)
def test_an_event_of_another_language_is_answered(
    installation: Installation,
    name: str,
    command: Callable[[Path], Sequence[str]],
    place: Callable[[str], str],
    tmp_path: Path,
) -> None:
    (text,) = re.findall(rf"^```java(?:script)? file={name}\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    (tmp_path / name).write_text(text)
    words = command(tmp_path / name)
    installation.started(("up", "--json"))

    to = (place(installation.settings.broker_url()), f"{installation.place.prefix}.orders")
    sent = subprocess.run([*words, *to], cwd=tmp_path, capture_output=True, text=True, check=False)

    assert sent.returncode == 0, sent.stdout + sent.stderr
    with installation.client() as http:
        url = f"/v1/predictions/{event_id('orders', '/shop', 'order-1')}"
        eventually(lambda: http.get(url).json().get("status") == "succeeded", installation.logs)
        assert http.get(url).json()["predictions"][0]["outputs"] == [19.0]
