"""The snippets of README, CONTRIBUTING and docs/ do what the pages say.

Each page is a project folder of its own, and its fenced blocks are taken in their order:

    ```python            is run; ```python file=NAME is written to that file instead
    ```toml              is accepted by predictq and written to predictq.toml
    ```json              is JSON, and a message of ours where it is a CloudEvent; file=NAME writes it
    ```csv file=NAME     is written
    ```console           each `$ ` line is run, and prints what stands below it; `...` stands for anything
    ```console fails     the same, with an exit code other than 0
    ```console background  `predictq up`, RQ's processes: run until the page's end, ready before what follows
    ```console no-run    needs what a test must not touch: a network, Docker, a whole clone
    ```text, ```mermaid  are for people, and so are ```javascript and ```java, which file=NAME writes

Where it says 127.0.0.1:8700 or 127.0.0.1:9000, ports are taken that are free.

What a page takes for granted stands in a comment, where readers do not see it: `<!--`, the blocks, `-->`.

redis://localhost is the Redis of the tests, and RQ's keys on it are the page's own.

Ids, times and fractions differ from run to run and are not compared; nor are the lines that tables are drawn with.
"""

import doctest
import json
import os
import re
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import redis
from tests.servers.finding import url_of
from tests.servers.ports import free_port

from predictq.messages import BATCH, CANCEL, CHUNK, COMMIT, JOB, PREDICTION, REQUEST, Codec
from predictq.settings import load_settings

ROOT = Path(__file__).parents[3]
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted(ROOT.glob("docs/**/*.md")),
    *sorted(ROOT.glob("deploy/**/*.md")),
]
BLOCK = re.compile(r"^```(\w*)[ ]?(.*?)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
KNOWN = {"python", "toml", "json", "csv", "console", "text", "mermaid", "javascript", "java"}
CODECS: dict[str, Codec[Any]] = {
    "predictq.batch.v1": BATCH,
    "predictq.cancel.v1": CANCEL,
    "predictq.chunk.v1": CHUNK,
    "predictq.commit.v1": COMMIT,
    "predictq.job.v1": JOB,
    "predictq.prediction.v1": PREDICTION,
    "predictq.request.v1": REQUEST,
}
REDIS = "redis://localhost"
READY_SECONDS = 200.0
READY = {"predictq": "predictq is ready", "rq": "*** Listening on", "python": "registering birth"}
"""What each command says when it is, by its first word; `python` is a scheduler of RQ's."""


@dataclass(frozen=True, kw_only=True)
class Block:
    """A fenced block of a page."""

    language: str
    words: frozenset[str]
    file: str | None
    text: str
    line: int


def blocks_of(page: Path) -> list[Block]:
    text = page.read_text(encoding="utf-8")
    found = []
    for match in BLOCK.finditer(text):
        words = match[2].split()
        file = next((word.removeprefix("file=") for word in words if word.startswith("file=")), None)
        line = text.count("\n", 0, match.start()) + 1
        found.append(Block(language=match[1], words=frozenset(words), file=file, text=match[3], line=line))
    return found


@pytest.mark.timeout(400)
@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_snippets_of_a_page_work(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ports = {":8700": f":{free_port()}", ":9000": f":{free_port()}"}
    monkeypatch.setenv("PREDICTQ_GATEWAY__PORT", ports[":8700"].removeprefix(":"))
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.chdir(tmp_path)
    with ExitStack() as stack:
        if REDIS in page.read_text(encoding="utf-8"):
            monkeypatch.setenv("RQ_KEY_PREFIX", stack.enter_context(_keys_of_its_own()))
        for block in blocks_of(page):
            assert block.language in KNOWN, f"{page.name}:{block.line}: what is {block.language!r}?"
            try:
                _take(block, tmp_path, ports, stack)
            except (AssertionError, ValueError) as error:
                raise AssertionError(f"{page.relative_to(ROOT)}:{block.line}: {error}") from error


def _take(block: Block, folder: Path, ports: Mapping[str, str], stack: ExitStack) -> None:
    if block.file is not None:
        (folder / block.file).parent.mkdir(parents=True, exist_ok=True)
        (folder / block.file).write_text(_with_servers(block.text), encoding="utf-8")
    if block.language == "python" and block.file is None:
        _run_python(_replaced(_with_servers(block.text), ports))
    elif block.language == "toml":
        (folder / "predictq.toml").write_text(block.text, encoding="utf-8")
        load_settings(folder / "predictq.toml")
    elif block.language == "json":
        _check_json(block.text)
    elif block.language == "console" and "no-run" not in block.words:
        for command, expected in _commands(_with_servers(block.text)):
            if "background" in block.words:
                stack.enter_context(_running(command, folder))
            else:
                _run_console(command, expected, ports, fails="fails" in block.words)


def _with_servers(text: str) -> str:
    return text.replace(REDIS, url_of("redis")) if REDIS in text else text


@contextmanager
def _keys_of_its_own() -> Iterator[str]:
    """What RQ's keys begin with; those are gone afterwards."""
    prefix = f"page-{uuid.uuid4().hex}"
    try:
        yield prefix
    finally:
        with closing(redis.Redis.from_url(url_of("redis"))) as connection:
            for key in connection.scan_iter(f"{prefix}:*"):
                connection.delete(key)


def _run_python(text: str) -> None:
    done = subprocess.run([sys.executable, "-W", "error", "-c", text], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def _check_json(text: str) -> None:
    value = json.loads(text)
    if isinstance(value, dict) and value.get("type") in CODECS:
        CODECS[value["type"]].decode(text.encode())


def _commands(text: str) -> Iterator[tuple[str, str]]:
    """The commands of a console block, each with what it is said to print."""
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        lines = part.splitlines()
        length = next(i for i, line in enumerate(lines, start=1) if not line.endswith("\\"))
        yield "\n".join(lines[:length]), "\n".join(lines[length:])


def _run_console(command: str, expected: str, ports: Mapping[str, str], *, fails: bool) -> None:
    done = subprocess.run(
        ["bash", "-c", _replaced(command, ports)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=90,
    )
    printed = _replaced(done.stdout, {taken: written for written, taken in ports.items()})
    assert (done.returncode != 0) == fails, f"`{command}` ended with {done.returncode}:\n{printed}"
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    same = doctest.OutputChecker().check_output(_plain(expected), _plain(printed), flags)
    assert same, f"`{command}` printed\n{printed}\nand not\n{expected}"


def _replaced(text: str, ports: Mapping[str, str]) -> str:
    for written, taken in ports.items():
        text = text.replace(written, taken)
    return text


def _plain(text: str) -> str:
    """What is the same in every run."""
    text = re.sub(r"[─-╿]", " ", text)
    text = re.sub(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", "ID", text)
    text = re.sub(r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z\b", "TIME", text)
    text = re.sub(r"\b\d+\.\d+(?:e-?\d+)?\b", "FRACTION", text)
    return " ".join(text.split()) + "\n"


@contextmanager
def _running(command: str, folder: Path) -> Iterator[None]:
    """The command, ready on entry; it must end well when it is told to."""
    log_file = folder / f"background-{uuid.uuid4().hex}.log"
    with log_file.open("w+", encoding="utf-8") as log:
        process = subprocess.Popen(["bash", "-c", f"exec {command}"], stdout=log, stderr=log, cwd=folder)
        try:
            _wait_until_ready(process, log_file, READY[command.split(maxsplit=1)[0]])
            yield
        except BaseException as error:
            error.add_note(log_file.read_text(encoding="utf-8"))
            raise
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                code = process.wait(timeout=30)
            finally:
                process.kill()
                process.wait()
    assert code == 0, f"`{command}` ended with {code}:\n{(folder / 'background.log').read_text(encoding='utf-8')}"


def _wait_until_ready(process: subprocess.Popen[bytes], log: Path, said: str) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while said not in log.read_text(encoding="utf-8"):
        assert process.poll() is None, f"it ended with {process.returncode}"
        assert time.monotonic() < deadline, f"not ready within {READY_SECONDS:g} s"
        time.sleep(0.1)
