"""The wheels: what is in them, and that each service runs with its own dependencies alone."""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MEMBERS = {
    "predictq": "core",
    "predictq_gateway": "gateway",
    "predictq_producers": "producers",
    "predictq_sync": "sync_service",
    "predictq_workers": "workers",
}
WEB = {"fastapi", "starlette", "uvicorn"}
MODELS = {"joblib", "numpy", "scikit-learn", "scipy", "skops"}
DATABASE = {"alembic", "pysqlite3", "sqlalchemy"}
EXTRAS = {
    "predictq": "[confluent,kafka,rabbitmq,redis,s3]",
    "predictq_producers": "[client,rq,schedules,watch]",
    "predictq_sync": "[postgresql]",
}
DRIVERS = {"confluent-kafka", "hiredis", "kafka-python", "pika", "psycopg", "redis", "s3fs"}
COMMANDS = {
    "predictq": {"up", "topics", "doctor"},
    "predictq_gateway": {"gateway"},
    "predictq_producers": {"submit", "ingest", "jobs", "watch", "scheduler", "schedules"},
    "predictq_sync": {"sync", "get", "dead-letters", "db"},
    "predictq_workers": {"worker"},
}

HTTP_MODULES = {
    "predictq_producers.bodies",
    "predictq_producers.events.routes",
    "predictq_producers.jobs.routes",
    "predictq_producers.jobs.taking",
    "predictq_producers.jobs.uploading",
    "predictq_producers.routes",
    "predictq_sync.jobs.result_routes",
    "predictq_sync.jobs.routes",
    "predictq_sync.operation.answering",
    "predictq_sync.operation.letter_routes",
    "predictq_sync.operation.routes",
    "predictq_sync.routes",
    "predictq_sync.streams.opening",
    "predictq_sync.streams.routes",
    "predictq_sync.streams.sse",
    "predictq_sync.webhooks.asking",
    "predictq_sync.webhooks.delivery_routes",
    "predictq_sync.webhooks.key_routes",
    "predictq_sync.webhooks.routes",
}
"""They need the extra `http`."""
CLIENT_MODULES = {
    "predictq_producers.client.async_",
    "predictq_producers.client.listening",
    "predictq_producers.client.sending",
    "predictq_producers.client.sockets",
    "predictq_producers.client.streaming",
    "predictq_producers.client.sync_",
    "predictq_producers.following",
}
"""They need the extra `client`."""
WATCHING_MODULES = {"predictq_producers.watching.watcher"}
"""They need the extra `watch`."""
RQ_MODULES = {"predictq_producers.schedules.rq_cron"}
"""They need the extra `rq`."""
SERVER_BROKERS = {"predictq.brokers.amqp", "predictq.brokers.kafka", "predictq.brokers.redis"}
"""They need a driver, and say which extra brings it."""
POSTGRESQL_MODULES = {"predictq_sync.writing.postgresql", "predictq_sync.writing.copying"}
"""They need the extra `postgresql`."""
IMPORT_ALL = """
import importlib, pkgutil, sys
skipped = tuple(sys.argv[2].split())
def import_all(name):
    package = importlib.import_module(name)
    for found in pkgutil.iter_modules(package.__path__, name + "."):
        if not found.name.startswith(skipped) and found.name.rpartition(".")[2] not in ("migrations", "__main__"):
            import_all(found.name) if found.ispkg else importlib.import_module(found.name)
for name in sys.argv[1].split(","):
    import_all(name)
"""
OPEN_BROKER = """
import sys
from predictq.brokers import open_broker
from predictq.errors import MissingExtra
try:
    open_broker(sys.argv[1])
except MissingExtra as error:
    print(error)
"""
OPEN_DATABASE = OPEN_BROKER.replace(
    "predictq.brokers import open_broker", "predictq_sync.database import Database"
).replace("open_broker(", "Database(")
MAKE_CLIENT = """
from predictq.errors import MissingExtra
import predictq_producers
try:
    predictq_producers.Client
except MissingExtra as error:
    print(error)
"""
ASK_FOR_HELP = """
import sys
from predictq.cli.main import build_app
app = build_app()
for command in sys.argv[1:]:
    app([command, "--help"], standalone_mode=False)
"""


@dataclass(frozen=True, kw_only=True)
class Environment:
    """A virtual environment into which some members were installed."""

    folder: Path
    packages: frozenset[str]

    def run(self, *command: str) -> str:
        """What a program of the environment prints, in an empty folder."""
        program, *rest = command
        done = subprocess.run(
            [str(self.folder / "bin" / program), *rest],
            cwd=self.folder,
            env={**os.environ, "COLUMNS": "200", "NO_COLOR": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout


def _uv() -> str:
    found = shutil.which("uv", path=f"{ROOT / '.tools/bin'}{os.pathsep}{os.environ['PATH']}")
    if found is None:
        message = "uv is missing; `make test` brings it"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    return found


def _call(*command: str) -> str:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The wheel of each member, by the name of its package."""
    folder = tmp_path_factory.mktemp("wheels")
    _call(_uv(), "build", "--quiet", "--all-packages", "--wheel", "--python", sys.executable, "--out-dir", str(folder))
    return {wheel.name.split("-")[0]: wheel for wheel in folder.glob("*.whl")}


@pytest.fixture(scope="module")
def install(wheels: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Environment]:
    """Makes environments, each of the wheels of some members and what these need."""

    def make(members: Sequence[str], *, extras: bool = False) -> Environment:
        folder = tmp_path_factory.mktemp("environment") / "venv"
        uv = _uv()
        _call(uv, "venv", "--quiet", "--python", sys.executable, str(folder))
        chosen = [f"{wheels[member]}{EXTRAS.get(member, '') if extras else ''}" for member in members]
        constraints = str(ROOT / "constraints.txt")
        _call(uv, "pip", "install", "--quiet", "--python", str(folder), "--constraint", constraints, *chosen)
        listed = json.loads(_call(uv, "pip", "list", "--python", str(folder), "--format", "json"))
        return Environment(folder=folder, packages=frozenset(package["name"] for package in listed))

    return make


def test_a_wheel_holds_one_typed_package_and_all_its_modules(wheels: dict[str, Path]) -> None:
    assert set(wheels) == set(MEMBERS)
    for package, wheel in wheels.items():
        names = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
        assert f"{package}/py.typed" in names
        source = ROOT / MEMBERS[package] / "src"
        files = {
            str(file.relative_to(source))
            for file in source.rglob("*")
            if file.is_file() and "__pycache__" not in file.parts
        }
        assert names == files


def test_all_members_together_have_all_commands(install: Callable[..., Environment]) -> None:
    environment = install(list(MEMBERS), extras=True)
    environment.run("python", "-c", IMPORT_ALL, ",".join(MEMBERS), "")
    shown = environment.run("predictq", "--help")
    for commands in COMMANDS.values():
        for command in commands:
            assert f" {command} " in shown, command


@pytest.mark.parametrize(
    ("members", "absent"),
    [
        (["predictq"], WEB | MODELS | DATABASE),
        (["predictq", "predictq_producers"], WEB | MODELS | DATABASE),
        (["predictq", "predictq_workers"], WEB | DATABASE),
        (["predictq", "predictq_sync"], WEB | MODELS),
        (["predictq", "predictq_producers", "predictq_sync", "predictq_gateway"], MODELS),
    ],
    ids=["core", "producers", "workers", "sync", "gateway"],
)
def test_a_service_installs_and_speaks_without_what_others_need(
    members: list[str], absent: set[str], install: Callable[..., Environment]
) -> None:
    environment = install(members)
    assert environment.packages & (absent | DRIVERS) == set()
    skipped = SERVER_BROKERS | POSTGRESQL_MODULES | CLIENT_MODULES | WATCHING_MODULES | RQ_MODULES
    if "fastapi" not in environment.packages:
        skipped |= HTTP_MODULES
    environment.run("python", "-c", IMPORT_ALL, ",".join(members), " ".join(skipped))
    environment.run("python", "-c", ASK_FOR_HELP, *(command for member in members for command in COMMANDS[member]))
    if "predictq_sync" in members:
        environment.run("predictq", "db", "upgrade")


def test_without_its_driver_a_broker_names_the_extra_to_install(install: Callable[..., Environment]) -> None:
    environment = install(["predictq"])
    extras = {"amqp": "rabbitmq", "kafka": "kafka", "kafka+confluent": "confluent", "redis": "redis"}
    for scheme, extra in extras.items():
        assert f"predictq[{extra}]" in environment.run("python", "-c", OPEN_BROKER, f"{scheme}://localhost")


def test_without_its_driver_the_database_names_the_extra_to_install(install: Callable[..., Environment]) -> None:
    environment = install(["predictq", "predictq_sync"])
    said = environment.run("python", "-c", OPEN_DATABASE, "postgresql+psycopg://localhost/predictq")
    assert "predictq-sync[postgresql]" in said


def test_without_httpx_the_client_names_the_extra_to_install(install: Callable[..., Environment]) -> None:
    environment = install(["predictq", "predictq_producers"])
    said = "the client needs the extra 'client': pip install 'predictq-producers[client]'"
    assert environment.run("python", "-c", MAKE_CLIENT).strip() == said
