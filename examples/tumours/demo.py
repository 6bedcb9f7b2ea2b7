"""What `make demo` runs: fits two models, serves them, submits held-out rows, shows what came back.

It works in a folder of its own, on the embedded broker and database, or on those that PREDICTQ_BROKER and
PREDICTQ_DATABASE name, there under a prefix of its own. It leaves nothing behind. KEEP=1 keeps it up until Ctrl-C.
"""

import csv
import json
import os
import secrets
import selectors
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, quantiles
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlsplit

import httpx
from rich.console import Console
from rich.markup import escape

from predictq.brokers import open_broker
from predictq.cli.output import draw_table
from predictq.clock import parse_time
from predictq.errors import PredictqError
from predictq.settings import Settings, load_settings
from predictq.supervisor import SUPERVISOR_PID
from predictq.topology import Topology

HERE = Path(__file__).parent
MODELS = {"linear": "tumours-linear", "forest": "tumours-forest"}
SHOWN_ROWS = 8
READY_SECONDS = 120.0
STOP_SECONDS = 40.0

PREDICTQ = (sys.executable, "-m", "predictq")
NEXT = """What to try next:
  make demo KEEP=1          the same, and it stays up: open its live page, try a row, drop a file
  make demo BROKER=kafka DATABASE=postgresql
                            the same on servers; also confluent, rabbitmq, redis
  examples/own_model        your own model in five lines
  .venv/bin/predictq -h     everything that the command can do
  docs/                     how it works, and every setting"""

out = Console(highlight=False, soft_wrap=True)


class DemoFailed(Exception):
    """A step did not do what it should; the text is what to tell."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One submitted row: what each model said and in which mini-batch, how long it took, and what is true."""

    labels: dict[str, str]
    batches: dict[str, str]
    latency_seconds: float
    truth: str


def main() -> int:
    """The exit code: 0 when every row was answered."""
    started = time.monotonic()
    out.print("\n[bold]predictq[/] puts a queue before your models. Here two of them answer the same requests.\n")
    try:
        with TemporaryDirectory(prefix="predictq-demo-") as name:
            folder = Path(name)
            shutil.copy(HERE / "predictq.toml", folder)
            with step("fit a linear model and a forest on scikit-learn's breast-cancer data"):
                run([sys.executable, str(HERE / "train.py"), name], folder)
            with place(folder), up(folder) as url:
                show_the_file(folder, url)
                show_one(folder, url)
                show_a_job(folder, url)
                show_a_folder(folder)
                if os.environ.get("KEEP"):
                    keep(folder, url)
        out.print(f"\nDone in {time.monotonic() - started:.0f} s, and nothing is left running.\n\n{NEXT}")
    except DemoFailed as failed:
        out.print(f"\n[bold red]The demo failed:[/] {escape(str(failed))}")
        return 1
    except KeyboardInterrupt:
        out.print("\nStopped.")
        return 130
    return 0


def show_the_file(folder: Path, url: str) -> None:
    """Submit all held-out rows, and show what the models made of them."""
    with (folder / "truth.csv").open(newline="") as file:
        truth = [row["truth"] for row in csv.DictReader(file)]
    with step(f"predictq submit tumours held-out.csv: {len(truth)} rows, one request each"):
        ids = run([*PREDICTQ, "submit", "tumours", "held-out.csv"], folder).decode().split()
    with step("read all answers over HTTP"), httpx.Client(base_url=url, timeout=30) as client:
        answers = [read(client, request_id, true) for request_id, true in zip(ids, truth, strict=True)]

    telling = sorted(answers, key=lambda answer: all(answer.labels[m] == answer.truth for m in MODELS))[:SHOWN_ROWS]
    rows = [(*(marked(answer.labels[model], answer.truth) for model in MODELS), answer.truth) for answer in telling]
    out.print(
        draw_table((*MODELS, "truth"), rows, title=f"\n{SHOWN_ROWS} of {len(answers)} rows, the mistaken ones first")
    )

    measured = []
    for model in MODELS:
        right = mean(answer.labels[model] == answer.truth for answer in answers)
        sizes = Counter(answer.batches[model] for answer in answers).values()
        measured.append((model, f"{right:.1%}", len(sizes), min(sizes), max(sizes)))
    columns = ("model", "accuracy", "mini-batches", "smallest (rows)", "largest (rows)")
    out.print(draw_table(columns, measured, title="\nEach model, over all rows"))
    cuts = quantiles([answer.latency_seconds * 1000 for answer in answers], n=100)
    out.print(
        f"From submit to stored answer: {cuts[49]:.0f} ms in the median, {cuts[98]:.0f} ms for the slowest of 100."
    )


def show_one(folder: Path, url: str) -> None:
    """Submit a single row as curl would, and wait for its answer on the same connection."""
    with (folder / "held-out.csv").open(newline="") as file:
        instance = {name: float(value) for name, value in next(csv.DictReader(file)).items()}
    (folder / "one.json").write_text(json.dumps({"instances": [instance]}))
    target = f"{url}/v1/endpoints/tumours/predictions"
    headers = {"Content-Type": "application/json", "Prefer": "wait=10"}
    out.print(f"\n[bold]One row by HTTP[/], waiting for the answer:\n\n  curl -s {target} \\")
    out.print(
        "    " + " ".join(f"-H '{name}: {value}'" for name, value in headers.items()) + f" -d @{folder}/one.json\n"
    )
    answer = httpx.post(target, headers=headers, content=(folder / "one.json").read_bytes(), timeout=30)
    if answer.status_code != 200:
        raise DemoFailed(f"POST {target} answered {answer.status_code}: {answer.text}")
    for prediction in answer.json()["predictions"]:
        label, probability = verdict(prediction)
        out.print(f"  {prediction['deployment']}: {label}, {probability:.1%} sure")


def show_a_job(folder: Path, url: str) -> None:
    """All rows as one file: the answers come back as one, in the same order."""
    out.print("\n[bold]A file of many rows[/] is a job, with progress, partial results and a list of errors:\n")
    command = ["jobs", "submit", "tumours", "held-out.csv", "--results", "answers.csv"]
    with step(f"predictq {' '.join(command)}"):
        run([*PREDICTQ, *command, "--url", url], folder)
    show_results(folder / "answers.csv")


def show_a_folder(folder: Path) -> None:
    """A file that is put into a watched folder becomes a job by itself, and its results a file."""
    inbox, results = folder / "inbox", folder / "results"
    inbox.mkdir()
    watcher = subprocess.Popen(
        [*PREDICTQ, "watch", "inbox", "--endpoint", "tumours", "--results", "results", "--settle", "0.5"],
        cwd=folder,
        env={**os.environ, SUPERVISOR_PID: str(os.getpid())},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=(folder / "watch.log").open("wb"),
        process_group=0,
    )
    out.print()
    try:
        with step("predictq watch inbox --endpoint tumours --results results: a file is put there") as note:
            shutil.copy(folder / "held-out.csv", inbox / "monday.csv")
            written = awaited(lambda: next(results.glob("monday*.csv"), None), folder / "watch.log")
            note(f"results/{written.name}")
    finally:
        stop(watcher)


def show_results(file: Path) -> None:
    with file.open(newline="") as text:
        rows = list(csv.DictReader(text))
    shown_columns = [name for name in rows[0] if name in {"row", "status"} or name.endswith("label")]
    first = [tuple(row[name] for name in shown_columns) for row in rows[:3]]
    out.print(draw_table(shown_columns, first, title=f"\n{file.name}: {len(rows)} rows, {len(rows[0])} columns"))


def awaited(look: Callable[[], Path | None], log: Path) -> Path:
    """What is there in the end. Raises DemoFailed with the log where that takes too long."""
    deadline = time.monotonic() + STOP_SECONDS
    while (found := look()) is None:
        if time.monotonic() > deadline:
            raise DemoFailed(
                f"no result file within {STOP_SECONDS:.0f} s. The log of `predictq watch` ends:\n{tail(log)}"
            )
        time.sleep(0.05)
    return found


def read(client: httpx.Client, request_id: str, truth: str) -> Answer:
    """What both models answered to one request, waiting for it where it is not there yet."""
    response = client.get(f"/v1/predictions/{request_id}", params={"wait": 10})
    body: dict[str, Any] = response.json()
    if response.status_code != 200 or body["status"] != "succeeded":
        raise DemoFailed(f"request {request_id} has no answer: {response.text}")
    by_deployment = {prediction["deployment"]: prediction for prediction in body["predictions"]}
    return Answer(
        labels={model: verdict(by_deployment[deployment])[0] for model, deployment in MODELS.items()},
        batches={model: by_deployment[deployment]["batch_id"] for model, deployment in MODELS.items()},
        latency_seconds=max(parse_time(p["created_at"]) for p in body["predictions"]) - parse_time(body["created_at"]),
        truth=truth,
    )


def verdict(prediction: dict[str, Any]) -> tuple[str, float]:
    """The label of a prediction of one instance, and its probability."""
    (output,) = prediction["outputs"]
    return output["label"], output["probabilities"][output["label"]]


def marked(label: str, truth: str) -> str:
    return label if label == truth else f"{label} (wrong)"


@contextmanager
def place(folder: Path) -> Iterator[None]:
    """Say which broker and database it is; on a broker that others use too, keep to a prefix and remove it."""
    if "PREDICTQ_BROKER" in os.environ:
        os.environ["PREDICTQ_PREFIX"] = f"demo-{secrets.token_hex(4)}"
    try:
        settings = load_settings(folder / "predictq.toml")
        topics = f" (topics {settings.prefix}.*)" if "PREDICTQ_BROKER" in os.environ else ""
        out.print(f"  [green]✓[/] broker {shown(settings.broker)}{topics}, database {shown(settings.database)}")
        try:
            yield
        finally:
            if "PREDICTQ_BROKER" in os.environ:
                remove_topics(settings)
    except PredictqError as error:
        raise DemoFailed(str(error)) from error


def shown(url: str) -> str:
    """The URL without user and password."""
    parts = urlsplit(url)
    if parts.scheme == "sqlite":
        return "embedded (SQLite)"
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def remove_topics(settings: Settings) -> None:
    with closing(open_broker(settings.broker_url())) as broker, closing(broker.admin()) as admin:
        admin.ensure(Topology(settings.prefix, (), ()), prune=True)


@contextmanager
def up(folder: Path) -> Iterator[str]:
    """`predictq up` on a free port; gives its URL, and stops it again."""
    log = folder / "up.log"
    with step("predictq up: gateway, two workers, sync service") as note, log.open("wb") as errors:
        process = subprocess.Popen(
            [*PREDICTQ, "up", "--json"],
            cwd=folder,
            # The kernel ends it should this process be killed, and it has a group of its own: Ctrl-C comes here first.
            env={**os.environ, "PREDICTQ_GATEWAY__PORT": "0", SUPERVISOR_PID: str(os.getpid())},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            process_group=0,
        )
        try:
            ready = ready_line(process)
        except BaseException:
            stop(process)
            raise
        if not ready:
            stop(process)
            raise DemoFailed(f"`predictq up` did not become ready. Its log ends:\n{tail(log)}")
        url: str = json.loads(ready)["url"]
        note(url)
    try:
        yield url
    except (httpx.HTTPError, DemoFailed) as failed:
        raise DemoFailed(f"{failed}\nThe log of `predictq up` ends:\n{tail(log)}") from failed
    finally:
        stop(process)


def ready_line(process: subprocess.Popen[bytes]) -> bytes:
    """The line that `predictq up --json` prints when everything is ready; empty when it ended or took too long."""
    if process.stdout is None:
        return b""
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        return process.stdout.readline() if selector.select(READY_SECONDS) else b""


def stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def keep(folder: Path, url: str) -> None:
    """Stay up until Ctrl-C."""
    out.print(
        f"\nIt stays up: {url} is its live page, {url}/openapi.json its API; files in {folder}\n"
        "Ctrl-C stops it and removes the folder."
    )
    with suppress(KeyboardInterrupt):
        signal.pause()


def run(command: Sequence[str], folder: Path) -> bytes:
    """What a command printed. Raises DemoFailed with what it said when it fails."""
    done = subprocess.run(command, cwd=folder, capture_output=True, check=False)
    if done.returncode != 0:
        said = done.stderr.decode(errors="replace").strip()
        raise DemoFailed(f"{' '.join(command)} ended with exit code {done.returncode}:\n{said}")
    return done.stdout


@contextmanager
def step(text: str) -> Iterator[Callable[[str], None]]:
    """Say what is being done, and when it is done how long it took and what is to be noted."""
    notes: list[str] = []
    started = time.monotonic()
    with out.status(escape(text)):
        yield notes.append
    took = time.monotonic() - started
    out.print(f"  [green]✓[/] {escape(' → '.join([text, *notes]))} [dim]({took:.1f} s)[/]")


def tail(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-20:])


if __name__ == "__main__":
    # A shell starts what runs in its background deaf to Ctrl-C; SIGTERM is to be as orderly.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    sys.exit(main())
