"""What the page says where there is little to show: nothing configured, no worker, no gateway."""

from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest
from playwright.sync_api import expect
from tests.browser.conftest import Visit
from tests.conftest import Installation

pytestmark = pytest.mark.timeout(300)

Visiting = Callable[..., AbstractContextManager[Visit]]

MODEL = """
[endpoints.flowers]
[deployments.flowers-tree]
endpoint = "flowers"
model = "tree.joblib"
"""


def test_without_an_endpoint_it_says_how_to_make_one(installation: Installation, visit: Visiting) -> None:
    installation.configure("")
    installation.started(("gateway",), ("sync",))
    with visit(installation.url) as visited:
        page = visited.open()
        expect(page.get_by_text("No endpoints yet")).to_be_visible()
        expect(page.get_by_text("[endpoints.flowers]")).to_be_visible()
        page.get_by_role("link", name="Jobs").click()
        expect(page.get_by_text("There is no endpoint yet that could predict it.")).to_be_visible()


def test_without_a_worker_it_says_how_to_start_one_and_what_waits(installation: Installation, visit: Visiting) -> None:
    installation.configure(MODEL)
    installation.started(("gateway",), ("sync",))
    with visit(installation.url) as visited, installation.client() as client:
        submitted = client.post("/v1/endpoints/flowers/predictions", json={"instances": [[1, 2, 3, 4]]}).json()["id"]
        page = visited.open()
        card = page.get_by_role("region", name="Endpoint flowers")
        expect(card.get_by_text("no workers")).to_be_visible()
        expect(card.get_by_text("predictq worker flowers-tree")).to_be_visible()

        visited.open(f"#/requests/{submitted}")
        way = page.get_by_role("region", name="Way")
        expect(way.get_by_role("img", name="flowers-tree: still waits")).to_be_visible()
        expect(way.get_by_text("predictq worker flowers-tree")).to_be_visible()


def test_a_gateway_that_is_away_is_told_and_missed_no_longer_once_it_is_back(
    installation: Installation, visit: Visiting
) -> None:
    installation.configure(MODEL)
    [gateway, _] = installation.started(("gateway",), ("sync",))
    with visit(installation.url) as visited:
        visited.refused = True
        page = visited.open()
        expect(page.get_by_role("region", name="Endpoint flowers")).to_be_visible()
        gateway.kill()
        banner = page.get_by_role("alert").filter(has_text="What you see is from before")
        expect(banner).to_be_visible()
        expect(page.get_by_role("region", name="Endpoint flowers")).to_be_visible()

        installation.started(("gateway",))
        expect(banner).to_have_count(0)
        expect(page.get_by_text("all is well")).to_be_visible()


def test_a_database_that_is_away_is_told(installation: Installation, visit: Visiting) -> None:
    installation.configure(MODEL)
    installation.started(("gateway",))
    with visit(installation.url) as visited:
        visited.expected.add(503)
        page = visited.open()
        banner = page.get_by_role("alert").filter(has_text="The database is away")
        expect(banner.first).to_be_visible()
        expect(page.get_by_text("database away")).to_be_visible()

        installation.started(("sync",))
        expect(banner).to_have_count(0)
        expect(page.get_by_text("all is well")).to_be_visible()


def test_a_place_that_is_none_is_told(installation: Installation, visit: Visiting) -> None:
    installation.configure(MODEL)
    installation.started(("gateway",), ("sync",))
    with visit(installation.url) as visited:
        visited.expected |= {400, 404}
        page = visited.open("#/endpoints/none")
        expect(page.get_by_role("alert")).to_contain_text("There is no endpoint of this name")
        visited.open("#/requests/none")
        expect(page.get_by_role("alert")).to_contain_text("There is no request none")
        visited.open("#/jobs/none")
        expect(page.get_by_role("alert")).to_contain_text("There is no job none")
        visited.open("#/dead-letters/none")
        expect(page.get_by_role("alert")).to_contain_text("There is no dead letter none")
