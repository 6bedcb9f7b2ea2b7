"""A real browser on a real page. Whatever a test does there, nothing of it may run that is not the page's own."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, expect, sync_playwright
from tests.servers.programs import program

FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
SOURCES = Path(__file__).parents[2] / "gateway/page"
DEADLINE_SECONDS = 60.0
PHONE = {"width": 360, "height": 740}
DESK = {"width": 1280, "height": 900}

expect.set_options(timeout=DEADLINE_SECONDS * 1000)


@dataclass(kw_only=True)
class Visit:
    """A page that somebody looks at, and what went wrong in it."""

    url: str
    page: Page
    expected: set[int] = field(default_factory=set)
    """Statuses of failure that the test provokes; a browser tells of each on its console."""
    refused: bool = False
    """Whether the test takes the gateway away."""
    wrong: list[str] = field(default_factory=list)

    def open(self, fragment: str = "#/") -> Page:
        """Go there as by a link from elsewhere."""
        self.page.goto(f"{self.url}/{fragment}")
        expect(self.page.get_by_role("heading", level=1)).to_be_visible()
        return self.page

    def heard(self, message: ConsoleMessage) -> None:
        provoked = "Failed to load resource" in message.text and any(
            f" {each} " in message.text for each in self.expected
        )
        provoked = provoked or (self.refused and "net::ERR_" in message.text)
        if message.type in {"error", "warning"} and not provoked:
            self.wrong.append(f"console: {message.text}")

    def asked(self, request: Request) -> None:
        if not request.url.startswith((f"{self.url}/", "data:")):
            self.wrong.append(f"asked another origin: {request.url}")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program("chromium"), args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def visit(browser: Browser) -> Callable[..., AbstractContextManager[Visit]]:
    """Makes visits, each in a profile of its own. Errors of the page and breaches of its policy fail the test."""

    @contextmanager
    def visiting(url: str, viewport: dict[str, int] = DESK, **options: Any) -> Iterator[Visit]:
        context = browser.new_context(viewport=viewport, **options)  # type: ignore[arg-type] # a TypedDict
        context.set_default_timeout(DEADLINE_SECONDS * 1000)
        visit = Visit(url=url, page=context.new_page())
        visit.page.on("console", visit.heard)
        visit.page.on("pageerror", lambda error: visit.wrong.append(f"error: {error}"))
        visit.page.on("dialog", lambda dialog: visit.wrong.append(f"dialog: {dialog.message}"))
        visit.page.on("request", visit.asked)
        try:
            yield visit
        finally:
            context.close()
        assert visit.wrong == []

    return visiting


@pytest.fixture(scope="session")
def axe(page_sources: Path) -> str:
    """The text of axe-core, in the version that the page's lock file names."""
    return (page_sources / "node_modules/axe-core/axe.min.js").read_text()


@pytest.fixture(scope="session")
def page_sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sources of the page in a folder of their own, with what its lock file names."""
    version = subprocess.run([program("node"), "--version"], capture_output=True, text=True, check=True).stdout
    assert int(version.removeprefix("v").split(".")[0]) >= 20, f"the page is built by Node 20 or newer, not {version}"
    folder = tmp_path_factory.mktemp("page")
    shutil.copytree(SOURCES, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("node_modules"))
    try:
        npm(folder, "ci")
    except AssertionError as error:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(f"what the page is built with cannot be had: {str(error).splitlines()[-1]}")
    return folder


def npm(folder: Path, *command: str) -> None:
    """Run npm there; fails with what it said."""
    done = subprocess.run([program("npm"), *command], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"npm {' '.join(command)} ended with {done.returncode}:\n{done.stdout}{done.stderr}"
