"""One installation with every kind of deployment, run by `predictq up` for all tests of the path."""

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from typing import Any

import httpx
import joblib
import pytest
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import LinearRegression
from tests.conftest import Installation, Process, eventually
from tests.places import EMBEDDED, SERVER_BROKERS, place_on

SETTINGS = """
[gateway]
poll_seconds = 0.2
[worker]
claim_seconds = 2.0
[sync]
claim_seconds = 2.0
[retention]
topics_seconds = 3600
[endpoints.houses]
max_instances = 500
[deployments.linear]
endpoint = "houses"
model = "linear.joblib"
version = "2026-01"
[deployments.forest]
endpoint = "houses"
model = "forest.joblib"
[deployments.silent]
endpoint = "houses"
model = "models:Sum"
role = "shadow"
[endpoints.shared]
[deployments.steady]
endpoint = "shared"
model = "models:Sum"
[deployments.trial]
endpoint = "shared"
model = "models:Sum"
role = "canary"
of = "steady"
share = 0.3
[endpoints.moods]
[deployments.moody]
endpoint = "moods"
model = "models:Moody"
max_attempts = 3
retry_seconds = 0.05
"""

MODELS = '''
import math, time
from pathlib import Path
from predictq.errors import Retryable

HERE = Path(__file__).parent
ANSWERS = {"nan": math.nan, "infinite": [1.0, -math.inf], "object": object(), "good": {"fine": True}, "patient": 1}

class Sum:
    def predict(self, batch):
        return [sum(row) for row in batch]

class Moody:
    """Answers as it is told to by its instances."""
    def predict(self, batch):
        moods = {row["mood"] for row in batch}
        if "raise" in moods:
            raise RuntimeError("not in the mood")
        if "fewer" in moods:
            return [1] * (len(batch) - 1)
        if "sunny" in moods:
            with (HERE / "tries").open("a") as tries:
                tries.write("x")
            if not (HERE / "sun").exists():
                raise Retryable("the sky is away")
            return ["sunshine"] * len(batch)
        if "patient" in moods:
            (HERE / "waiting").touch()
            while not (HERE / "open").exists():
                time.sleep(0.01)
        return [ANSWERS[row["mood"]] for row in batch]
'''

ROWS = [[float(i), float(i * i % 7)] for i in range(40)]
TRUTH = [3.0 * a + 2.0 * b + 1.0 for a, b in ROWS]


class Site:
    """The installation, as its clients see it."""

    def __init__(self, installation: Installation, up: Process, http: httpx.Client) -> None:
        self.installation = installation
        self.up = up
        self.http = http

    def submit(self, endpoint: str, instances: list[Any], *, wait: float | None = None, **body: Any) -> httpx.Response:
        """Submit; with `wait` the result is waited for."""
        headers = {} if wait is None else {"prefer": f"wait={wait:g}"}
        path = f"/v1/endpoints/{endpoint}/predictions"
        return self.http.post(path, json={"instances": instances, **body}, headers=headers)

    def read(self, request_id: str) -> dict[str, Any]:
        answer = self.http.get(f"/v1/predictions/{request_id}")
        assert answer.status_code == 200, answer.text
        body: dict[str, Any] = answer.json()
        return body

    def finished(self, request_id: str) -> dict[str, Any]:
        """The request when it is no longer queued."""
        answer = self.http.get(f"/v1/predictions/{request_id}", params={"wait": "50"})
        assert answer.status_code == 200, answer.text
        body: dict[str, Any] = answer.json()
        assert body["status"] != "queued", self.installation.logs()
        return body

    def result(self, endpoint: str, instances: list[Any], **body: Any) -> dict[str, Any]:
        """Submit and read when it is finished."""
        accepted = self.submit(endpoint, instances, **body)
        assert accepted.status_code == 202, accepted.text
        return self.finished(accepted.json()["id"])

    def dead_letters(self, endpoint: str) -> list[dict[str, Any]]:
        return self.installation.rows("SELECT * FROM dead_letters WHERE endpoint = ? ORDER BY dead_at", endpoint)

    def until(self, condition: Callable[[], object]) -> None:
        eventually(condition, self.installation.logs)


def make_models(installation: Installation) -> None:
    """Fit and save the two estimators."""
    joblib.dump(LinearRegression().fit(ROWS, TRUTH), installation.folder / "linear.joblib")
    forest = RandomForestRegressor(n_estimators=5, random_state=0).fit(ROWS, TRUTH)
    joblib.dump(forest, installation.folder / "forest.joblib")


@pytest.fixture(scope="module", params=["embedded", *SERVER_BROKERS])
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Everything of the settings above, running on each broker; on a server's with PostgreSQL."""
    with nullcontext(EMBEDDED) if request.param == "embedded" else place_on(request.param) as place:
        installation = Installation(tmp_path_factory.mktemp("site"), place)
        installation.configure(SETTINGS, MODELS)
        make_models(installation)
        try:
            [up] = installation.started(("up", "--json"))
            with installation.client() as http:
                yield Site(installation, up, http)
        finally:
            installation.clear()
