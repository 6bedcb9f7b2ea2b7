"""What `predictq doctor` says about the database."""

from collections.abc import Sequence

from predictq.checks import Check
from predictq.errors import PredictqError
from predictq.settings import Settings

__all__ = ["checks"]

UPGRADE = "predictq db upgrade (`predictq up` does it by itself)"


def checks(settings: Settings) -> Sequence[Check]:
    """Whether the database is there, answers, and has the tables of this version. Creates nothing."""
    from predictq_sync.database import Database  # noqa: PLC0415 - drivers, for this command alone
    from predictq_sync.migrations import is_current  # noqa: PLC0415

    try:
        database = Database(settings.database_url())
    except PredictqError as error:
        return [Check(name="database", ok=False, detail=str(error), cure="mend `database` in the settings")]
    try:
        if database.path is not None and not database.path.exists():
            return [Check(name="database", ok=False, detail=f"{database.path}: no file yet", cure=UPGRADE)]
        current = is_current(database)
    except PredictqError as error:
        return [Check(name="database", ok=False, detail=str(error), cure="see that it runs and that its URL is right")]
    finally:
        database.close()
    where = str(database.path or database.engine.url.render_as_string(hide_password=True))
    if not current:
        return [Check(name="database", ok=False, detail=f"{where}: its tables are not of this version", cure=UPGRADE)]
    return [Check(name="database", ok=True, detail=f"{where}: answers, tables are up to date")]
