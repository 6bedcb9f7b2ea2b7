"""`predictq worker`."""

import os
from collections.abc import Sequence
from typing import Annotated

import typer

from predictq.errors import UserMistake
from predictq.logs import configure_logging
from predictq.process import announce_ready
from predictq.settings import DeploymentSettings, Settings, load_settings
from predictq.supervisor import ProcessSpec, Supervisor

__all__ = ["processes", "register"]

GRACE_MARGIN_SECONDS = 2.0
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("worker", help="Serve one deployment: read its requests, predict, answer.")(_worker)


def processes(settings: Settings) -> Sequence[ProcessSpec]:
    """What `predictq up` runs of this member: one for each deployment, the cores shared out among them all."""
    threads = _threads_each(sum(deployment.processes for deployment in settings.deployments.values()))
    return [ProcessSpec(f"worker {name}", ("worker", name, "--threads", str(threads))) for name in settings.deployments]


def _worker(
    deployment: Annotated[str, typer.Argument(help="A deployment of the settings.", show_default=False)],
    count: Annotated[
        int | None,
        typer.Option("--processes", min=1, max=256, help="How many; the deployment's `processes` by default."),
    ] = None,
    threads: Annotated[
        int | None,
        typer.Option(
            min=1, help="Of native code (BLAS, OpenMP) in each process; cores divided by processes by default."
        ),
    ] = None,
) -> None:
    settings = load_settings()
    spec = _find(settings, deployment)
    count = spec.processes if count is None else count
    threads = _threads_each(count) if threads is None else threads
    _limit_native_threads(threads)
    configure_logging(settings.log, process=f"worker {deployment}")
    if count > 1:
        argv = ("worker", deployment, "--processes", "1", "--threads", str(threads))
        children = [ProcessSpec(f"worker {deployment} {number}", argv) for number in range(1, count + 1)]
        grace_seconds = settings.worker.grace_seconds + GRACE_MARGIN_SECONDS
        raise typer.Exit(Supervisor(children, grace_seconds=grace_seconds, on_ready=announce_ready).run())

    from predictq_workers.service import run  # noqa: PLC0415 - model libraries, for this command alone

    raise typer.Exit(run(settings, deployment))


def _find(settings: Settings, deployment: str) -> DeploymentSettings:
    if deployment not in settings.deployments:
        known = ", ".join(sorted(settings.deployments)) or "none is configured"
        raise UserMistake(f"{deployment!r} is no deployment; known: {known}")
    return settings.deployments[deployment]


def _threads_each(count: int) -> int:
    return max(1, (os.cpu_count() or 1) // max(1, count))


def _limit_native_threads(threads: int) -> None:
    """Before anything native is loaded, which reads them once. What the user has set stands."""
    for variable in THREAD_VARIABLES:
        os.environ.setdefault(variable, str(threads))
