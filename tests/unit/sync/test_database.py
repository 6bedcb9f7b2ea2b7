"""What the database's failures come out as."""

import inspect
import sqlite3
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import psycopg
import psycopg.errors
import pytest
import sqlalchemy.exc
from pysqlite3 import dbapi2 as pysqlite3

from predictq.errors import DatabaseUnavailable, UserMistake
from predictq_sync import database as module
from predictq_sync import sqlite_engine
from predictq_sync.database import Database

BAD_DATA = {"DataError", "IntegrityError"}


def _driver_errors(driver: ModuleType) -> Iterator[type[Exception]]:
    for _, found in inspect.getmembers(driver, inspect.isclass):
        if issubclass(found, Exception) and issubclass(found, driver.Error):
            yield found


def test_every_error_of_a_driver_is_bad_data_or_unavailable(database: Database) -> None:
    kinds: Counter[str] = Counter()
    for driver, found in ((pysqlite3, pysqlite3), (psycopg, psycopg.errors)):
        for error in _driver_errors(found):
            wrapped = sqlalchemy.exc.DBAPIError.instance("SELECT 1", {}, error("went wrong"), driver.Error)
            bad_data = any(base.__name__ in BAD_DATA for base in error.__mro__)
            kind = sqlalchemy.exc.DBAPIError if bad_data else DatabaseUnavailable
            with pytest.raises(kind), database._told():
                raise wrapped
            kinds[kind.__name__] += 1
    assert min(kinds["DBAPIError"], kinds["DatabaseUnavailable"]) > 10, "the drivers' errors were not found"


def test_every_error_of_sqlalchemy_that_speaks_of_the_connection_is_unavailable(database: Database) -> None:
    with pytest.raises(DatabaseUnavailable, match="no connection became free"), database.write():
        raise sqlalchemy.exc.TimeoutError("pool")


def test_a_writer_that_another_process_keeps_waiting_is_told_unavailable(
    sqlite_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BUSY_SECONDS", 0.05)
    assert sqlite_database.path is not None
    impatient, other = (
        Database(f"sqlite:///{sqlite_database.path}"),
        pysqlite3.connect(sqlite_database.path, isolation_level=None),
    )
    other.execute("BEGIN IMMEDIATE")

    with pytest.raises(DatabaseUnavailable, match="locked"), impatient.write():
        pass

    other.execute("ROLLBACK")
    with impatient.write() as connection:
        connection.exec_driver_sql("DELETE FROM watermarks")
    other.close()
    impatient.close()


def test_a_file_that_is_gone_is_unavailable_until_it_is_back(sqlite_database: Database) -> None:
    assert sqlite_database.path is not None
    hidden = sqlite_database.path.with_name("hidden")
    with sqlite_database.write() as connection:
        connection.exec_driver_sql("INSERT INTO watermarks VALUES ('ledger', 1.0)")
    sqlite_database.path.rename(hidden)

    for transaction in (sqlite_database.write, sqlite_database.read):
        with pytest.raises(DatabaseUnavailable), transaction():
            pass
    assert not sqlite_database.path.exists()

    hidden.rename(sqlite_database.path)
    with sqlite_database.read() as connection:
        assert connection.exec_driver_sql("SELECT at FROM watermarks").scalar() == 1.0


@pytest.mark.parametrize("content", [b"no database at all, but a text of some length", b""])
def test_a_file_that_is_no_database_of_ours_is_unavailable(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "predictions.db"
    file.write_bytes(content)
    database = Database(f"sqlite:///{file}")

    with pytest.raises(DatabaseUnavailable), database.read() as connection:
        connection.exec_driver_sql("SELECT * FROM requests")
    database.close()


def test_rows_that_break_a_rule_are_bad_data_and_leave_nothing(database: Database) -> None:
    with pytest.raises(sqlalchemy.exc.IntegrityError), database.write() as connection:
        connection.exec_driver_sql("INSERT INTO watermarks VALUES ('kept', 1.0), ('none', NULL)")

    with database.read() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM watermarks").scalar() == 0


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("predictions.db", "is no URL"),
        ("mysql://host/name", "is no database that predictq knows"),
        ("sqlite://", "names no file"),
        ("sqlite:///:memory:", "names no file"),
    ],
)
def test_a_url_that_is_not_ours_is_the_users_mistake(url: str, reason: str) -> None:
    with pytest.raises(UserMistake, match=reason) as caught:
        Database(url)
    assert "sqlite:///path or postgresql+psycopg://" in str(caught.value)


def test_a_password_in_a_broken_url_is_not_told() -> None:
    with pytest.raises(UserMistake, match="is no URL") as caught:
        Database("postgresql://bob:hunter2@host:54x32/name")
    assert "hunter2" not in str(caught.value)


def test_a_postgresql_that_does_not_answer_is_unavailable() -> None:
    database = Database("postgresql://nobody@127.0.0.1:1/none")
    with pytest.raises(DatabaseUnavailable, match="refused"), database.read():
        pass
    database.close()


def test_folders_are_made(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/a b/c%20d/predictions.db")
    database.create()
    with database.write() as connection:
        connection.exec_driver_sql("CREATE TABLE t (a)")
    assert (tmp_path / "a b" / "c%20d" / "predictions.db").stat().st_size > 0
    database.close()


@pytest.mark.parametrize(("version", "journal"), [((3, 51, 2), "TRUNCATE"), ((3, 51, 3), "WAL")])
def test_without_a_current_sqlite_there_is_no_wal(
    monkeypatch: pytest.MonkeyPatch, version: tuple[int, int, int], journal: str
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pysqlite3", None)
    monkeypatch.setattr(sqlite3, "sqlite_version_info", version)

    assert sqlite_engine._driver() == (sqlite3, journal)
