"""A result file that is asked for by HTTP: below the places of the settings, and nowhere else."""

from pathlib import Path
from typing import Any

from tests.conftest import Installation, eventually
from tests.integration.watching.conftest import MODELS, SETTINGS, rows


def test_a_job_by_http_may_name_a_place_that_the_settings_allow(installation: Installation, tmp_path: Path) -> None:
    allowed = tmp_path / "outgoing"
    installation.configure(f'[jobs]\nresults = ["{allowed.as_uri()}/"]\n{SETTINGS}', MODELS)
    installation.started(("up", "--json"))
    elsewhere, here = (tmp_path / "elsewhere.csv").as_uri(), (allowed / "sums.parquet").as_uri()
    with installation.client() as http:

        def submit(result: str) -> tuple[int, dict[str, str]]:
            answer = http.post(
                "/v1/endpoints/sums/jobs",
                params={"result": result, "id_column": "id"},
                content=rows(3),
                headers={"content-type": "text/csv"},
            )
            return answer.status_code, answer.json()

        status, problem = submit(elsewhere)
        assert status == 403
        assert problem["detail"] == "the result may not be written there"

        status, job = submit(here)
        assert status == 202

        def read() -> dict[str, Any]:
            found: dict[str, Any] = http.get(f"/v1/jobs/{job['id']}").json()
            return found

        # Until the ledger has come to the job nothing but its id is known.
        eventually(lambda: read().get("result", {}).get("written_at"), installation.logs)
        body = read()
        listed = http.get("/v1/jobs").json()["jobs"]

    assert body["result"] == {
        "url": here,
        "format": "parquet",
        "written_at": body["result"]["written_at"],
        "error": None,
    }
    assert listed == [body | {"rows_per_second": listed[0]["rows_per_second"]}]
    assert (allowed / "sums.parquet").read_bytes().startswith(b"PAR1")
    assert not (tmp_path / "elsewhere.csv").exists()
