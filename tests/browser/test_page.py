"""What a user does on the live page of an installation that runs."""

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import joblib
import pytest
from playwright.sync_api import Locator, Page, expect
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from tests.browser.conftest import PHONE, Visit
from tests.conftest import Installation, eventually
from tests.servers.ports import free_port

pytestmark = pytest.mark.timeout(300)

Visiting = Callable[..., AbstractContextManager[Visit]]

HOSTILE = '<img src=x onerror="alert(1)">'
LONG = "f" * 48
FLOWER = {"sepal_length": 5.1, "sepal_width": 3.5, "petal_length": 1.4, "petal_width": 0.2}
NUMBER = {"type": "number", "exclusiveMinimum": 0}
FLOWER_SCHEMA = {
    "type": "object",
    "properties": {name: {**NUMBER, "examples": [value]} for name, value in FLOWER.items()},
    "required": list(FLOWER),
    "additionalProperties": False,
}
ANY_SCHEMA = {
    "type": "object",
    "properties": {
        "text": {"type": "string"},
        "whole": {"type": "integer", "minimum": 0},
        "number": {"type": "number"},
        "kind": {"$ref": "#/$defs/Kind"},
        "sure": {"type": "boolean"},
        "maybe": {"anyOf": [{"type": "number"}, {"type": "null"}]},
        "values": {"type": "array", "items": {"type": "number"}},
        "nested": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
    "required": ["text", "whole", "kind", "sure", "maybe", "values", "nested"],
    "$defs": {"Kind": {"enum": ["card", 2, None]}},
}
SETTINGS = f"""
[gateway]
poll_seconds = 0.2
[push]
secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
allow_http = true
allow_private_addresses = true
[endpoints.flowers]
description = "Which iris is it?"
input = "flower.json"
[endpoints.anything]
input = "any.json"
[endpoints.{LONG}]
[deployments.flowers-linear]
endpoint = "flowers"
model = "iris.joblib"
[deployments.flowers-silent]
endpoint = "flowers"
model = "iris.joblib"
role = "shadow"
[deployments.echo]
endpoint = "anything"
model = "models:Echo"
max_attempts = 1
[deployments.{LONG}]
endpoint = "{LONG}"
model = "models:Echo"
"""
MODELS = """
from predictq.errors import Retryable

class Echo:
    def predict(self, batch):
        if any(row.get("text") == "away" for row in batch if isinstance(row, dict)):
            raise Retryable('<img src=x onerror="alert(1)"> does not answer')
        return batch
"""


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """Everything runs: `predictq up`, with a model of scikit-learn."""
    folder = tmp_path_factory.mktemp("installation")
    iris = load_iris(as_frame=True)
    rows = iris.data.set_axis(list(FLOWER), axis=1)
    joblib.dump(LogisticRegression(max_iter=500).fit(rows, iris.target_names[iris.target]), folder / "iris.joblib")
    (folder / "flower.json").write_text(json.dumps(FLOWER_SCHEMA))
    (folder / "any.json").write_text(json.dumps(ANY_SCHEMA))
    installation = Installation(folder)
    installation.configure(SETTINGS, MODELS)
    installation.started(("up", "--json"))
    yield installation
    installation.clear()


def test_an_instance_is_tried_and_each_deployment_that_clients_see_answers(
    system: Installation, visit: Visiting
) -> None:
    with visit(system.url) as visited:
        page = visited.open()
        flowers(page).click()
        page.get_by_role("button", name="Fill in an example").click()
        page.get_by_role("button", name="Predict", exact=True).click()
        answer = page.get_by_role("region", name="Answer")

        expect(answer).to_contain_text("flowers-linear")
        expect(answer).to_contain_text("setosa")
        expect(answer).not_to_contain_text("flowers-silent")


def test_the_way_of_a_request_shows_its_mini_batch_and_the_shadow(system: Installation, visit: Visiting) -> None:
    request = submitted(system, "flowers", FLOWER, metadata={"customer": HOSTILE})
    with visit(system.url) as visited:
        page = visited.open("#/requests")
        page.get_by_label("Open by id").fill(request)
        page.get_by_role("button", name="Open", exact=True).click()

        way = page.get_by_role("region", name="Way")
        for each in ("Accepted", "flowers-linear: predicting", "flowers-silent: succeeded", "Completed stored"):
            expect(way.get_by_role("listitem").filter(has_text=each)).to_be_visible()
        expect(way).to_contain_text("in a mini-batch of")
        expect(page.get_by_role("region", name="flowers-silent")).to_contain_text("shadow")
        expect(page.get_by_role("list", name="Labels")).to_contain_text(HOSTILE)
        nothing_of_it_ran(page)


def test_a_dropped_file_is_a_job_whose_bar_is_watched_to_the_end(system: Installation, visit: Visiting) -> None:
    text = ",".join(FLOWER) + "\n" + f"{','.join(map(str, FLOWER.values()))}\n" * 300 + "1,2,3,wide\n"
    with visit(system.url, accept_downloads=True) as visited:
        page = visited.open("#/endpoints/flowers")
        with page.expect_request("**/v1/jobs/*/events"):
            dropped(page, f"{HOSTILE}.csv", text)

        expect(page.get_by_role("heading", level=1)).to_contain_text("img src=x")
        expect(page.get_by_role("progressbar")).to_have_attribute("aria-valuetext", "301 of 301 rows")
        expect(page.get_by_text("300 succeeded", exact=True)).to_be_visible()
        expect(page.get_by_text("1 failed", exact=True)).to_be_visible()
        for name in ("CSV", "JSON Lines", "Parquet", "Errors of 1 row"):
            with page.expect_download() as download:
                page.get_by_role("link", name=name, exact=True).click()
            assert Path(download.value.path()).stat().st_size > 0
        nothing_of_it_ran(page)


def test_a_chosen_file_is_a_job_too_and_stands_in_the_list(system: Installation, visit: Visiting) -> None:
    text = ",".join(FLOWER) + "\n5.1,3.5,1.4,0.2\n"
    file = {"name": "chosen.csv", "mimeType": "text/csv", "buffer": text.encode()}
    with visit(system.url) as visited:
        page = visited.open("#/jobs")
        page.get_by_label("Endpoint").select_option("flowers")
        page.get_by_label("Choose a file").set_input_files(file)  # type: ignore[arg-type] # a TypedDict
        expect(page.get_by_role("heading", level=1)).to_have_text("chosen.csv")
        expect(page.get_by_role("progressbar")).to_have_attribute("aria-valuetext", "1 of 1 rows")

        page.get_by_role("navigation", name="Path").get_by_role("link", name="Jobs").click()
        row = page.get_by_role("row").filter(has_text="chosen.csv")
        expect(row.get_by_text("completed")).to_be_visible()


def test_where_there_are_several_endpoints_a_dropped_file_asks_for_which(system: Installation, visit: Visiting) -> None:
    with visit(system.url) as visited:
        page = visited.open()
        dropped(page, "asked.csv", ",".join(FLOWER) + "\n5.1,3.5,1.4,0.2\n")
        dialog = page.get_by_role("dialog", name="Predict asked.csv")
        dialog.get_by_label("Endpoint").select_option("flowers")
        dialog.get_by_role("button", name="Predict all rows").click()

        expect(page.get_by_role("heading", level=1)).to_have_text("asked.csv")
        expect(page.get_by_role("progressbar")).to_have_attribute("aria-valuetext", "1 of 1 rows")


def test_a_file_that_does_not_fit_is_a_job_that_says_why(system: Installation, visit: Visiting) -> None:
    with visit(system.url) as visited:
        page = visited.open("#/endpoints/flowers")
        dropped(page, "wrong.csv", "sepal_length,length\n1,2\n")
        progress = page.get_by_role("region", name="Progress")
        expect(progress).to_contain_text("sepal_width")
        expect(page.get_by_text("failed", exact=True)).to_be_visible()


def test_a_delivery_that_failed_is_on_the_way_and_is_tried_again(system: Installation, visit: Visiting) -> None:
    nobody = f"http://127.0.0.1:{free_port()}/"
    request = submitted(system, "flowers", FLOWER, callback={"url": nobody})
    with visit(system.url) as visited:
        page = visited.open(f"#/requests/{request}")
        moments = page.get_by_role("region", name="Way").get_by_role("listitem").filter(has_text="Delivery failed")
        expect(moments.first).to_contain_text(nobody)
        with page.expect_response("**/replay") as answered:
            page.get_by_role("button", name=f"Deliver again to {nobody}").click()
        assert answered.value.status == 202


def test_a_failure_is_found_and_says_why(system: Installation, visit: Visiting) -> None:
    request = submitted(system, "anything", {**anything(), "text": "away"})
    with visit(system.url) as visited:
        page = visited.open("#/failures")
        failed = page.get_by_role("table", name="Failed requests").get_by_role("row")
        expect(failed.filter(has_text="does not answer").first).to_contain_text(f"Retryable: {HOSTILE}")
        letters = page.get_by_role("table", name="Dead letters, open")
        row = letters.get_by_role("row").filter(has_text="does not answer").first
        row.get_by_role("link").first.click()

        expect(page.get_by_role("region", name="Reason")).to_contain_text(f"Retryable: {HOSTILE} does not answer")
        expect(page.get_by_text("predictq dead-letters redrive")).to_be_visible()
        expect(page.get_by_role("region", name="Value of the message")).to_contain_text('"text": "away"')
        page.locator(f'a[title="{request}"]').click()
        expect(page.get_by_role("region", name="Way")).to_contain_text("echo: dead letter")
        nothing_of_it_ran(page)


def test_every_kind_of_field_comes_out_as_what_it_is(system: Installation, visit: Visiting) -> None:
    with visit(system.url) as visited:
        page = visited.open("#/endpoints/anything")
        form = page.get_by_role("form", name="An instance for anything")
        form.get_by_label("text").fill(HOSTILE)
        form.get_by_label("whole").fill("12345678901234567890")
        form.get_by_label("number").fill("0.10")
        form.get_by_label("kind").select_option(label="2")
        form.get_by_label("sure").select_option(label="true")
        form.get_by_label("values").fill("1, 2.5 -3")
        form.get_by_label("nested").fill('{"city": "Ulm"}')
        with page.expect_request("**/predictions") as asked:
            form.get_by_role("button", name="Predict", exact=True).click()

        sent = asked.value.post_data or ""
        assert '"whole": 12345678901234567890' in sent, "as it was written, digit by digit"
        assert json.loads(sent)["instances"] == [
            {
                "text": HOSTILE,
                "whole": 12345678901234567890,
                "number": 0.1,
                "kind": 2,
                "sure": True,
                "maybe": None,
                "values": [1, 2.5, -3],
                "nested": {"city": "Ulm"},
            }
        ]
        expect(page.get_by_role("region", name="Answer")).to_contain_text("img src=x")
        nothing_of_it_ran(page)


def test_what_is_not_right_is_said_at_its_field_by_the_page_and_by_the_gateway(
    system: Installation, visit: Visiting
) -> None:
    with visit(system.url) as visited:
        visited.expected.add(422)
        page = visited.open("#/endpoints/flowers")
        form = page.get_by_role("form", name="An instance for flowers")
        form.get_by_role("button", name="Fill in an example").click()
        form.get_by_label("sepal_length").fill("wide")
        form.get_by_role("button", name="Predict", exact=True).click()
        expect(form.get_by_label("sepal_length")).to_be_focused()
        expect(form.get_by_label("sepal_length")).to_have_accessible_description("> 0 is no number")

        form.get_by_label("sepal_length").fill("-1")
        form.get_by_role("button", name="Predict", exact=True).click()
        expect(form.get_by_label("sepal_length")).to_have_attribute("aria-invalid", "true")
        expect(page.get_by_role("alert").filter(has_text="/instances/0/sepal_length")).to_be_visible()


def test_an_instance_may_be_written_as_json(system: Installation, visit: Visiting) -> None:
    with visit(system.url) as visited:
        page = visited.open(f"#/endpoints/{LONG}")
        editor = page.get_by_label("Instance, or a list of instances, as JSON")
        editor.fill("[1, 2")
        page.get_by_role("button", name="Predict", exact=True).click()
        expect(editor).to_have_attribute("aria-invalid", "true")

        editor.fill('[{"a": 1}, {"a": 2}]')
        page.get_by_role("button", name="Predict", exact=True).click()
        outputs = page.get_by_role("region", name="Answer").get_by_role("listitem")
        expect(outputs).to_have_count(2)


def test_plots_move_while_one_looks(system: Installation, visit: Visiting) -> None:
    with visit(system.url) as visited:
        page = visited.open("#/endpoints/flowers")
        submitted(system, "flowers", FLOWER)
        plot = page.get_by_role("figure", name="Requests per second").get_by_role("img")

        expect(plot).not_to_have_attribute("aria-label", "Requests per second, latest: No mini-batches in this time")
        expect(page.get_by_role("table", name="Deployments of flowers")).to_contain_text("shadow")


def test_all_of_it_goes_by_keyboard(system: Installation, visit: Visiting) -> None:
    with visit(system.url) as visited:
        page = visited.open()
        expect(flowers(page)).to_be_visible()
        page.keyboard.press("Tab")
        expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
        page.keyboard.press("Enter")
        tab_to(page, flowers(page))
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", level=1, name="flowers")).to_be_focused()

        tab_to(page, page.get_by_role("button", name="Fill in an example"))
        page.keyboard.press("Enter")
        tab_to(page, page.get_by_role("button", name="Predict", exact=True))
        page.keyboard.press("Enter")
        way = page.get_by_role("region", name="Answer").get_by_role("link", name="Its way")
        expect(way).to_be_visible()
        tab_to(page, way)
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", level=1, name="Request")).to_be_focused()


def test_dark_is_what_the_system_prefers_until_somebody_says_otherwise(system: Installation, visit: Visiting) -> None:
    ground = "getComputedStyle(document.documentElement).backgroundColor"
    with visit(system.url, color_scheme="dark") as visited:
        page = visited.open()
        dark = page.evaluate(ground)
        page.get_by_role("radio", name="Light").check()
        light = page.evaluate(ground)
        page.reload()
        assert page.evaluate(ground) == light != dark
        page.emulate_media(color_scheme="light")
        page.get_by_role("radio", name="Auto").check()
        assert page.evaluate(ground) == light


@pytest.mark.parametrize("width", [360, 760, 900, 1100])
def test_no_view_is_wider_than_its_window(system: Installation, views: list[str], visit: Visiting, width: int) -> None:
    phone = width == PHONE["width"]
    with visit(system.url, {**PHONE, "width": width}, has_touch=phone, is_mobile=phone) as visited:
        for view in views:
            page = visited.open(view)
            settled(page)
            # Not innerWidth, which grows with the page on a phone.
            wide = page.evaluate("document.documentElement.scrollWidth")
            assert wide <= width, f"{view} is {wide} pixels wide"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_view_breaks_a_rule_of_accessibility(
    system: Installation, views: list[str], visit: Visiting, axe: str, scheme: str
) -> None:
    # The one test around the policy: the checker is no script of the page's own.
    with visit(system.url, color_scheme=scheme, bypass_csp=True) as visited:
        found: dict[str, list[str]] = {}
        for view in views:
            page = visited.open(view)
            settled(page)
            page.evaluate(axe)
            violations = page.evaluate("axe.run({resultTypes: ['violations']}).then((each) => each.violations)")
            found[view] = [f"{each['id']}: {[node['html'] for node in each['nodes']][:3]}" for each in violations]
    assert {view: told for view, told in found.items() if told} == {}


@pytest.fixture(scope="module")
def views(system: Installation) -> list[str]:
    """All views, each with something in it."""
    request = submitted(system, "flowers", FLOWER, metadata={"customer": "4711"})
    submitted(system, "anything", {**anything(), "text": "away"})
    with system.client() as client:
        job = client.post(
            "/v1/endpoints/flowers/jobs",
            files={"file": (f"{'long-name-' * 8}.csv", ",".join(FLOWER) + "\n5.1,3.5,1.4,0.2\n5.1,3.5,1.4,wide\n")},
        ).json()["id"]
        eventually(lambda: client.get(f"/v1/jobs/{job}").json()["completed_at"], system.logs)
        eventually(lambda: client.get("/v1/dead-letters").json()["dead_letters"], system.logs)
        letter = client.get("/v1/dead-letters").json()["dead_letters"][0]["id"]
    endpoints = [f"#/endpoints/{name}" for name in ("flowers", "anything", LONG)]
    details = [f"#/requests/{request}", f"#/jobs/{job}", f"#/dead-letters/{letter}"]
    return ["#/", *endpoints, "#/requests", "#/jobs", "#/failures", *details, "#/nowhere/at/all"]


def flowers(page: Page) -> Locator:
    """The link to an endpoint, on the overview."""
    return page.get_by_role("region", name="Endpoint flowers").get_by_role("link", name="flowers", exact=True)


def settled(page: Page) -> None:
    """Everything that was asked for at first is there."""
    expect(page.get_by_text("Loading …")).to_have_count(0)


def submitted(system: Installation, endpoint: str, instance: dict[str, Any], **members: Any) -> str:
    """Id of a request that is finished."""
    with system.client() as client:
        answer = client.post(
            f"/v1/endpoints/{endpoint}/predictions",
            json={"instances": [instance], **members},
            headers={"prefer": "wait=30"},
        )
        assert answer.status_code == 200, answer.text
        request_id: str = answer.json()["id"]
        return request_id


def anything() -> dict[str, Any]:
    return {"text": "t", "whole": 1, "kind": "card", "sure": True, "maybe": None, "values": [1], "nested": {}}


def dropped(page: Page, name: str, text: str) -> None:
    """Drop a file on the page, as a file manager does."""
    expect(page.get_by_text("Loading …")).to_have_count(0)
    transfer = page.evaluate_handle(
        """([name, text]) => {
            const transfer = new DataTransfer();
            transfer.items.add(new File([text], name, { type: "text/csv" }));
            return transfer;
        }""",
        [name, text],
    )
    for event in ("dragenter", "dragover", "drop"):
        page.dispatch_event("main", event, {"dataTransfer": transfer})


def tab_to(page: Page, target: Locator) -> None:
    """Press Tab until the focus is there; at each stop on the way it can be seen where it is."""
    for _ in range(80):
        page.keyboard.press("Tab")
        assert page.evaluate(OUTLINED), page.evaluate("document.activeElement.outerHTML")
        if target.evaluate("(element) => element === document.activeElement"):
            return
    raise AssertionError(f"Tab never leads to {target}")


OUTLINED = """(() => {
    const at = document.activeElement;
    return [at, at.nextElementSibling].some((each) => each && getComputedStyle(each).outlineStyle !== "none");
})()"""


def nothing_of_it_ran(page: Page) -> None:
    """What strangers wrote stands there as text; a dialog, had it run, would also fail the visit."""
    assert page.locator("img").count() == 0
