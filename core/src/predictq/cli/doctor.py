"""`predictq doctor`: what is not well, and what mends it."""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from importlib.metadata import entry_points
from typing import Annotated

import typer

from predictq.checks import Check, core_checks
from predictq.cli.output import Json, emit_json, emit_table, say
from predictq.errors import PredictqError, SettingsError
from predictq.settings import Settings, load_settings

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(doctor)


def doctor(
    json: Json = False, quiet: Annotated[bool, typer.Option("--quiet", help="Only what is not well.")] = False
) -> None:
    """Check settings, files, broker, topics, database and port; exit code 1 when something is not well."""
    checks = _run_checks()
    shown = [check for check in checks if not (quiet and check.ok)]
    if json:
        emit_json([asdict(check) for check in shown])
    elif shown:
        emit_table(
            ("", "check", "found", "cure"),
            [("ok" if check.ok else "FAIL", check.name, check.detail, check.cure) for check in shown],
        )
    failed = sum(not check.ok for check in checks)
    if failed:
        say(f"{failed} of {len(checks)} checks failed")
        raise typer.Exit(1)


def _run_checks() -> Sequence[Check]:
    try:
        settings = load_settings()
    except SettingsError as error:
        return [Check(name="settings", ok=False, detail=str(error), cure="mend the file or the variable that it names")]
    checks = [Check(name="settings", ok=True, detail=f"read; paths start at {settings.folder}"), *core_checks(settings)]
    for point in sorted(entry_points(group="predictq.checks"), key=lambda point: point.name):
        checks += _checks_of(point.name, point.load(), settings)
    return checks


def _checks_of(name: str, look: Callable[[Settings], Sequence[Check]], settings: Settings) -> Sequence[Check]:
    try:
        return look(settings)
    except PredictqError as error:
        return [Check(name=name, ok=False, detail=str(error), cure="see what was found")]
