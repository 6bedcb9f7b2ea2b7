"""`make demo` as a newcomer meets it: it shows real answers, ends by itself and leaves nothing behind."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import httpx
import psutil
import psycopg
import pytest
from tests.servers.finding import url_of
from tests.servers.lending import BROKERS
from tests.servers.names import variable_of

from predictq.brokers import open_broker

ROOT = Path(__file__).parents[3]
DEMO = ROOT / "examples" / "tumours" / "demo.py"
DEADLINE_SECONDS = 280.0

pytestmark = pytest.mark.timeout(300)  # it starts eight processes, two of which import scikit-learn


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts the demo without a terminal; its working folder lies under `tmp_path`."""
    demos: list[subprocess.Popen[str]] = []

    def start(*before: str, **environment: str) -> subprocess.Popen[str]:
        demo = subprocess.Popen(
            [*before, sys.executable, str(DEMO)],
            cwd=ROOT,
            env={**os.environ, "TMPDIR": str(tmp_path), "PYTHONUNBUFFERED": "1", **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        demos.append(demo)
        return demo

    yield start
    for demo in demos:
        demo.kill()
        demo.wait()
        if demo.stdout is not None:
            demo.stdout.close()


def running_under(folder: Path) -> list[str]:
    """Processes that work in the folder, as all that the demo starts do."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.status() != psutil.STATUS_ZOMBIE and Path(process.cwd()).is_relative_to(folder):
                found.append(" ".join(process.cmdline()))
        except psutil.Error:
            continue
    return found


def wait_until_nothing_runs_under(folder: Path) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while left := running_under(folder):
        assert time.monotonic() < deadline, left
        time.sleep(0.05)


def test_it_shows_real_answers_and_leaves_nothing_behind(
    start: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    demo = start()
    said, _ = demo.communicate(timeout=DEADLINE_SECONDS)

    assert demo.returncode == 0, said
    assert "171 rows" in said
    accuracy = [float(number) for number in re.findall(r"^ *(?:linear|forest) +([\d.]+)%", said, re.MULTILINE)]
    assert len(accuracy) == 2
    assert min(accuracy) > 90
    assert re.search(r"curl -s http://127\.0\.0\.1:\d+/v1/endpoints/tumours/predictions", said)
    assert re.search(r"tumours-linear: (malignant|benign), [\d.]+% sure", said)
    assert "answers.csv: 171 rows" in said
    assert re.search(r"results/monday\S*\.csv", said)
    assert "What to try next" in said
    assert "\x1b" not in said
    assert running_under(tmp_path) == []
    assert list(tmp_path.iterdir()) == []


def test_keep_leaves_it_up_until_ctrl_c(start: Callable[..., subprocess.Popen[str]], tmp_path: Path) -> None:
    demo = start(KEEP="1")
    assert demo.stdout is not None
    url = None
    for line in demo.stdout:
        if found := re.search(r"It stays up: (http://\S+)", line):
            url = found[1]
            break
    assert url is not None, demo.wait(DEADLINE_SECONDS)
    assert httpx.get(f"{url}/readyz").status_code == 200

    demo.send_signal(signal.SIGINT)
    said, _ = demo.communicate(timeout=DEADLINE_SECONDS)

    assert demo.returncode == 0, said
    assert running_under(tmp_path) == []
    assert list(tmp_path.iterdir()) == []


def test_a_failure_is_told_with_the_log_and_leaves_nothing_behind(
    start: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    demo = start(**{"PREDICTQ_DEPLOYMENTS__TUMOURS-LINEAR__MODEL": "models/none.joblib"})
    said, _ = demo.communicate(timeout=DEADLINE_SECONDS)

    assert demo.returncode == 1
    assert "The demo failed: `predictq up` did not become ready" in said
    assert "models/none.joblib: no file" in said
    assert "Traceback" not in said
    assert running_under(tmp_path) == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child of its parent's death")
def test_a_killed_demo_leaves_no_process(start: Callable[..., subprocess.Popen[str]], tmp_path: Path) -> None:
    demo = start(KEEP="1")
    assert demo.stdout is not None
    assert any("✓ predictq up" in line for line in demo.stdout)

    demo.kill()
    demo.communicate()

    wait_until_nothing_runs_under(tmp_path)


@pytest.mark.parametrize("broker", sorted(BROKERS))
def test_on_servers_it_shows_the_same_and_removes_its_topics_and_its_database(
    broker: str, start: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    server, scheme = BROKERS[broker]
    urls = {variable_of(server): url_of(server), variable_of("postgresql"): url_of("postgresql")}

    demo = start(sys.executable, "-m", "tests.servers", "lend", broker, "postgresql", **urls)
    said, _ = demo.communicate(timeout=DEADLINE_SECONDS)

    assert demo.returncode == 0, said
    assert f"{broker}: running already ({variable_of(server)}), stays up" in said
    place = re.search(rf"broker {re.escape(scheme)}://\S+ \(topics (demo-\w+)\.\*\), database \S+/(\w+)", said)
    assert place is not None, said
    assert "@" not in place[0], "no password is shown"
    accuracy = [float(number) for number in re.findall(r"^ *(?:linear|forest) +([\d.]+)%", said, re.MULTILINE)]
    assert len(accuracy) == 2
    assert min(accuracy) > 90
    assert running_under(tmp_path) == []
    with closing(open_broker(urls[variable_of(server)])) as there, closing(there.admin()) as admin:
        assert admin.topics(place[1]) == {}
    with psycopg.connect(urls[variable_of("postgresql")].replace("+psycopg", "")) as connection:
        assert connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [place[2]]).fetchone() is None


def test_an_unknown_broker_is_told_with_those_that_are_known(start: Callable[..., subprocess.Popen[str]]) -> None:
    demo = start(sys.executable, "-m", "tests.servers", "lend", "rabbit", "postgresql")
    said, _ = demo.communicate(timeout=DEADLINE_SECONDS)
    assert demo.returncode == 1
    assert said == (
        "error: BROKER=rabbit is not known; one of confluent, kafka, rabbitmq, redis would be right, "
        "or nothing for the embedded one\n"
    )
