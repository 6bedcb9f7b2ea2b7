"""Migrations give the tables of the code, once, whoever starts first."""

import subprocess
import sys
from contextlib import ExitStack, closing, nullcontext
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from tests.beside import running_process
from tests.servers.finding import url_of
from tests.unit.sync.conftest import prediction, request, rows_of
from tests.unit.sync.databases import DIALECTS, empty_url

from predictq.errors import UserMistake
from predictq.ids import new_id
from predictq_sync.database import Database
from predictq_sync.migrations import revision_of, upgrade, upgrading
from predictq_sync.tables import dead_letters, metadata

SCHEMA = "SELECT name, sql FROM sqlite_master WHERE name NOT LIKE 'alembic%' AND sql IS NOT NULL ORDER BY name"


def test_migrations_give_exactly_the_tables(database: Database) -> None:
    with database.read() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, metadata) == []


def test_migrations_give_exactly_the_ddl(sqlite_database: Database, tmp_path: Path) -> None:
    made = Database(f"sqlite:///{tmp_path}/made.db")
    made.create()
    with made.write() as connection:
        metadata.create_all(connection)

    schemas = []
    for each in (sqlite_database, made):
        with each.read() as connection:
            # A column that was added stands where it should, but on the line of the one before.
            schemas.append([(name, " ".join(sql.split())) for name, sql in connection.exec_driver_sql(SCHEMA)])
    made.close()

    assert schemas[0] == schemas[1]


def test_a_second_upgrade_has_nothing_to_do(database: Database) -> None:
    assert revision_of(database) == "0007"
    assert upgrade(database) is False


@pytest.mark.parametrize("dialect", DIALECTS)
def test_dead_letters_of_before_are_told_by_their_request(tmp_path: Path, dialect: str) -> None:
    request_id = new_id()
    values = [b"no json", request(request_id).value, prediction(request_id).value] * 70
    server = nullcontext(f"sqlite:///{tmp_path}/old.db") if dialect == "sqlite" else empty_url(url_of("postgresql"))
    with server as url, closing(Database(url)) as database:
        database.create()
        with database.write() as connection:
            upgrading.migrate(connection, "0006")
            for number, value in enumerate(values):
                row: dict[str, Any] = dict.fromkeys((column.name for column in dead_letters.columns), "")
                row |= dict.fromkeys(("attempts", "redeliveries", "redrive", "origin_partition"), 1)
                row |= {"id": f"{number:03d}", "headers": "{}", "key": None, "value": value}
                del row["request_id"]
                connection.execute(dead_letters.insert(), row)

        assert upgrade(database)

        letters = rows_of(database, "dead_letters", "id")
    assert [each["request_id"] for each in letters] == [None, request_id, request_id] * 70


def test_a_database_of_a_newer_version_is_refused(database: Database) -> None:
    with database.write() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")

    with pytest.raises(UserMistake, match=r"'9999'.*newer version"):
        upgrade(database)


def test_processes_that_start_at_once_migrate_once(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/new/predictions.db"
    program = (
        "import sys\n"
        "from predictq_sync.database import Database\n"
        "from predictq_sync.migrations import upgrade\n"
        "sys.stdin.read()\n"
        f"print(upgrade(Database({url!r})))\n"
    )
    with ExitStack() as stack:
        argv = [sys.executable, "-c", program]
        started = [stack.enter_context(running_process(argv, stdin=subprocess.PIPE)) for _ in range(3)]
        for process in started:
            assert process.stdin is not None
            process.stdin.close()
            process.stdin = None
        said = sorted(process.communicate(timeout=100)[0].strip() for process in started)

    assert said == ["False"] * 2 + ["True"]
    assert [process.returncode for process in started] == [0] * 3
