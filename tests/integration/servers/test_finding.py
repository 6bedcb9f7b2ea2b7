"""Which server the tests get, and what the end of a run says where there is none."""

import os
import shutil
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest
from tests.servers.asking import answers
from tests.servers.finding import find, private_server
from tests.servers.names import SERVER_NAMES, variable_of
from tests.servers.ports import free_port
from tests.servers.redis_server import RedisServer

ROOT = Path(__file__).parents[3]
VARIABLE = "PREDICTQ_TEST_REDIS_URL"
SESSION = """
import pytest
from tests.servers import finding

pytest_plugins = ["tests.servers.fixtures"]
# Whatever `make services` has started in this checkout is not meant.
finding.read_services = dict
"""
NOTES = """
import os
from pathlib import Path

def test_that_notes_the_url(redis_url):
    Path(__file__).with_name(f"url-{os.getpid()}").write_text(redis_url)
"""
TESTS = """
from tests.servers.finding import private_server
from tests.servers.redis_server import RedisServer

def test_that_needs_a_server(redis_url):
    pass

def test_that_breaks_a_server():
    with private_server(RedisServer):
        pass

def test_that_needs_none():
    pass
"""


def test_a_url_in_the_environment_comes_first() -> None:
    with ExitStack() as session:
        found = find(
            "redis", environment={VARIABLE: "redis://a/0"}, services={VARIABLE: "redis://b/0"}, session=session
        )
    assert found is not None
    assert (found.url, found.way) == ("redis://a/0", VARIABLE)


def test_a_server_of_make_services_comes_second() -> None:
    with private_server(RedisServer) as redis, ExitStack() as session:
        found = find("redis", environment={}, services={VARIABLE: redis.url}, session=session)
    assert found is not None
    assert (found.url, found.way) == (redis.url, "make services")


def test_one_that_answers_no_more_is_passed_over_for_one_that_ends_with_the_session() -> None:
    dead = f"redis://127.0.0.1:{free_port()}/0"
    with ExitStack() as session:
        found = find("redis", environment={}, services={VARIABLE: dead}, session=session)
        assert found is not None
        assert found.url != dead
        assert answers(found.url)
    assert not answers(found.url)


def run_pytest(folder: Path, *options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Tests that need Redis, on a machine that has no program in its PATH but what is in the folder."""
    (folder / "conftest.py").write_text(SESSION)
    if not options:
        (folder / "test_session.py").write_text(TESTS)
    inherited = {key: value for key, value in os.environ.items() if key not in ("CI", "PATH", VARIABLE)}
    return subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "--color=no",
            f"--rootdir={folder}",
            "-c",
            os.devnull,
            *options,
            str(folder),
        ],
        cwd=ROOT,
        env={**inherited, "PATH": str(folder), **environment},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def test_without_a_server_its_tests_are_skipped_and_one_line_says_how_to_get_it(tmp_path: Path) -> None:
    done = run_pytest(tmp_path)
    assert done.returncode == 0, done.stdout
    assert "1 passed, 2 skipped" in done.stdout
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("servers: ")]
    assert line.startswith("servers: redis: not found")
    assert "make services" in line
    assert "PREDICTQ_TEST_REDIS_URL" in line


def test_without_a_server_ci_fails(tmp_path: Path) -> None:
    done = run_pytest(tmp_path, CI="true")
    assert done.returncode == 1, done.stdout
    # The fixture is an error, the private server a failure.
    assert "1 failed, 1 passed, 1 error" in done.stdout
    assert "no server for redis" in done.stdout


def test_with_a_server_one_line_says_where_it_was_found(tmp_path: Path) -> None:
    with private_server(RedisServer) as redis:
        done = run_pytest(tmp_path, **{VARIABLE: redis.url})
    assert f"servers: redis: {VARIABLE}" in done.stdout.splitlines()


def test_workers_share_servers_that_end_with_the_run_and_one_line_says_where_they_were_found(tmp_path: Path) -> None:
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("redis-server is not installed")
    (tmp_path / "redis-server").symlink_to(program)
    for name in ("test_one.py", "test_two.py"):
        (tmp_path / name).write_text(NOTES)
    others = {variable_of(name): f"{name}://nowhere" for name in SERVER_NAMES if name != "redis"}
    done = run_pytest(tmp_path, "-n", "2", "--dist", "loadfile", **others)
    assert "2 passed" in done.stdout
    first, second = (file.read_text() for file in tmp_path.glob("url-*"))
    assert first == second
    assert not answers(first)
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("servers: ")]
    assert "redis: local process" in line
