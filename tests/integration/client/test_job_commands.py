"""`predictq jobs` as a user runs it."""

import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import IO

import pyarrow.parquet as pq
import pytest
from tests.beside import running
from tests.conftest import Installation
from tests.servers.ports import free_port

Run = Callable[..., subprocess.CompletedProcess[str]]

GOOD = "id,a,b\n" + "".join(f"r{number},{number},0.5\n" for number in range(250))
BAD = "id,a,b\nx,1,2\ny,zz,3\n"
HOPELESS = "id,a\nx,1\n"


@pytest.fixture
def run(site: Installation, tmp_path: Path) -> Run:
    """Runs `predictq jobs …` in a folder with files."""
    for name, text in {"good.csv": GOOD, "bad.csv": BAD, "hopeless.csv": HOPELESS}.items():
        (tmp_path / name).write_text(text)

    def run(*argv: str, stderr: int | IO[str] = subprocess.PIPE, stdin: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "predictq", "jobs", *argv],
            env={**os.environ, **environment(site)},
            input=stdin,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            cwd=tmp_path,
            timeout=100,
            check=False,
        )

    return run


def environment(site: Installation) -> Mapping[str, str]:
    return {"PREDICTQ_CONFIG": str(site.config), "PREDICTQ_GATEWAY__PORT": str(site.port), "TERM": "xterm"}


def test_a_file_is_submitted_waited_for_and_its_results_written(run: Run, tmp_path: Path) -> None:
    done = run("submit", "sums", "good.csv", "--id-column", "id", "--results", "results.parquet")
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines() == ["250 of 250 rows succeeded", "results: results.parquet"]
    table = pq.read_table(tmp_path / "results.parquet")
    assert table.column_names == ["row", "id", "status", "prediction", "error"]
    assert table["prediction"].to_pylist() == [number + 0.5 for number in range(250)]

    shown = run("show", done.stdout.strip(), "--json")
    assert shown.returncode == 0
    assert json.loads(shown.stdout)["source"] == "good.csv"


def all_of(terminal: int) -> str:
    """What is written to a terminal until nobody has it open: a bar that nobody reads waits for ever."""
    pieces = []
    with suppress(OSError):
        while piece := os.read(terminal, 1 << 16):
            pieces.append(piece)
    return b"".join(pieces).decode()


def test_on_a_terminal_there_is_a_live_bar(run: Run) -> None:
    seen, terminal = pty.openpty()
    try:
        with running(partial(all_of, seen), stop=partial(os.close, terminal)) as [reading]:
            done = run("submit", "sums", "good.csv", "--keep", "id", stderr=terminal)
        written = reading.result()
    finally:
        os.close(seen)
    assert done.returncode == 0, written
    assert "sums completed" in written
    assert "250 of 250 rows" in written


def test_standard_input_is_submitted_and_followed_later(run: Run, tmp_path: Path) -> None:
    submitted = run("submit", "sums", "-", "--keep", "id", "--no-wait", stdin=BAD)
    job_id = submitted.stdout.strip()
    assert (submitted.returncode, submitted.stderr) == (0, "")

    shown = run("show", job_id, "--wait", "50")
    assert shown.returncode == 0
    assert "rows\t1 succeeded, 1 failed, of 2" in shown.stdout.splitlines()
    assert "file\tstdin" in shown.stdout.splitlines()

    assert run("results", job_id).stdout.splitlines()[:2] == ["row,id,status,prediction,error", "1,x,succeeded,3,"]
    assert run("results", job_id, "-o", "r.jsonl").returncode == 0
    assert json.loads((tmp_path / "r.jsonl").read_text().splitlines()[0])["outputs"] == {"sum": 3}

    [error] = [json.loads(line) for line in run("errors", job_id, "--json").stdout.splitlines()]
    assert (error["row"], error["column"]) == (2, "a")
    assert run("errors", job_id).stdout.splitlines()[1].startswith('2\ta\t"zz" is not of type "number"\t')

    listed = json.loads(run("list", "--endpoint", "sums", "--json").stdout)
    assert job_id in [each["id"] for each in listed]
    assert len(run("list", "--limit", "1").stdout.splitlines()) == 2
    over = run("cancel", job_id, "--json")
    assert (over.returncode, json.loads(over.stdout)["status"]) == (1, "completed")


def test_rows_that_fail_are_told_and_are_no_failure_of_the_job(run: Run) -> None:
    done = run("submit", "sums", "bad.csv", "--keep", "id", "--json")
    body = json.loads(done.stdout)
    assert (done.returncode, body["status"], body["counts"]["failed"]) == (0, "completed", 1)
    assert f"predictq jobs errors {body['id']}" in done.stderr


def test_a_job_that_fails_ends_the_command_with_1(run: Run, tmp_path: Path) -> None:
    done = run("submit", "sums", "hopeless.csv", "--keep", "id", "--results", "results.csv")
    assert done.returncode == 1
    assert "column 'b' is missing, which the endpoint requires" in done.stderr
    assert not (tmp_path / "results.csv").exists()
    shown = run("show", done.stdout.strip())
    assert shown.returncode == 1
    assert "status\tfailed" in shown.stdout.splitlines()


def test_a_job_that_is_not_over_ends_the_command_with_1_and_is_cancelled(run: Run) -> None:
    job_id = run("submit", "doors", "good.csv", "--no-wait").stdout.strip()
    shown = run("show", job_id, "--wait", "0.5", "--json")
    assert (shown.returncode, json.loads(shown.stdout)["completed_at"]) == (1, None)
    part = run("results", job_id)
    assert part.returncode == 1
    assert "these are the rows that it has so far" in part.stderr
    cancelled = run("cancel", job_id)
    assert (cancelled.returncode, cancelled.stdout) == (0, f"{job_id}  cancelled\n")


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (("submit", "nowhere", "good.csv"), "there is no endpoint 'nowhere'"),
        (("submit", "sums", "nowhere.csv"), "nowhere.csv: cannot be read: No such file"),
        (("submit", "sums", "good.csv", "--format", "xlsx"), "/format one of csv"),
        (("submit", "sums", "s3://elsewhere/rows.csv"), "the source is not allowed"),
        (("submit", "sums", "good.csv", "--results", "r.xlsx"), "no format of '.xlsx'"),
        (("submit", "sums", "good.csv", "--results", "r.csv", "--no-wait"), "--no-wait"),
        (("show", "nonsense"), "there is no job 'nonsense'"),
        (("list", "--status", "odd"), "status 'odd' is none of a job"),
        (("list", "--url", "gateway"), "'gateway' is no URL of a gateway"),
    ],
    ids=lambda value: " ".join(value[1:]) if isinstance(value, tuple) else "",
)
def test_a_mistake_ends_the_command_with_2_and_says_what_it_was(run: Run, argv: tuple[str, ...], said: str) -> None:
    done = run(*argv)
    assert done.returncode == 2
    assert said in done.stderr
    assert done.stdout == ""


def test_without_settings_a_url_is_enough(site: Installation, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "predictq", "jobs", "list", "--url", site.url, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert isinstance(json.loads(done.stdout), list)


def test_a_gateway_that_is_away_ends_the_command_with_1(run: Run) -> None:
    done = run("list", "--url", f"http://127.0.0.1:{free_port()}")
    assert done.returncode == 1
    assert "within 10 s" in done.stderr
