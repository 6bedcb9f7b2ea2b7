"""Users' sinks get every committed prediction at least once."""

from pathlib import Path
from typing import Any

import pytest
from tests.unit.sync.conftest import NOW, make_store, prediction, request

from predictq.clock import wire_time
from predictq.errors import SettingsError, Unavailable
from predictq.ids import new_id
from predictq.settings import Settings, SinkSettings
from predictq_sync.database import Database
from predictq_sync.ledger import Ledger
from predictq_sync.reading import Reader
from predictq_sync.sinks import Sinks, open_sinks


class Taking:
    """Raises as often as it is told to, then takes."""

    def __init__(self, failures: int = 0) -> None:
        self.failures = failures
        self.calls: list[list[dict[str, Any]]] = []

    def __call__(self, predictions: list[dict[str, Any]]) -> None:
        if self.failures:
            self.failures -= 1
            raise ConnectionError("mail server away")
        self.calls.append(predictions)


def test_a_sink_gets_the_predictions_of_a_commit(database: Database) -> None:
    sink = Taking()
    store = make_store(database, after_commit=Sinks(database, {"mail": sink}))
    first, second = sorted([new_id(), new_id()])

    store.handle([prediction(second, deployment="dark", shadow=True), prediction(first), prediction(first)])

    (call,) = sink.calls
    assert [(p["request_id"], p["visible"]) for p in call] == [(first, True), (second, False)]
    assert call[0] == {
        "request_id": first,
        "deployment": "linear",
        "endpoint": "tumours",
        "model_version": "7",
        "status": "succeeded",
        "outputs": [0.5],
        "errors": [],
        "batch_id": "batch-1",
        "redrive": 0,
        "visible": True,
        "created_at": wire_time(NOW + 1),
    }


def test_a_sink_that_raises_gets_the_same_again(database: Database, caplog: pytest.LogCaptureFixture) -> None:
    sink = Taking(failures=2)
    store = make_store(database, after_commit=Sinks(database, {"mail": sink}))
    records = [prediction(new_id())]

    for _ in range(2):
        with pytest.raises(Unavailable, match="sink mail: ConnectionError: mail server away"):
            store.handle(records)
    store.handle(records)

    assert [len(call) for call in sink.calls] == [1]
    assert "sink mail raised" in caplog.text


def test_of_several_only_the_one_that_raised_gets_the_same_again(database: Database) -> None:
    first, failing, last = Taking(), Taking(failures=2), Taking()
    store = make_store(database, after_commit=Sinks(database, {"first": first, "failing": failing, "last": last}))
    records = [prediction(new_id()), prediction(new_id())]

    for _ in range(2):
        with pytest.raises(Unavailable, match="sink failing"):
            store.handle(records)
    store.handle(records)

    assert [len(sink.calls) for sink in (first, failing, last)] == [1, 1, 1]


def test_other_predictions_go_to_all_sinks_though_one_raised_before(database: Database) -> None:
    first, failing = Taking(), Taking(failures=1)
    store = make_store(database, after_commit=Sinks(database, {"first": first, "failing": failing}))
    one, two = [prediction(new_id())], [prediction(new_id())]

    with pytest.raises(Unavailable):
        store.handle(one)
    store.handle(two)
    store.handle(one)
    store.handle(one)

    assert [len(sink.calls) for sink in (first, failing)] == [4, 3]


def test_a_sink_gets_the_answer_that_counts(ledger: Ledger, database: Database) -> None:
    sink = Taking()
    store = make_store(database, after_commit=Sinks(database, {"mail": sink}))
    request_id = new_id()
    ledger.handle([request(request_id)])
    Reader(database).cancel(request_id, NOW)

    store.handle([prediction(request_id)])

    assert [p["status"] for p in sink.calls[0]] == ["cancelled"]


def test_without_sinks_nothing_is_read(sqlite_database: Database) -> None:
    sqlite_database.close()
    assert sqlite_database.path is not None
    sqlite_database.path.unlink()
    Sinks(sqlite_database, {})([])


def test_a_sink_is_made_of_its_class_and_options(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.path", __import__("sys").path[:])
    (tmp_path / "my_sink_module.py").write_text(
        "class Mail:\n"
        "    def __init__(self, *, to):\n"
        "        self.to = to\n"
        "    def __call__(self, predictions):\n"
        "        pass\n"
    )
    settings = Settings(
        sinks={"mail": SinkSettings(target="my_sink_module:Mail", options={"to": "me"})}, folder=tmp_path
    )

    assert vars(open_sinks(settings)["mail"]) == {"to": "me"}


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("nowhere", "package.module:Class"),
        ("no_such_module:Sink", "ModuleNotFoundError"),
        ("json:Nothing", "AttributeError"),
        ("json:JSONDecoder", "cannot be called"),
    ],
)
def test_a_sink_that_cannot_be_made_is_refused_with_its_key(tmp_path: Path, target: str, reason: str) -> None:
    settings = Settings(sinks={"mail": SinkSettings(target=target)}, folder=tmp_path)
    with pytest.raises(SettingsError, match=rf"sinks\.mail\.target: '{target}'.*{reason}"):
        open_sinks(settings)
