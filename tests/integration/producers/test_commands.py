"""`predictq submit` and `predictq ingest` as a user runs them."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from predictq.brokers import Broker, Done, Message, Record, Subscription, open_broker
from predictq.ids import is_uuid, new_id
from predictq.messages import REQUEST
from predictq_producers.deriving import event_id

SETTINGS = """
[endpoints.tumours]
input = "tumour.json"
max_instances = 100
[deployments.linear]
endpoint = "tumours"
model = "m.joblib"
"""
SCHEMA = {
    "type": "object",
    "properties": {"radius": {"type": "number"}, "name": {"type": ["string", "null"]}},
    "required": ["radius"],
    "additionalProperties": False,
}
REQUESTS = "predictq.tumours.requests"
DEADLINE_SECONDS = 30.0


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "predictq.toml").write_text(SETTINGS)
    (tmp_path / "tumour.json").write_text(json.dumps(SCHEMA))
    return tmp_path


@pytest.fixture
def broker(folder: Path) -> Iterator[Broker]:
    with closing(open_broker(f"sqlite:///{folder}/var/predictq.db")) as broker:
        yield broker


def run(folder: Path, *arguments: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "predictq", *arguments]
    return subprocess.run(command, cwd=folder, input=stdin, capture_output=True, timeout=60, check=False)


def records(broker: Broker, topic: str, group: str, count: int) -> list[Record]:
    found: list[Record] = []
    deadline = time.monotonic() + DEADLINE_SECONDS
    with closing(broker.consumer(Subscription(topics=(topic,), member=new_id(), group=group))) as consumer:
        while len(found) < count and time.monotonic() < deadline:
            batch = consumer.poll(1000, 1 << 24, 0.0)
            found += batch
            if batch:
                consumer.settle(batch, [Done()] * len(batch))
    return found


def test_a_csv_becomes_requests_whose_ids_are_printed(folder: Path, broker: Broker) -> None:
    (folder / "rows.csv").write_text("radius,name\n" + "".join(f"{i}.5,n{i}\n" for i in range(1200)))
    done = run(folder, "submit", "tumours", "rows.csv")

    assert done.returncode == 0, done.stderr
    assert done.stderr == b""
    ids = done.stdout.decode().split()
    assert len(set(ids)) == 1200
    assert all(is_uuid(each) for each in ids)
    events = {
        event["id"]: event
        for event in (REQUEST.decode(r.value) for r in records(broker, REQUESTS, "predictq.sync.ledger", 1200))
    }
    assert [events[each]["data"]["instances"][0] for each in ids] == [
        {"radius": i + 0.5, "name": f"n{i}"} for i in range(1200)
    ]


def test_standard_input_json_lines_and_several_instances_a_request(folder: Path, broker: Broker) -> None:
    lines = b"".join(b'{"radius":%d}\n' % i for i in range(25))
    arguments = ("submit", "tumours", "-", "--format", "jsonl", "--instances-per-request", "10", "--json")
    done = run(folder, *arguments, stdin=lines)

    printed = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(each["place"], each["instances"]) for each in printed] == [
        ("stdin:1", 10),
        ("stdin:11", 10),
        ("stdin:21", 5),
    ]
    found = records(broker, REQUESTS, "predictq.sync.ledger", 3)
    assert sum(len(REQUEST.decode(r.value)["data"]["instances"]) for r in found) == 25


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        (
            "rows.csv",
            "radius,name\n1,a\nx,b\n2\n",
            'rows.csv:3: radius: "x" is not of type "number"\nrows.csv:4: has 1 cells',
        ),
        ("rows.csv", "radius,nam\n1,a\n", "rows.csv:2: nam: is no feature of this endpoint; did you mean 'name'?"),
        ("rows.jsonl", '{"radius":1}\n{"radius":"x"}\n{}\n', "rows.jsonl:3: radius: is missing"),
        ("rows.jsonl", '{"radius":1e999}\n', "rows.jsonl:1: radius: is no finite number"),
        ("rows.json", '[{"radius":1}, 5]', "rows.json: /1: is neither an object"),
        ("rows.txt", "1", "--format json, jsonl or csv"),
        ("rows.csv", "radius\n", "holds no instance"),
        ("rows.jsonl", "", "holds no instance"),
    ],
)
def test_a_wrong_row_is_told_with_its_place_and_nothing_is_submitted(
    folder: Path, broker: Broker, name: str, content: str, said: str
) -> None:
    (folder / name).write_text(content)
    done = run(folder, "submit", "tumours", name)

    assert done.returncode == 2
    assert said in done.stderr.decode()
    assert b"Traceback" not in done.stderr
    assert done.stdout == b""
    assert not (folder / "var" / "predictq.db").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("submit", "tumour", "-", "--format", "csv"), "there is no endpoint 'tumour'; known: tumours"),
        (("submit", "tumours", "missing.csv"), "missing.csv: cannot be read"),
        (("submit", "tumours", "."), "Is a directory"),
        (("submit", "tumours", "-"), "--format"),
        (("submit", "tumours", "-", "--format", "csv", "--instances-per-request", "101"), "takes 100 a request"),
    ],
)
def test_a_users_mistake_is_one_line_and_exit_code_2(folder: Path, arguments: tuple[str, ...], said: str) -> None:
    done = run(folder, *arguments)
    assert done.returncode == 2
    assert said in done.stderr.decode()
    assert b"Traceback" not in done.stderr


def test_the_intake_translates_what_it_can_and_buries_the_rest(folder: Path, broker: Broker) -> None:
    reading, writing = os.pipe()
    ingest = subprocess.Popen(
        [sys.executable, "-m", "predictq", "ingest"],
        cwd=folder,
        env={**os.environ, "PREDICTQ_READY_FD": str(writing)},
        pass_fds=(writing,),
    )
    os.close(writing)
    try:
        assert os.read(reading, 100) == b"ready\n"
        event = {"specversion": "1.0", "type": "t", "source": "/shop", "id": "1", "data": {"radius": 1}}
        values = [json.dumps(event).encode(), b"\xff\x00", b'{"radius":2}', b'{"colour":2}', b""]
        with closing(broker.producer()) as producer:
            producer.publish([Message("predictq.tumours.intake", value) for value in values])
        found = [REQUEST.decode(r.value) for r in records(broker, REQUESTS, "predictq.sync.ledger", 2)]
        dead = records(broker, "predictq.tumours.dead-letters", "predictq.sync.dead-letters", 3)
    finally:
        ingest.send_signal(signal.SIGTERM)
        code = ingest.wait(DEADLINE_SECONDS)
        os.close(reading)

    assert code == 0
    assert sorted(event["data"]["instances"][0]["radius"] for event in found) == [1, 2]
    assert event_id("tumours", "/shop", "1") in {event["id"] for event in found}
    assert {r.value: r.headers["dead-reason"] for r in dead}.keys() == {b"\xff\x00", b'{"colour":2}', b""}
    assert {r.headers["dead-group"] for r in dead} == {"predictq.intake"}
