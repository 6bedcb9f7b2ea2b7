"""The page in the package of the gateway is what its sources make."""

import gzip
from pathlib import Path

from tests.browser.conftest import npm

from predictq_gateway.page import files

BUILT = Path(files.__file__).parent / "built"
MOST_BYTES = 60 * 1024
"""Of all files, packed: on a slow line the page is there in a second."""


def test_types_and_lint_of_the_page_are_right(page_sources: Path) -> None:
    npm(page_sources, "run", "check")


def test_the_built_page_is_current(page_sources: Path, tmp_path: Path) -> None:
    npm(page_sources, "run", "build", "--", str(tmp_path))
    assert contents(tmp_path) == contents(BUILT), "`make page` brings it up to date"


def test_the_page_is_small() -> None:
    assert sum(len(gzip.compress(each, 9)) for each in contents(BUILT).values()) <= MOST_BYTES


def contents(folder: Path) -> dict[str, bytes]:
    return {each.name: each.read_bytes() for each in folder.iterdir()}
