"""`docs/brokers.md` says of each adapter what the adapter says of itself, and names tests that there are."""

import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from predictq.brokers import open_broker
from predictq.brokers.port import Guarantees

ROOT = Path(__file__).parents[3]
TEXT = (ROOT / "docs/brokers.md").read_text(encoding="utf-8")


def _rows() -> dict[str, list[str]]:
    """The line of each field of Guarantees: its cells, the test last."""
    found = re.findall(r"^\| `(\w+)`\. [^|]+\|(.+)\|$", TEXT, re.MULTILINE)
    return {name: [cell.strip() for cell in rest.split("|")] for name, rest in found}


def test_the_tables_are_what_the_generator_writes() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "docs/generate_brokers.py", "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("column", "url"),
    [
        (0, "sqlite:///predictq.db"),
        (0, "memory://x"),
        (1, "redis://localhost"),
        (2, "amqp://localhost"),
        (3, "kafka://localhost"),
        (3, "kafka+confluent://localhost"),
        (4, "kafka://localhost?transactions=true"),
        (4, "kafka+confluent://localhost?transactions=true"),
    ],
)
def test_each_guarantee_is_that_of_the_adapter(column: int, url: str) -> None:
    broker = open_broker(url)
    rows = _rows()
    broker.close()
    assert set(rows) == {field.name for field in fields(Guarantees)}
    for name, cells in rows.items():
        value = getattr(broker.guarantees, name)
        assert cells[column] == _told(value), name


def _told(value: bool | str | float | None) -> str:
    match value:
        case None:
            return "for ever"
        case bool():
            return "**yes**" if value else "no"
        case int():
            return f"{value}"
        case float():
            return f"{value:,.0f} s"
        case _:
            return f'"{value}"'


def test_every_test_that_is_named_exists() -> None:
    named = set(re.findall(r"`(test_\w+)`", TEXT))
    defined = {
        name
        for file in ROOT.glob("tests/**/test_*.py")
        for name in re.findall(r"^def (test_\w+)", file.read_text(encoding="utf-8"), re.MULTILINE)
    }
    assert len(named) > 20
    assert named - defined == set()


def test_every_line_of_the_tables_of_differences_names_a_test() -> None:
    for heading in ("Order, delay, takeover", "Limits and durability"):
        section = TEXT.split(f"## {heading}\n")[1].split("\n## ")[0]
        head, _, *lines = re.findall(r"^\|.*\|$", section.rpartition("<!-- end limits -->")[2] or section, re.MULTILINE)
        assert head.endswith("| tests |")
        assert [line for line in lines if "`test_" not in line.rsplit("|", 2)[1]] == []
