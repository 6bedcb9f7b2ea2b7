"""The root of the command: finds the members' sub-commands and turns errors into one line and an exit code."""

import os
import sys
from importlib.metadata import entry_points, version
from pathlib import Path
from typing import Annotated

import typer

from predictq.cli import doctor, topics, up
from predictq.cli.output import say
from predictq.errors import PredictqError, UserMistake

__all__ = ["build_app", "main"]


def build_app() -> typer.Typer:
    """The command with the sub-commands of every installed member."""
    app = typer.Typer(
        name="predictq",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
        help="Machine-learning models behind a message queue.",
    )

    @app.callback()
    def root(
        config: Annotated[
            Path | None, typer.Option("--config", "-c", help="Settings file; ./predictq.toml by default.")
        ] = None,
        show_version: Annotated[  # noqa: ARG001 - its callback does the work
            bool, typer.Option("--version", callback=_say_version, is_eager=True, help="Print the version and exit.")
        ] = False,
    ) -> None:
        # Kept in the environment so that the processes which a command starts read the same file.
        if config is not None:
            os.environ["PREDICTQ_CONFIG"] = str(config.resolve())

    for command in (up, topics, doctor):
        command.register(app)
    for point in sorted(entry_points(group="predictq.commands"), key=lambda point: point.name):
        point.load()(app)
    return app


def _say_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"predictq {version('predictq')}")
        raise typer.Exit


def main() -> None:
    """Run the command. Exit code 2 for the user's mistakes, 1 for what may work later."""
    try:
        build_app()()
    except UserMistake as error:
        say(f"error: {error}")
        sys.exit(2)
    except PredictqError as error:
        say(f"error: {error}")
        sys.exit(1)
