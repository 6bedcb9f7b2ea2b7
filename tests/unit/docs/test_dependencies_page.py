"""`docs/dependencies.md` says of every dependency what it is for and why it was chosen."""

import json
import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PACKAGES = [ROOT / "gateway/page/package.json", *sorted((ROOT / "tests").rglob("package.json"))]
PROJECTS = [*sorted(ROOT.glob("*/pyproject.toml")), ROOT / "pyproject.toml", *PACKAGES]
MEMBER = re.compile(r"predictq(-[a-z]+)?")
ROW = re.compile(r"^\| \[`([^`]+)`\]\(\S+\) \|(.+)\|$", re.MULTILINE)


def _name(requirement: str) -> str:
    return re.split(r"[\[<>=!~; ]", requirement, maxsplit=1)[0].lower().replace("_", "-")


def _dependencies(file: Path) -> set[str]:
    if file.suffix == ".json":
        package = json.loads(file.read_text(encoding="utf-8"))
        return {*package["dependencies"], *package.get("devDependencies", {})}
    content = tomllib.loads(file.read_text(encoding="utf-8"))
    project = content.get("project", {})
    groups = [
        project.get("dependencies", []),
        content.get("build-system", {}).get("requires", []),
        *project.get("optional-dependencies", {}).values(),
        *content.get("dependency-groups", {}).values(),
    ]
    names = {_name(requirement) for group in groups for requirement in group}
    return {name for name in names if MEMBER.fullmatch(name) is None}


def _rows() -> dict[str, list[str]]:
    text = (ROOT / "docs/dependencies.md").read_text(encoding="utf-8")
    return {name: [cell.strip() for cell in rest.split("|")] for name, rest in ROW.findall(text)}


@pytest.mark.parametrize("project", PROJECTS, ids=lambda file: str(file.relative_to(ROOT)))
def test_every_dependency_has_its_line(project: Path) -> None:
    assert _dependencies(project) - set(_rows()) == set()


def test_no_line_is_left_of_a_dependency_that_is_gone() -> None:
    assert set(_rows()) - {name for project in PROJECTS for name in _dependencies(project)} == set()


def test_a_line_says_what_for_why_licence_and_last_release() -> None:
    for name, cells in _rows().items():
        assert len(cells) == 4, name
        assert all(cells), name
        assert re.search(r"\d{4}-\d{2}-\d{2}", cells[3]), name
