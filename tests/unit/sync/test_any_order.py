"""The law of the store: however its messages come, the same rows come of them, and one completion each."""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.sync.conftest import NAMES, make_ledger, make_store, prediction, request, rows_of
from tests.unit.sync.databases import DIALECTS, fresh_url

from predictq.brokers import Record
from predictq.ids import derived_id
from predictq.messages import COMMIT
from predictq_sync import store
from predictq_sync.database import Database

DEPLOYMENTS = ("linear", "forest", "canary")
Places = tuple[list[Database], list[Database]]
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


@pytest.fixture(scope="module", params=DIALECTS)
def places(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Places]:
    """Two databases, each opened twice: as two processes would, so that none may lean on what it has seen itself."""
    with ExitStack() as stack:
        opened = []
        for _ in range(2):
            url = stack.enter_context(fresh_url(request.param, tmp_path_factory.mktemp("place")))
            opened.append([stack.enter_context(closing(Database(url))) for _ in range(2)])
        yield opened[0], opened[1]


@given(history=histories())
@settings(max_examples=60, deadline=None)
@pytest.mark.parametrize("split_rows", [1, 1000])
def test_any_order_duplication_and_split_into_commits_gives_the_same_rows(
    places: Places, split_rows: int, history: tuple[list[Record], list[list[Record]]]
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store, "SPLIT_ROWS", split_rows)
        _compare(places, history)


def _compare(places: Places, history: tuple[list[Record], list[list[Record]]]) -> None:
    messages, commits = history
    plain, _ = _play(places[0], [[message] for message in messages])
    mixed, announced = _play(places[1], commits)

    assert mixed == plain
    finished = {row["id"]: row["status"] for row in mixed[0] if row["status"] != "queued"}
    redriven = {row["request_id"] for row in mixed[1] if row["redrive"]}
    assert set(announced) == set(finished)
    # A redrive may finish a request again, with another status; nothing else may.
    assert {request_id for request_id, times in announced.items() if times > 1} <= redriven


def _play(
    databases: list[Database], commits: Sequence[Sequence[Record]]
) -> tuple[tuple[list[dict[str, Any]], list[dict[str, Any]]], Counter[str]]:
    with databases[0].write() as connection:
        for table in ("requests", "predictions"):
            connection.exec_driver_sql(f"DELETE FROM {table}")
    ledgers = [make_ledger(database) for database in databases]
    stores = [make_store(database) for database in databases]
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
    return (requests, predictions), announced
