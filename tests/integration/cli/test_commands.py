"""The `predictq` command as a script sees it: exit codes, plain output, JSON, and never a traceback."""

import json
import os
import pty
import re
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main

from predictq.cli.main import build_app

FILE = """
[endpoints.tumours]
[deployments.linear]
endpoint = "tumours"
model = "models/linear.joblib"
"""
RETIRED = """
[deployments.forest]
endpoint = "tumours"
model = "models/forest.joblib"
"""

Predictq = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def predictq(tmp_path: Path) -> Predictq:
    """Runs `predictq ...` in a folder with a settings file, without a terminal."""
    (tmp_path / "predictq.toml").write_text(FILE)

    def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "predictq", *arguments],
            cwd=tmp_path,
            env={**os.environ, "PREDICTQ_GATEWAY__PORT": "0", **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )

    return run


def commands() -> Iterator[tuple[str, ...]]:
    def walk(command: Any, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
        yield path
        for name, inner in getattr(command, "commands", {}).items():
            yield from walk(inner, (*path, name))

    yield from walk(typer.main.get_command(build_app()), ())


@pytest.mark.parametrize("path", list(commands()), ids=" ".join)
def test_every_command_says_what_it_is_for(path: tuple[str, ...]) -> None:
    command: Any = typer.main.get_command(build_app())
    for name in path:
        command = command.commands[name]

    assert command.help
    for parameter in command.params:
        assert getattr(parameter, "help", None) or parameter.name == "help", parameter.name


def test_help_and_version(predictq: Predictq) -> None:
    assert predictq("--help").returncode == 0
    assert predictq("topics", "lag", "-h").returncode == 0
    assert re.fullmatch(r"predictq \d+\.\d+\.\d+\n", predictq("--version").stdout)


def test_an_unknown_command_is_a_mistake(predictq: Predictq) -> None:
    assert predictq("predict").returncode == 2


@pytest.mark.parametrize("command", [("topics", "list"), ("up",), ("worker", "linear")])
def test_broken_settings_are_a_mistake_told_in_a_line(
    predictq: Predictq, tmp_path: Path, command: tuple[str, ...]
) -> None:
    (tmp_path / "predictq.toml").write_text(FILE + "modle = 1")

    done = predictq(*command)

    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr == (
        "error: predictq.toml: deployments.linear.modle: is no key that predictq knows; did you mean 'model'?\n"
    )


def test_another_settings_file_can_be_named(predictq: Predictq, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "mine.toml").write_text(FILE.replace("tumours", "flowers"))

    done = predictq("--config", "other/mine.toml", "topics", "ensure", "--json")

    assert "predictq.flowers.requests" in done.stdout
    assert (tmp_path / "other" / "var" / "predictq.db").exists()


def test_a_broker_that_is_away_is_no_mistake_of_the_user(predictq: Predictq) -> None:
    done = predictq("topics", "list", PREDICTQ_BROKER="sqlite:////proc/none/queue.db")

    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert "Traceback" not in done.stderr


def test_the_asyncapi_document_needs_no_broker(predictq: Predictq) -> None:
    document = json.loads(predictq("topics", "asyncapi", PREDICTQ_BROKER="kafka://nowhere.invalid").stdout)
    assert document["servers"]["broker"]["protocol"] == "kafka"
    assert "predictq.tumours.predictions" in document["channels"]


def test_topics_are_made_once(predictq: Predictq) -> None:
    planned = json.loads(predictq("topics", "ensure", "--dry-run", "--json").stdout)
    before = json.loads(predictq("topics", "list", "--json").stdout)
    made = json.loads(predictq("topics", "ensure", "--json").stdout)
    again = predictq("topics", "ensure", "--json")
    after = json.loads(predictq("topics", "list", "--json").stdout)

    assert planned == made
    assert {topic["state"] for topic in before} == {"missing"}
    assert {"topic": "predictq.tumours.requests", "partitions": 4, "state": "in use"} in after
    assert {topic["state"] for topic in after} == {"in use"}
    assert json.loads(again.stdout) == []
    assert again.returncode == 0


def test_without_a_terminal_a_table_is_tab_separated(predictq: Predictq) -> None:
    predictq("topics", "ensure")

    lines = predictq("topics", "lag").stdout.splitlines()

    assert lines[0].split("\t") == ["group", "topic", "ready", "in flight", "oldest age (s)", "members"]
    assert ["predictq.tumours.linear", "predictq.tumours.requests", "0", "0", "", "0"] in [
        line.split("\t") for line in lines
    ]


def test_lag_in_json_has_its_numbers_by_name(predictq: Predictq) -> None:
    predictq("topics", "ensure")

    rows = json.loads(predictq("topics", "lag", "--json").stdout)

    assert {
        "group": "predictq.sync.ledger",
        "topic": "predictq.tumours.bulk",
        "ready": 0,
        "in_flight": 0,
        "oldest_age_seconds": None,
        "members": 0,
    } in rows


def test_pruning_asks_first_and_without_a_terminal_wants_yes(predictq: Predictq, tmp_path: Path) -> None:
    (tmp_path / "predictq.toml").write_text(FILE + RETIRED)
    predictq("topics", "ensure")
    (tmp_path / "predictq.toml").write_text(FILE)

    refused = predictq("topics", "ensure", "--prune")
    kept = {topic["topic"]: topic["state"] for topic in json.loads(predictq("topics", "list", "--json").stdout)}
    pruned = predictq("topics", "ensure", "--prune", "--yes", "--json")
    left = {topic["topic"] for topic in json.loads(predictq("topics", "list", "--json").stdout)}

    assert refused.returncode == 2
    assert "predictq.tumours.retries.forest" in refused.stderr
    assert "add --yes" in refused.stderr
    assert kept["predictq.tumours.retries.forest"] == "not in the settings"
    assert pruned.returncode == 0
    assert {change["action"] for change in json.loads(pruned.stdout)} == {"delete"}
    assert "predictq.tumours.retries.forest" not in left
    assert "predictq.tumours.retries.linear" in left


def test_the_doctor_makes_nothing(predictq: Predictq, tmp_path: Path) -> None:
    done = predictq("doctor", "--json")

    checks = {check["name"]: check for check in json.loads(done.stdout)}
    assert done.returncode == 1
    assert checks["broker"]["detail"] == f"{tmp_path / 'var' / 'predictq.db'}: no file yet"
    assert "predictq topics ensure" in checks["broker"]["cure"]
    assert "predictq up" in checks["broker"]["cure"]
    assert [path.name for path in tmp_path.iterdir()] == ["predictq.toml"]


def test_the_doctor_names_a_cure_for_each_failure(predictq: Predictq, tmp_path: Path) -> None:
    predictq("topics", "ensure")
    (tmp_path / "predictq.toml").write_text(FILE + RETIRED)

    done = predictq("doctor", "--json")

    checks = {check["name"]: check for check in json.loads(done.stdout)}
    assert done.returncode == 1
    assert checks["settings"]["ok"]
    assert checks["broker"]["ok"]
    assert not checks["deployments.linear.model"]["ok"]
    assert not checks["topics and groups"]["ok"]
    assert not checks["database"]["ok"]
    assert all(check["cure"] for check in checks.values() if not check["ok"])


def test_the_doctor_is_content_when_all_is_well(predictq: Predictq, tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "linear.joblib").touch()
    predictq("topics", "ensure")
    assert predictq("db", "upgrade").returncode == 0

    done = predictq("doctor")

    assert done.returncode == 0, done.stdout
    assert "FAIL" not in done.stdout


def test_the_doctor_goes_on_where_the_broker_cannot_be_opened(predictq: Predictq, tmp_path: Path) -> None:
    (tmp_path / "broker.db").write_text("something else")

    done = predictq("doctor", "--json", PREDICTQ_BROKER="sqlite:///broker.db")

    checks = {check["name"]: check for check in json.loads(done.stdout)}
    assert done.returncode == 1
    assert "no SQLite file" in checks["broker"]["detail"]
    assert "database" in checks


def test_the_doctor_says_which_settings_are_broken(predictq: Predictq, tmp_path: Path) -> None:
    (tmp_path / "predictq.toml").write_text("[gateway]\nprot = 1")

    done = predictq("doctor", "--quiet")

    assert done.returncode == 1
    assert "gateway.prot: is no key that predictq knows; did you mean 'port'?" in done.stdout


def test_a_taken_port_is_told_before_anything_starts(predictq: Predictq) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        started = predictq("up", PREDICTQ_GATEWAY__PORT=str(port))
        looked = predictq("doctor", "--quiet", PREDICTQ_GATEWAY__PORT=str(port))

    assert started.returncode == 2
    assert f"127.0.0.1:{port} is taken" in started.stderr
    assert f"127.0.0.1:{port} is taken" in looked.stdout


def test_up_with_nothing_to_run_is_a_mistake(predictq: Predictq, tmp_path: Path) -> None:
    (tmp_path / "predictq.toml").write_text("[endpoints.tumours]")

    done = predictq("up")

    assert done.returncode == 2
    assert "has no [deployments.<name>]" in done.stderr


def test_up_with_a_model_that_is_not_there_ends_with_2(predictq: Predictq) -> None:
    done = predictq("up")

    assert done.returncode == 2
    assert "models/linear.joblib" in done.stderr
    assert "Traceback" not in done.stderr


def test_on_a_terminal_a_table_is_drawn(tmp_path: Path) -> None:
    (tmp_path / "predictq.toml").write_text(FILE)
    leader, follower = pty.openpty()

    process = subprocess.Popen(
        [sys.executable, "-m", "predictq", "topics", "list"],
        cwd=tmp_path,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "100"},
        stdin=subprocess.DEVNULL,
        stdout=follower,
    )
    os.close(follower)
    seen = b""
    try:
        while chunk := os.read(leader, 65536):
            seen += chunk
    except OSError:  # Linux's way of saying that the other end is closed
        pass
    os.close(leader)

    assert process.wait(30) == 0
    assert b"\x1b[1m" in seen
    assert b"\t" not in seen
