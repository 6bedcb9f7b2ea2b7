"""One instance among two hundred ends the process that predicts it: it alone pays."""

import json

import pytest
from tests.conftest import Installation, eventually
from tests.faults.conftest import DEPLOYMENT, ENDPOINT, SETTINGS, configure

from predictq.messages import PREDICTION, PREDICTION_TYPE

pytestmark = [pytest.mark.faults, pytest.mark.timeout(600)]

MODELS = """
import os, signal, threading

class Sum:
    def predict(self, batch):
        if any(row[0] == 113 for row in batch):
            {deed}
        return [sum(row) for row in batch]
"""
DEEDS = {
    "kills": ("os.kill(os.getpid(), signal.SIGKILL)", "signal SIGKILL"),
    "hangs": ("threading.Event().wait()", "took longer than 1 s"),
}


@pytest.mark.parametrize("deed", DEEDS)
def test_the_culprit_alone_is_dead_and_its_neighbours_are_answered(installation: Installation, deed: str) -> None:
    code, logged = DEEDS[deed]
    configure(installation, SETTINGS + "max_predict_seconds = 1\n", MODELS.format(deed=code))
    lines = "".join(f"[{number}, 1]\n" for number in range(200))
    ids = installation.run("submit", ENDPOINT, "-", "--format", "jsonl", stdin=lines).split()
    culprit = ids[113]

    worker, sync = installation.started(("worker", DEPLOYMENT, "--processes", "2"), ("sync",))
    eventually(lambda: installation.unsettled() == 0, installation.logs)

    assert logged in worker.log
    rows = {row["request_id"]: row for row in installation.rows("SELECT * FROM predictions")}
    failed = rows.pop(culprit)
    assert {one: row["outputs"] for one, row in rows.items()} == {
        one: f"[{number + 1}]" for number, one in enumerate(ids) if one != culprit
    }
    assert {row["status"] for row in rows.values()} == {"succeeded"}
    [error] = json.loads(failed["errors"])
    assert (failed["status"], failed["outputs"], error["index"]) == ("failed", "[]", None)
    assert "ended the process" in error["detail"]
    [letter] = installation.rows("SELECT * FROM dead_letters")
    assert (letter["group_name"], letter["attempts"]) == ("predictq.sums.sum", 1)
    assert letter["reason"] == error["detail"]
    assert json.loads(letter["value"])["id"] == culprit
    events = [json.loads(one.value) for one in installation.messages(installation.names.predictions(ENDPOINT))]
    answered = [
        PREDICTION.decode(json.dumps(e).encode())["data"]["request_id"] for e in events if e["type"] == PREDICTION_TYPE
    ]
    assert sorted(answered) == sorted(ids), "one prediction each on the topic"
    assert [worker.stop(), sync.stop()] == [0, 0]
