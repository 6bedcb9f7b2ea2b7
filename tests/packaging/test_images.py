"""Dockerfiles and compose file, as far as they can be checked without a Docker engine."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
DOCKERFILES = sorted(ROOT.glob("deploy/*Dockerfile"))
SERVED = {
    "Dockerfile": {"core", "producers", "workers", "sync_service", "gateway"},
    "gateway.Dockerfile": {"gateway"},
    "sync.Dockerfile": {"sync_service"},
    "worker.Dockerfile": {"workers"},
}


@pytest.fixture
def compose() -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
    return content


def _copied(dockerfile: Path) -> set[str]:
    """What a Dockerfile copies from the build context."""
    return set(re.findall(r"^COPY (?!--from)(\S+) \S+$", dockerfile.read_text(encoding="utf-8"), re.MULTILINE))


def _members_needed(member: str) -> set[str]:
    folders = {"predictq": "core", "predictq-producers": "producers", "predictq-sync": "sync_service"}
    project = tomllib.loads((ROOT / member / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    needed = {folders[name] for line in project["dependencies"] if (name := line.partition("[")[0]) in folders}
    return {member}.union(*(_members_needed(other) for other in needed))


def test_there_is_a_dockerfile_for_each_service() -> None:
    assert {file.name for file in DOCKERFILES} == set(SERVED)


@pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=lambda file: file.name)
def test_hadolint_finds_nothing(dockerfile: Path) -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    done = subprocess.run([str(hadolint), str(dockerfile)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=lambda file: file.name)
def test_an_image_gets_the_members_that_its_service_needs_and_no_other(dockerfile: Path) -> None:
    copied = _copied(dockerfile) - {"${PROJECT}"}
    assert [source for source in copied if not (ROOT / source).exists()] == []
    needed = set().union(*(_members_needed(member) for member in SERVED[dockerfile.name]))
    assert {source for source in copied if (ROOT / source / "pyproject.toml").exists()} == needed


@pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=lambda file: file.name)
def test_an_image_runs_as_a_user_who_owns_nothing_but_the_data(dockerfile: Path) -> None:
    last_stage = dockerfile.read_text(encoding="utf-8").rpartition("\nFROM ")[2]
    assert re.search(r"^USER [1-9]\d*:[1-9]\d*$", last_stage, re.MULTILINE)
    assert re.findall(r"--owner \S+ --group \S+ (\S+)", last_stage) == ["/var/lib/predictq"]
    assert "--chown" not in last_stage


def test_the_compose_file_serves_the_loopback_address_alone(compose: dict[str, Any]) -> None:
    (service,) = compose["services"].values()
    assert all(port.startswith("127.0.0.1:") for port in service["ports"])


def test_the_compose_file_keeps_data_in_a_named_volume_and_the_rest_read_only(compose: dict[str, Any]) -> None:
    (service,) = compose["services"].values()
    assert [volume.partition(":")[::2] for volume in service["volumes"]] == [("data", "/var/lib/predictq")]
    assert set(compose["volumes"]) == {"data"}
    assert service["read_only"] is True
    assert "no-new-privileges:true" in service["security_opt"]
    assert (ROOT / service["build"]["context"] / service["build"]["dockerfile"]).is_file()


def test_a_container_gets_longer_to_stop_than_its_processes_take(compose: dict[str, Any]) -> None:
    (service,) = compose["services"].values()
    assert int(service["stop_grace_period"].removesuffix("s")) > 30 + 2
