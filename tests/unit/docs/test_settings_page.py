"""`docs/settings.md` lists the keys that the code has."""

import subprocess
import sys
from pathlib import Path

from predictq.settings import DeploymentSettings, Settings

DOCS = Path(__file__).parents[3] / "docs"


def test_the_page_is_what_the_generator_writes() -> None:
    done = subprocess.run(
        [sys.executable, DOCS / "generate_settings.py", "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_page_has_every_key_and_section() -> None:
    text = (DOCS / "settings.md").read_text(encoding="utf-8")
    sections = {"[gateway]", "[worker]", "[sync]", "[retention]", "[log]"}
    sections |= {"[endpoints.NAME]", "[deployments.NAME]", "[sinks.NAME]"}
    assert {line[4:-1] for line in text.splitlines() if line.startswith("## `[")} >= sections
    plain = {"broker", "database", "prefix"}
    assert plain | {name.strip("[").split(".")[0].rstrip("]") for name in sections} <= set(Settings.model_fields)
    for name, field in DeploymentSettings.model_fields.items():
        assert f"| `{field.alias or name}` |" in text
