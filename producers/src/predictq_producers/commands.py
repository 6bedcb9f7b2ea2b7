"""`predictq submit` and `predictq ingest`."""

from collections.abc import Sequence
from typing import Annotated

import typer

from predictq.cli.output import Json
from predictq.settings import Settings, load_settings
from predictq.supervisor import ProcessSpec
from predictq_producers.files import Format

__all__ = ["processes", "register"]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("submit", help="Submit the instances of a file; prints the ids of the requests.")(_submit)
    app.command("ingest", help="Run the intake: foreign messages become requests.")(_ingest)


def processes(settings: Settings) -> Sequence[ProcessSpec]:
    """What `predictq up` runs of this member."""
    return [ProcessSpec("ingest", ("ingest",))] if settings.endpoints else []


def _submit(
    endpoint: Annotated[str, typer.Argument(help="Name of the endpoint.")],
    file: Annotated[str, typer.Argument(metavar="FILE|-", help="JSON, JSON lines or CSV; - is standard input.")],
    form: Annotated[Format | None, typer.Option("--format", help="Instead of what the file's name ends with.")] = None,
    instances_per_request: Annotated[int, typer.Option(min=1, help="Rows that share one id.")] = 1,
    json: Json = False,
) -> None:
    from predictq_producers.submit_command import submit_file  # noqa: PLC0415 - slow to import: for this command alone

    submit_file(load_settings(), endpoint, file, form=form, instances_per_request=instances_per_request, as_json=json)


def _ingest() -> None:
    from predictq_producers.process import run_ingest  # noqa: PLC0415 - see above

    raise typer.Exit(run_ingest(load_settings()))
