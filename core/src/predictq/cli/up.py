"""`predictq up`: everything of one settings file, side by side on one machine."""

import os
import socket
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import entry_points
from typing import Any

import typer

from predictq.checks import file_checks, port_is_free
from predictq.cli.output import Json, emit_json, say
from predictq.cli.topics import ensure_topics
from predictq.errors import UserMistake
from predictq.logs import configure_logging
from predictq.settings import Settings, load_settings
from predictq.starting import patiently
from predictq.supervisor import ProcessSpec, Supervisor

__all__ = ["register"]

GRACE_MARGIN_SECONDS = 5.0
"""A child that supervises processes of its own needs a little longer than they do."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(up)


def up(json: Json = False) -> None:
    """Run everything of the settings file: gateway, workers and sync service. Ctrl-C stops it."""
    started = time.monotonic()
    settings = _with_a_port(load_settings())
    _refuse_what_cannot_work(settings)
    configure_logging(settings.log, process="up")
    _prepare(settings)

    def on_ready() -> None:
        if json:
            emit_json(_ready(settings))
            sys.stdout.flush()
        else:
            say(_ready_text(settings, time.monotonic() - started))

    grace = max(settings.worker.grace_seconds, settings.sync.grace_seconds) + GRACE_MARGIN_SECONDS
    raise typer.Exit(Supervisor(_processes(settings), grace_seconds=grace, on_ready=on_ready).run())


def _with_a_port(settings: Settings) -> Settings:
    """Port 0 means any free one; it is chosen here, so that every process hears of the same."""
    host, port = settings.gateway.host, settings.gateway.port
    if port != 0:
        if not port_is_free(host, port):
            raise UserMistake(
                f"gateway.port: {host}:{port} is taken; stop what listens there, or choose another: "
                f"PREDICTQ_GATEWAY__PORT={port + 1} predictq up"
            )
        return settings
    with socket.create_server((host, 0)) as listener:
        os.environ["PREDICTQ_GATEWAY__PORT"] = str(listener.getsockname()[1])
    return load_settings()


def _refuse_what_cannot_work(settings: Settings) -> None:
    if not settings.deployments:
        raise UserMistake(
            f"nothing to run: {settings.folder / 'predictq.toml'} has no [deployments.<name>]; "
            "examples/own_model shows the smallest one"
        )
    if absent := [check for check in file_checks(settings) if not check.ok]:
        raise UserMistake("\n".join(f"{check.name}: {check.detail}; {check.cure}" for check in absent))
    if settings.broker.startswith("memory:"):
        raise UserMistake("broker: memory:// lives within one process; `predictq up` needs another, such as sqlite:///")


def _prepare(settings: Settings) -> None:
    """Topics, and what members need before their processes start (entry point `predictq.prepare`)."""
    patiently(lambda: ensure_topics(settings))
    for point in sorted(entry_points(group="predictq.prepare"), key=lambda point: point.name):
        prepare: Callable[[Settings], None] = point.load()
        prepare(settings)


def _processes(settings: Settings) -> list[ProcessSpec]:
    specs: list[ProcessSpec] = []
    for point in sorted(entry_points(group="predictq.processes"), key=lambda point: point.name):
        list_processes: Callable[[Settings], Sequence[ProcessSpec]] = point.load()
        specs += list_processes(settings)
    return specs


def _ready(settings: Settings) -> Mapping[str, Any]:
    endpoints = {
        endpoint: {name: deployment.role for name, deployment in settings.deployments_of(endpoint).items()}
        for endpoint in settings.endpoints
    }
    return {"status": "ready", "url": settings.gateway.url, "endpoints": endpoints}


def _ready_text(settings: Settings, seconds: float) -> str:
    url = settings.gateway.url
    lines = ["", f"predictq is ready after {seconds:.1f} s: {url} (API: {url}/openapi.json)"]
    for endpoint in settings.endpoints:
        serving = [f"{name} ({d.role})" for name, d in settings.deployments_of(endpoint).items()]
        lines.append(f"  endpoint {endpoint}: {', '.join(serving) or 'no deployment'}")
    endpoint = next(iter(settings.endpoints))
    lines += [
        "Try it:",
        f"  curl -s {url}/v1/endpoints/{endpoint}/predictions \\",
        "    -H 'Content-Type: application/json' -H 'Prefer: wait=10' \\",
        """    -d '{"instances": [ … ]}'""",
        f"  curl -s {url}/v1/endpoints/{endpoint}     (says what an instance looks like)",
        "Ctrl-C stops it.",
        "",
    ]
    return "\n".join(lines)
