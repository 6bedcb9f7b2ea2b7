"""`predictq gateway`."""

from collections.abc import Sequence
from typing import Annotated

import typer

from predictq.settings import Settings, load_settings
from predictq.supervisor import ProcessSpec

__all__ = ["processes", "register"]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("gateway", help="Run the HTTP process: submit, read, cancel.")(_gateway)


def processes(settings: Settings) -> Sequence[ProcessSpec]:  # noqa: ARG001 - one, whatever the settings say
    """What `predictq up` runs of this member."""
    return [ProcessSpec("gateway", ("gateway",))]


def _gateway(
    host: Annotated[str | None, typer.Option(help="Address to listen on; [gateway] host by default.")] = None,
    port: Annotated[
        int | None,
        typer.Option(min=0, max=65_535, help="Port to listen on, 0 for a free one; [gateway] port by default."),
    ] = None,
) -> None:
    from predictq_gateway.process import run_gateway  # noqa: PLC0415 - the web framework, for this command alone

    settings = load_settings()
    listen = settings.gateway
    run_gateway(settings, host=listen.host if host is None else host, port=listen.port if port is None else port)
