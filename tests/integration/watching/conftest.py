"""An installation that predicts sums, and what its watchers and jobs do."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import Installation, Process, eventually
from tests.places import EMBEDDED, Place

SETTINGS = """
[worker]
claim_seconds = 2.0
[sync]
claim_seconds = 2.0
[endpoints.sums]
[deployments.sum]
endpoint = "sums"
model = "models:Sum"
"""
MODELS = """
class Sum:
    def predict(self, batch):
        return [sum(row.values()) if isinstance(row, dict) else sum(row) for row in batch]
"""


class Site:
    """The installation, a folder beside it that is watched, and everything that runs."""

    def __init__(self, installation: Installation) -> None:
        self.installation = installation
        self.incoming = installation.folder / "incoming"
        self.incoming.mkdir()

    def watch(self, *options: str, settle: str = "0.3") -> Process:
        """A watcher that is ready."""
        [process] = self.installation.started(
            ("watch", str(self.incoming), "--endpoint", "sums", "--settle", settle, *options)
        )
        return process

    def jobs(self, status: str | None = None) -> list[dict[str, Any]]:
        """Those that the database knows."""
        found = self.installation.rows("SELECT * FROM jobs ORDER BY created_at, id")
        return [job for job in found if status is None or job["status"] == status]

    def sources(self, status: str | None = None) -> list[str]:
        """Names of the files of jobs."""
        return sorted(json.loads(job["asked"])["source"]["name"] for job in self.jobs(status))

    def names(self, folder: str) -> list[str]:
        """What lies in a folder below the watched one."""
        place = self.incoming / folder
        return sorted(file.name for file in place.iterdir() if not file.name.startswith(".")) if place.exists() else []

    def until(self, condition: Any) -> None:
        eventually(condition, self.installation.logs)

    def left(self) -> list[Path]:
        """Files that are still in hand."""
        return [file for file in (self.incoming / ".predictq").rglob("*") if file.is_file()]


def rows(count: int, first: int = 0) -> str:
    """A CSV file."""
    return "id,a,b\n" + "".join(f"n{i},{i},{i * 2}\n" for i in range(first, first + count))


@contextmanager
def site_on(place: Place, folder: Path) -> Iterator[Site]:
    """Nothing runs yet."""
    installation = Installation(folder, place)
    installation.configure(SETTINGS, MODELS)
    try:
        yield Site(installation)
    finally:
        installation.clear()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """Nothing runs yet; all is embedded."""
    with site_on(EMBEDDED, tmp_path) as one:
        yield one


@pytest.fixture
def running(site: Site) -> Site:
    """The same, with everything but a watcher."""
    site.installation.started(("up", "--json"))
    return site
