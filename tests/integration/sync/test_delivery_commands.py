"""`predictq deliveries` as a user types it."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from predictq.cli.main import main
from predictq.clock import wire_time
from predictq.settings import load_settings
from predictq_sync.database import opened
from predictq_sync.service import prepare
from predictq_sync.tables import deliveries
from predictq_sync.webhooks.outbox import pending
from predictq_sync.webhooks.places import place_for

URL = "https://example.org/hook"
TRIED = [{"at": wire_time(0.0), "status": 500, "error": "answered 500", "seconds": 0.1}]

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs the command where there are four deliveries: `a` and `b` failed, `c` is pending, `d` was delivered."""
    (tmp_path / "predictq.toml").write_text("")
    monkeypatch.setenv("PREDICTQ_CONFIG", str(tmp_path / "predictq.toml"))
    settings = load_settings()
    prepare(settings)
    with opened(settings.database_url()) as database, database.write() as connection:
        for at, (name, webhook, state) in enumerate(
            [("a", "mine", "failed"), ("b", None, "failed"), ("c", None, "pending"), ("d", "mine", "delivered")]
        ):
            row = pending(URL, "prediction.failed", name, wire_time(at), webhook_id=webhook, place=place_for(URL))
            made = row._replace(id=name, state=state, history=json.dumps(TRIED if state == "failed" else []))
            connection.execute(deliveries.insert().values(**made._asdict()))

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["predictq", "deliveries", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return ended.value.code, said.out, said.err

    return run


def states(run: Run) -> dict[str, str]:
    found: list[dict[str, Any]] = json.loads(run("list", "--json")[1])
    return {each["id"]: each["state"] for each in found}


def test_the_latest_are_listed_first_with_their_last_error(run: Run) -> None:
    code, out, _ = run("list")

    assert code == 0
    header, *lines = (line.split("\t") for line in out.splitlines())
    assert header == ["id", "created at", "event", "subject", "state", "attempts", "last error"]
    assert [(line[0], line[4], line[6]) for line in lines] == [
        ("d", "delivered", ""),
        ("c", "pending", ""),
        ("b", "failed", "answered 500"),
        ("a", "failed", "answered 500"),
    ]


@pytest.mark.parametrize(
    ("filters", "left"),
    [
        (("--state", "failed"), ["b", "a"]),
        (("--webhook", "mine"), ["d", "a"]),
        (("--state", "failed", "--webhook", "mine"), ["a"]),
        (("--limit", "1"), ["d"]),
        (("--webhook", "nobody"), []),
    ],
)
def test_filters_leave_some(run: Run, filters: tuple[str, ...], left: list[str]) -> None:
    assert [each["id"] for each in json.loads(run("list", *filters, "--json")[1])] == left


def test_a_state_that_is_none_is_refused(run: Run) -> None:
    code, _, err = run("list", "--state", "done")

    assert code == 2
    assert "pending, delivered, failed" in err


def test_those_that_are_named_are_delivered_again(run: Run) -> None:
    code, out, _ = run("replay", "a", "d", "--json")

    assert (code, json.loads(out)) == (0, {"replayed": ["a", "d"]})
    assert states(run) == {"a": "pending", "b": "failed", "c": "pending", "d": "pending"}


def test_all_that_failed_are_delivered_again(run: Run) -> None:
    code, _, err = run("replay", "--all")

    assert code == 0
    assert "2 to be delivered again" in err
    assert states(run) == {"a": "pending", "b": "pending", "c": "pending", "d": "delivered"}


def test_all_that_failed_of_one_webhook(run: Run) -> None:
    assert run("replay", "--all", "--webhook", "mine")[0] == 0
    assert states(run)["b"] == "failed"


@pytest.mark.parametrize("arguments", [(), ("a", "--all")])
def test_either_ids_or_all(run: Run, arguments: tuple[str, ...]) -> None:
    code, _, err = run("replay", *arguments)

    assert code == 2
    assert "name the ids of deliveries, or --all" in err
    assert states(run)["a"] == "failed"


def test_one_that_does_not_exist_is_named(run: Run) -> None:
    code, _, err = run("replay", "a", "nobody")

    assert code == 2
    assert "nobody: there is no such delivery" in err
