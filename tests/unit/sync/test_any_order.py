"""The law of the store: however its messages come, the same rows come of them, and one completion each."""

import shutil
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.sync.conftest import LIMITS, NAMES, NOW, make_store, prediction, request, rows_of

from predictq.brokers import Record
from predictq.ids import derived_id
from predictq.messages import COMMIT
from predictq_sync.database import Database
from predictq_sync.ledger import Ledger
from predictq_sync.migrations import upgrade

DEPLOYMENTS = ("linear", "forest", "canary")
TERMINAL = st.sampled_from(["succeeded", "partial", "failed", "expired"])


@st.composite
def requests_with_answers(draw: st.DrawFn, request_id: str, most_failures: int) -> tuple[Record, list[Record]]:
    """A request, and answers to it: some deployments fail at first, and are redriven until they do not."""
    owing = draw(st.lists(st.sampled_from(DEPLOYMENTS), min_size=1, max_size=3, unique=True))
    answers: list[Record] = []
    for deployment in DEPLOYMENTS:
        shadow = deployment not in owing
        failures = draw(st.integers(0, most_failures))
        answers += [
            prediction(request_id, deployment=deployment, status="failed", redrive=redrive, shadow=shadow, outputs=[])
            for redrive in range(failures)
        ]
        if draw(st.booleans()):
            last = draw(TERMINAL)
            answers.append(prediction(request_id, deployment=deployment, status=last, redrive=failures, shadow=shadow))
    return request(request_id, deployments=owing), answers


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[Record], list[list[Record]]]:
    """Messages, and one way in which they may come: in any order, some several times, split into any commits."""
    messages: list[Record] = []
    most_failures = draw(st.sampled_from([0, 0, 2]))
    for number in range(draw(st.integers(1, 3))):
        made, answers = draw(requests_with_answers(derived_id(str(number)), most_failures))
        messages += [made, *answers]
    again = draw(st.lists(st.sampled_from(messages), max_size=5))
    coming = draw(st.permutations([*messages, *again]))
    cuts = sorted(draw(st.sets(st.integers(1, max(1, len(coming) - 1)), max_size=6)))
    return messages, [coming[a:b] for a, b in zip([0, *cuts], [*cuts, len(coming)], strict=True)]


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with its tables, to be copied for each history."""
    file = tmp_path_factory.mktemp("empty") / "predictions.db"
    database = Database(f"sqlite:///{file}")
    upgrade(database)
    database.close()
    return file


@given(history=histories())
@settings(max_examples=60, deadline=None)
def test_any_order_duplication_and_split_into_commits_gives_the_same_rows(
    empty: Path, history: tuple[list[Record], list[list[Record]]]
) -> None:
    messages, commits = history
    plain, _ = _play(empty, "plain.db", [[message] for message in messages])
    mixed, announced = _play(empty, "mixed.db", commits)

    assert mixed == plain
    finished = {row["id"]: row["status"] for row in mixed[0] if row["status"] != "queued"}
    redriven = {row["request_id"] for row in mixed[1] if row["redrive"]}
    assert set(announced) == set(finished)
    # A redrive may finish a request again, with another status; nothing else may.
    assert {request_id for request_id, times in announced.items() if times > 1} <= redriven


def _play(
    empty: Path, name: str, commits: Sequence[Sequence[Record]]
) -> tuple[tuple[list[dict[str, Any]], list[dict[str, Any]]], Counter[str]]:
    file = empty.with_name(name)
    shutil.copy(empty, file)
    # Two of each, as two processes would have: none may lean on what it has seen itself.
    databases = [Database(f"sqlite:///{file}") for _ in range(2)]
    ledgers = [
        Ledger(database=d, names=NAMES, endpoints=["tumours"], limits=LIMITS, admin=_none, clock=lambda: NOW)
        for d in databases
    ]
    stores = [make_store(d) for d in databases]
    announced: Counter[str] = Counter()
    for turn, commit in enumerate(commits):
        for handler, records in (
            (ledgers[turn % 2], [r for r in commit if r.topic == NAMES.requests("tumours")]),
            (stores[turn % 2], [r for r in commit if r.topic != NAMES.requests("tumours")]),
        ):
            if records:
                for message in handler.handle(records).also:
                    announced.update(COMMIT.decode(message.value)["data"]["ids"])
    requests = rows_of(databases[0], "requests", "id")
    predictions = rows_of(databases[0], "predictions", "request_id, deployment")
    for database in databases:
        database.close()
    for suffix in ("", "-wal", "-shm"):
        file.with_name(file.name + suffix).unlink(missing_ok=True)
    return (requests, predictions), announced


def _none() -> Any:
    raise AssertionError("rows need no admin")
