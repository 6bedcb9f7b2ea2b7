"""`docs/messages.md` shows the golden messages, all of them and as they stand."""

import json
import re
from pathlib import Path

from predictq.names import Names

ROOT = Path(__file__).parents[3]
TEXT = (ROOT / "docs/messages.md").read_text(encoding="utf-8")


def test_the_examples_are_the_golden_messages() -> None:
    shown = [json.loads(block) for block in re.findall(r"^```json\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)]
    golden = [json.loads(file.read_text()) for file in (ROOT / "tests/contract/messages/golden").glob("*.json")]
    assert sorted(shown, key=json.dumps) == sorted(golden, key=json.dumps)


def test_every_topic_that_is_built_is_listed() -> None:
    names = Names("<prefix>")
    endpoint = "<endpoint>"
    topics = [
        names.requests(endpoint),
        names.bulk(endpoint),
        names.retries(endpoint, "<deployment>"),
        names.predictions(endpoint),
        names.shadow_predictions(endpoint),
        names.dead_letters(endpoint),
        names.intake(endpoint),
        names.jobs(endpoint),
        names.commits,
        names.cancels,
    ]
    assert [topic for topic in topics if f"`{topic}`" not in TEXT] == []
