"""Dockerfiles and compose file, as far as they can be checked without a Docker engine."""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

ROOT = Path(__file__).parents[2]
DOCKERFILES = sorted(ROOT.glob("deploy/*Dockerfile"))
ENV_FILES = sorted(ROOT.glob("deploy/*.env"))
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


@pytest.fixture
def services(compose: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = compose["services"]
    return found


def _variables(env_file: Path) -> dict[str, str]:
    lines = env_file.read_text(encoding="utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


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
def test_an_image_has_the_drivers_of_all_servers(dockerfile: Path) -> None:
    text = dockerfile.read_text(encoding="utf-8")
    project = tomllib.loads((ROOT / "core/pyproject.toml").read_text(encoding="utf-8"))["project"]
    # The extra s3 brings files. Workers see no file of a job.
    needless = {"files", "s3"} if dockerfile.name == "worker.Dockerfile" else {"files"}
    assert f"'./core[{','.join(sorted(set(project['optional-dependencies']) - needless))}]'" in text
    assert ("./sync_service" in text) == ("'./sync_service[postgresql]'" in text)


@pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=lambda file: file.name)
def test_an_image_runs_as_a_user_who_owns_nothing_but_the_data(dockerfile: Path) -> None:
    last_stage = dockerfile.read_text(encoding="utf-8").rpartition("\nFROM ")[2]
    assert re.search(r"^USER [1-9]\d*:[1-9]\d*$", last_stage, re.MULTILINE)
    assert re.findall(r"--owner \S+ --group \S+ (\S+)", last_stage) == ["/var/lib/predictq"]
    assert "--chown" not in last_stage


def test_a_plain_start_runs_all_processes_and_no_server(services: dict[str, Any]) -> None:
    started = {name: service["command"] for name, service in services.items() if not service.get("profiles")}
    assert started == {
        "gateway": ["gateway"],
        "sync": ["sync"],
        "ingest": ["ingest"],
        "linear": ["worker", "tumours-linear"],
        "forest": ["worker", "tumours-forest"],
    }
    environment = {json.dumps(services[name]["environment"]) for name in started}
    assert len(environment) == 1, "one installation: one broker, one database, one storage"
    broker, database, storage = (set_to.partition(":-")[2] for set_to in json.loads(environment.pop()).values())
    assert broker.startswith("sqlite:////var/lib/predictq/")
    assert database.startswith("sqlite:////var/lib/predictq/")
    assert storage.startswith("file:///var/lib/predictq/")


@pytest.mark.parametrize("env_file", ENV_FILES, ids=lambda file: file.stem)
def test_an_env_file_chooses_servers_and_the_urls_that_lead_to_them(env_file: Path, services: dict[str, Any]) -> None:
    values = _variables(env_file)
    profile = values["COMPOSE_PROFILES"]
    assert profile == env_file.stem
    servers = {name for name, service in services.items() if profile in service.get("profiles", [])}
    hosts = {
        urlsplit(re.sub(r"\$\{.*?\}", "secret", values[key])).hostname
        for key in ("PREDICTQ_BROKER", "PREDICTQ_DATABASE")
    }
    assert hosts == servers == {profile, "postgres"}


@pytest.mark.parametrize("env_file", ENV_FILES, ids=lambda file: file.stem)
def test_no_password_is_written_down_and_none_may_be_missing(env_file: Path, services: dict[str, Any]) -> None:
    for url in _variables(env_file).values():
        assert re.fullmatch(r"(?:.*//)?(?:\w*:\$\{[A-Z]+_PASSWORD:\?[^}]+\}@)?[^@$]+", url)
    secrets = [
        value
        for service in services.values()
        for name, value in service.get("environment", {}).items()
        if re.search("PASS|AUTH", name)
    ]
    assert len(secrets) == 3
    assert all(re.fullmatch(r"\$\{[A-Z]+_PASSWORD-\}", secret) for secret in secrets)


def test_there_is_an_env_file_for_each_profile(services: dict[str, Any]) -> None:
    profiles = {profile for service in services.values() for profile in service.get("profiles", [])}
    assert {file.stem for file in ENV_FILES} == profiles


def test_processes_wait_until_the_servers_of_their_profile_are_well(services: dict[str, Any]) -> None:
    servers = {name for name, service in services.items() if service.get("profiles")}
    for service in services.values():
        if not service.get("profiles"):
            assert service["depends_on"] == {
                key: {"condition": "service_healthy", "required": False} for key in servers
            }
    assert all(services[server]["healthcheck"]["test"] for server in servers)


def test_servers_are_of_one_version_and_keep_their_data_in_a_volume(
    compose: dict[str, Any], services: dict[str, Any]
) -> None:
    servers = {name: service for name, service in services.items() if service.get("profiles")}
    for name, service in servers.items():
        assert re.fullmatch(r"[a-z/]+:\d+\.\d+(\.\d+)?", service["image"])
        assert [volume.partition(":")[0] for volume in service["volumes"]] == [name]
    assert set(compose["volumes"]) == {"data", *servers}
    assert services["rabbitmq"]["hostname"] == "rabbitmq", "its data belongs to the node of that name"
    redis = " ".join(services["redis"]["command"])
    assert "--appendonly yes" in redis
    assert "--maxmemory-policy noeviction" in redis


def test_the_compose_file_serves_the_loopback_address_alone(services: dict[str, Any]) -> None:
    published = [port for service in services.values() for port in service.get("ports", [])]
    assert published == ["127.0.0.1:8700:8700"]
    assert all("network_mode" not in service for service in services.values())


def test_processes_can_write_their_data_and_nothing_else(services: dict[str, Any]) -> None:
    for service in services.values():
        assert "no-new-privileges:true" in service["security_opt"]
        if not service.get("profiles"):
            assert service["volumes"] == ["data:/var/lib/predictq"]
            assert service["read_only"] is True
            assert service["cap_drop"] == ["ALL"]
            assert (ROOT / service["build"]["context"] / service["build"]["dockerfile"]).is_file()


def test_a_container_gets_longer_to_stop_than_its_processes_take(services: dict[str, Any]) -> None:
    for service in services.values():
        assert int(service["stop_grace_period"].removesuffix("s")) > 30 + 2
