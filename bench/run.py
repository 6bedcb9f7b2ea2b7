"""Runs the benchmarks: `make bench`, or `.venv/bin/python bench/run.py --only worker_drain --quick`.

Prints a table and writes JSON to bench/results/. Every process is real, every setting durable; nothing here fails
because it is slow.
"""

import argparse
import json
import os
import platform
import signal
import subprocess
import sys
import time
from importlib import import_module
from pathlib import Path
from typing import Any

import psutil

from asked import BROKERS, Asked
from figures import Figure, as_json, as_table

ALONE = ("worker_drain", "end_to_end", "accepting", "latency", "memory")
"""What runs without `--only`: no server is needed."""
ON_BROKERS = ("brokers", "end_to_end", "scaling", "takeover", "lag", "push")
ON_POSTGRESQL = ("sync_alone",)
OF_FILES = ("jobs",)
BENCHMARKS = (*ALONE, *(name for name in ON_BROKERS if name not in ALONE), *ON_POSTGRESQL, *OF_FILES)
SCHEMES = {"kafka+confluent": "confluent", "postgresql+psycopg": "postgresql", "amqps": "amqp", "rediss": "redis"}

HERE = Path(__file__).resolve().parent


def main() -> None:
    # So that what was started is ended too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    asked = _arguments()
    asked.folder = asked.folder.resolve()
    asked.folder.mkdir(parents=True, exist_ok=True)
    # Before anything runs: the commit may move on, and the disk is measured at rest.
    machine = _machine(asked.folder)
    urls = {_name_of(url): url for url in (*asked.broker, *asked.database)}
    brokers = asked.brokers or tuple(name for name in urls if name in BROKERS)
    what = Asked(folder=asked.folder, rounds=asked.rounds, quick=asked.quick, brokers=brokers, urls=urls)
    figures: list[Figure] = []
    for name in asked.only or ALONE:
        print(f"{name} …", file=sys.stderr, flush=True)
        taken: list[Figure] = import_module(name).measure(what)
        print(as_table(taken, heading=not figures), flush=True)
        figures += taken
    result = {
        "command": " ".join(["bench/run.py", *sys.argv[1:]]),
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "machine": machine,
        "load_average_after": os.getloadavg(),
        "figures": [as_json(figure) for figure in figures],
    }
    asked.json.parent.mkdir(parents=True, exist_ok=True)
    asked.json.write_text(json.dumps(result, indent=2) + "\n")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", choices=BENCHMARKS, help="this one alone; may be repeated")
    parser.add_argument(
        "--brokers", type=_brokers, default=(), help=f"for {', '.join(ON_BROKERS)}: of {','.join(BROKERS)}"
    )
    parser.add_argument(
        "--broker", action="append", default=[], metavar="URL", help="use this server; else one is started"
    )
    parser.add_argument(
        "--database",
        action="append",
        default=[],
        metavar="URL",
        help="the same for PostgreSQL: a new database is made there",
    )
    parser.add_argument("--quick", action="store_true", help="less data and one round: does it run, not how fast")
    parser.add_argument("--rounds", type=int, help="medians are taken over these; 3, or 1 with --quick")
    parser.add_argument(
        "--folder", type=Path, default=HERE.parent / "var" / "bench", help="for brokers and databases; on a real disk"
    )
    parser.add_argument("--json", type=Path, default=HERE / "results" / time.strftime("%Y%m%d-%H%M%S.json"))
    asked = parser.parse_args()
    asked.rounds = asked.rounds or (1 if asked.quick else 3)
    return asked


def _brokers(text: str) -> tuple[str, ...]:
    named = tuple(text.split(","))
    if unknown := set(named) - set(BROKERS):
        raise argparse.ArgumentTypeError(f"{', '.join(sorted(unknown))}: of {','.join(BROKERS)} would be right")
    return named


def _name_of(url: str) -> str:
    scheme = url.partition("://")[0]
    return SCHEMES.get(scheme, scheme)


def _machine(folder: Path) -> dict[str, Any]:
    return {
        "cores": os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "system": platform.platform(),
        "python": platform.python_version(),
        "fdatasync_milliseconds": round(_sync_seconds(folder) * 1e3, 3),
        "load_average_before": os.getloadavg(),
        "commit": subprocess.run(
            ["git", "-C", str(HERE), "rev-parse", "--short", "HEAD"], check=True, capture_output=True, text=True
        ).stdout.strip(),
    }


def _sync_seconds(folder: Path) -> float:
    """What it costs to make 4 KiB durable."""
    file = folder / "sync-probe"
    times = 200
    descriptor = os.open(file, os.O_CREAT | os.O_WRONLY)
    try:
        started = time.perf_counter()
        for _ in range(times):
            os.write(descriptor, b"x" * 4096)
            os.fdatasync(descriptor)
        return (time.perf_counter() - started) / times
    finally:
        os.close(descriptor)
        file.unlink()


if __name__ == "__main__":
    main()
