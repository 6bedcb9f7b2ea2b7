"""The commands of the sync service, as a user types them."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.beside import after, running
from tests.integration.sync.conftest import NAMES, eventually, predicted, request, submitted
from tests.servers.finding import url_of
from tests.unit.sync.databases import DIALECTS, empty_url

from predictq.brokers import Message, Record, open_broker
from predictq.brokers.copies import dead_letter
from predictq.cli.main import main
from predictq.ids import new_id
from predictq.settings import CONFIG_NAME, Settings, load_settings
from predictq.topology import topology_of

SETTINGS = """
[endpoints.tumours]
[deployments.linear]
endpoint = "tumours"
model = "linear.joblib"
"""

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(params=DIALECTS)
def settings(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    """With a database that has nothing in it yet."""
    file = tmp_path / "predictq.toml"
    file.write_text(SETTINGS)
    monkeypatch.setenv("PREDICTQ_CONFIG", str(file))
    with ExitStack() as stack:
        if request.param == "postgresql":
            url = stack.enter_context(empty_url(url_of("postgresql")))
            monkeypatch.setenv("PREDICTQ_DATABASE", url)
        yield load_settings()


@pytest.fixture
def run(settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["predictq", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return ended.value.code, said.out, said.err

    return run


@contextmanager
def _sync(settings: Settings) -> Iterator[None]:
    """`predictq sync` in a process of its own, ended as a supervisor ends it."""
    reading, writing = os.pipe()
    process = subprocess.Popen(
        [sys.executable, "-m", "predictq", "sync"],
        env={
            **os.environ,
            "PREDICTQ_CONFIG": str(settings.folder / CONFIG_NAME),
            "PREDICTQ_READY_FD": str(writing),
        },
        pass_fds=(writing,),
        stderr=subprocess.PIPE,
    )
    os.close(writing)
    try:
        with os.fdopen(reading) as pipe:
            assert pipe.read() == "ready\n", process.stderr and process.stderr.read()
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors.decode()


def _publish(settings: Settings, *messages: Message) -> None:
    with closing(open_broker(settings.broker_url())) as broker:
        with closing(broker.admin()) as admin:
            admin.ensure(topology_of(settings))
        with closing(broker.producer()) as producer:
            producer.publish(messages)


def test_from_an_empty_folder_to_a_finished_request(settings: Settings, run: Run) -> None:
    event = request(new_id())
    with _sync(settings):
        _publish(settings, submitted(event))
        assert run("get", event["id"])[0] == 1
        with running(after(0.3, lambda: _publish(settings, predicted(event)))):
            code, out, _ = run("get", event["id"], "--wait", "60", "--json")

    body = json.loads(out)
    assert (code, body["id"], body["status"]) == (0, event["id"], "succeeded")
    assert body["predictions"][0]["outputs"] == [0.5]

    code, out, _ = run("get", event["id"])
    assert code == 0
    assert out.splitlines()[0].split("\t")[0].startswith(event["id"])
    assert out.splitlines()[2] == "linear\t1\tsucceeded\t[0.5]\t"


def test_get_of_what_there_is_not(run: Run) -> None:
    assert run("db", "upgrade")[0] == 0
    started = time.monotonic()
    code, out, err = run("get", new_id())
    assert (code, out) == (1, "")
    assert "is not in the database" in err
    assert time.monotonic() - started < 30


@pytest.mark.parametrize(
    "command",
    [("get", new_id()), ("dead-letters", "list"), ("db", "prune", "--dry-run")],
    ids=["get", "dead-letters", "prune"],
)
def test_a_database_without_tables_is_one_line_with_the_cure(
    settings: Settings, run: Run, command: tuple[str, ...]
) -> None:
    code, out, err = run(*command)

    assert (code, out) == (2, "")
    assert err.startswith("error: database: ")
    assert "predictq db upgrade" in err
    assert len(err.splitlines()) == 1
    assert not (settings.folder / "var").exists(), "a command that reads made a database"


def test_db_upgrade_may_be_run_again(run: Run) -> None:
    assert json.loads(run("db", "upgrade", "--json")[1]) == {"revision": "0008", "changed": True}
    assert json.loads(run("db", "upgrade", "--json")[1]) == {"revision": "0008", "changed": False}


def test_db_prune_deletes_what_it_said_it_would(settings: Settings, run: Run) -> None:
    answered, waiting = request(new_id()), request(new_id())
    with _sync(settings):
        _publish(settings, submitted(answered), submitted(waiting), predicted(answered))
        _publish(settings, Message(NAMES.requests("tumours"), b"garbage"))
        eventually(lambda: _prune(run, "--older-than", "7d", "--dry-run") is not None)
        eventually(lambda: _prune(run, "--older-than", "0.001s", "--dry-run") == (1, 1))
        eventually(lambda: run("get", waiting["id"], "--json")[1] != "")

    assert _prune(run, "--dry-run") == (0, 0)
    assert _prune(run, "--older-than", "0.001s") == (1, 1)
    assert _prune(run, "--older-than", "0.001s", "--dry-run") == (0, 0)
    assert run("get", waiting["id"], "--json")[1] != "", "it still waits for its answer"


@pytest.mark.parametrize("age", ["", "7", "d", "-1d", "nan d", "infd", "1w"])
def test_db_prune_refuses_what_is_no_age(run: Run, age: str) -> None:
    code, _, err = run("db", "prune", f"--older-than={age}")
    assert code == 2
    assert "90s, 30m, 12h or 7d would be right" in err


def test_dead_letters_from_garbage_to_nothing(settings: Settings, run: Run) -> None:
    with _sync(settings):
        _publish(settings, Message(NAMES.requests("tumours"), b"\x1b[31mgarbage", None, {"trace": "1"}))
        eventually(lambda: len(_letters(run)) == 1)
        (letter,) = _letters(run, "--endpoint", "tumours", "--group", NAMES.ledger_group)
        assert _letters(run, "--endpoint", "fraud") == []

        code, out, _ = run("dead-letters", "show", letter["id"])
        assert code == 0
        assert "value: \\x1b[31mgarbage" in out
        assert "\x1b" not in out
        whole = json.loads(run("dead-letters", "show", letter["id"], "--json")[1])
        assert (whole["value"], whole["headers"]) == ("\x1b[31mgarbage", {"trace": "1"})

        sent = json.loads(run("dead-letters", "redrive", letter["id"], "--json")[1])
        assert sent == [{"id": letter["id"], "topic": NAMES.requests("tumours")}]
        eventually(lambda: sorted(found["state"] for found in _letters(run)) == ["open", "redriven"])

        code, out, err = run("dead-letters", "redrive", letter["id"])
        assert (code, out) == (2, "")
        assert "sent again already" in err
        assert "the newer dead letter" in err

    assert run("dead-letters", "purge", "--all")[0] == 2, "purged without asking"
    assert json.loads(run("dead-letters", "purge", letter["id"], "--yes", "--json")[1]) == {"purged": 1}
    assert json.loads(run("dead-letters", "purge", "--all", "--yes", "--json")[1]) == {"purged": 1}
    assert _letters(run) == []


def test_a_letter_of_a_retired_deployment_is_told_and_the_others_are_sent(settings: Settings, run: Run) -> None:
    def died(deployment: str, position: str) -> Message:
        origin = Record(NAMES.requests("tumours"), 0, position, b"{}", None, {}, 1.0, 0)
        return dead_letter(origin, NAMES.workers("tumours", deployment), "too hard", time.time())

    with _sync(settings):
        _publish(settings, died("retired", "1"), died("linear", "2"))
        eventually(lambda: len(_letters(run)) == 2)
    code, out, err = run("dead-letters", "redrive", "--all", "--json")

    (left,) = [letter for letter in _letters(run) if letter["state"] == "open"]
    assert code == 1
    assert [sent["topic"] for sent in json.loads(out)] == [NAMES.retries("tumours", "linear")]
    assert f"{left['id']} was not sent: there is no topic {NAMES.retries('tumours', 'retired')} any more" in err


def test_pruning_cancels_what_a_removed_deployment_owes_however_late_it_came(settings: Settings, run: Run) -> None:
    file = settings.folder / CONFIG_NAME
    file.write_text(SETTINGS + SETTINGS.partition("[endpoints.tumours]")[2].replace("linear", "forest"))
    first, second = (request(new_id(), deployments=["linear", "forest"]) for _ in range(2))
    _publish(load_settings(), submitted(first))
    file.write_text(SETTINGS)

    code, _, err = run("topics", "ensure", "--prune", "--yes")
    assert code == 2
    assert f"has not read all of {NAMES.requests('tumours')}" in err
    assert "run `predictq sync`" in err
    assert NAMES.retries("tumours", "forest") in run("topics", "list")[1], "deleted though it refused"

    with _sync(settings):
        eventually(lambda: run("get", first["id"], "--json")[1] != "")
        assert run("topics", "ensure", "--prune", "--yes")[0] == 0
        assert _statuses(run, first["id"]) == {"forest": "cancelled"}

        _publish(settings, submitted(second))
        eventually(lambda: run("get", second["id"], "--json")[1] != "")
        assert json.loads(run("topics", "ensure", "--prune", "--json")[1]) == []
        assert _statuses(run, second["id"]) == {"forest": "cancelled"}


@pytest.mark.parametrize(
    "arguments",
    [("show", "none"), ("redrive", "none"), ("redrive",), ("redrive", "one", "--all"), ("purge", "--yes")],
)
def test_dead_letters_that_are_not_there_or_not_named_are_the_users_mistake(
    run: Run, arguments: tuple[str, ...]
) -> None:
    run("db", "upgrade")
    code, out, err = run("dead-letters", *arguments)
    assert (code, out) == (2, "")
    assert err.startswith("error: ")


def test_what_sync_cannot_start_with_is_one_line_and_exit_code_two(settings: Settings, run: Run) -> None:
    file = settings.folder / "predictq.toml"
    file.write_text(f'{SETTINGS}\n[sinks.mail]\ntarget = "nowhere_at_all:Sink"\n')
    code, _, err = run("sync")
    assert code == 2
    assert "sinks.mail.target: 'nowhere_at_all:Sink' cannot be made" in err
    assert "Traceback" not in err


def _letters(run: Run, *arguments: str) -> list[dict[str, Any]]:
    code, out, err = run("dead-letters", "list", "--json", *arguments)
    assert code == 0, err
    found: list[dict[str, Any]] = json.loads(out)
    return found


def _statuses(run: Run, request_id: str) -> dict[str, str]:
    body = json.loads(run("get", request_id, "--json")[1])
    return {prediction["deployment"]: prediction["status"] for prediction in body["predictions"]}


def _prune(run: Run, *arguments: str) -> tuple[int, int]:
    code, out, err = run("db", "prune", "--json", *arguments)
    assert code == 0, err
    pruned = json.loads(out)
    return pruned["requests"], pruned["dead_letters"]
