"""`make demo` as a newcomer meets it: it shows real answers, ends by itself and leaves nothing behind."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import psutil
import pytest

DEMO = Path(__file__).parents[3] / "examples" / "tumours" / "demo.py"
DEADLINE_SECONDS = 280.0

pytestmark = pytest.mark.timeout(300)  # it starts eight processes, two of which import scikit-learn


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts the demo without a terminal; its working folder lies under `tmp_path`."""
    demos: list[subprocess.Popen[str]] = []

    def start(**environment: str) -> subprocess.Popen[str]:
        demo = subprocess.Popen(
            [sys.executable, str(DEMO)],
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
