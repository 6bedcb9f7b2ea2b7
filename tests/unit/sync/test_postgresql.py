"""What PostgreSQL's failures come out as, and what bounds each wait for it."""

import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path

import psycopg
import psycopg.errors
import pytest
import sqlalchemy.exc
from sqlalchemy.engine import URL, make_url
from tests.beside import running_process
from tests.servers.finding import private_server, url_of
from tests.servers.postgresql_server import PostgresqlServer
from tests.unit.sync.conftest import make_ledger, make_store, prediction, request, rows_of
from tests.unit.sync.databases import empty_url, execute

from predictq.errors import DatabaseUnavailable, MissingExtra, UserMistake
from predictq.ids import new_id
from predictq_sync import database as module
from predictq_sync import postgresql_engine
from predictq_sync.database import Database, NeedsMending
from predictq_sync.migrations import revision_of, upgrade


@pytest.fixture
def server() -> URL:
    return make_url(url_of("postgresql"))


def _text(url: URL) -> str:
    return url.render_as_string(hide_password=False)


def _url(database: Database) -> str:
    return _text(database.engine.url)


WRONG: dict[str, tuple[Callable[[URL], URL], str, str]] = {
    "password": (
        lambda url: url.set(password="hunter2"),
        "password authentication failed",
        "mend the password in the URL of `database`",
    ),
    "user": (lambda url: url.set(username="nobody_here", password="hunter2"), "nobody_here", "mend the"),
    "database": (
        lambda url: url.set(database="not_there"),
        'database "not_there" does not exist',
        "create that database",
    ),
    "host": (lambda url: url.set(host="no-such-host.invalid"), "failed to resolve host", "mend the host"),
    "option": (lambda url: url.update_query_dict({"bogus": "1"}), "bogus", "mend the URL"),
    "sslmode": (lambda url: url.update_query_dict({"sslmode": "require"}), "does not support SSL", "mend sslmode"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_the_user_must_mend_is_told_at_start_in_one_line(server: URL, wrong: str) -> None:
    change, said, cure = WRONG[wrong]
    with closing(Database(_text(change(server)))) as database, pytest.raises(UserMistake) as caught:
        upgrade(database)

    message = str(caught.value)
    assert message.startswith("database: ")
    assert said in message
    assert cure in message
    assert "\n" not in message
    assert "hunter2" not in message
    assert str(server.password) not in message or server.password == server.username == "predictq"


def test_while_a_process_runs_the_same_is_an_outage_that_it_waits_for(server: URL) -> None:
    with closing(Database(_text(server.set(password="hunter2")))) as database:
        for transaction in (database.write, database.read):
            with pytest.raises(DatabaseUnavailable, match="mend the password"), transaction():
                pass


def test_a_server_that_is_not_there_yet_is_waited_for_at_start_too() -> None:
    database = Database("postgresql://nobody:hunter2@127.0.0.1:1/none")
    with pytest.raises(DatabaseUnavailable, match="refused") as caught:
        upgrade(database)
    assert not isinstance(caught.value, NeedsMending)
    assert "hunter2" not in str(caught.value)


def test_a_url_without_the_driver_is_the_same_as_with_it(server: URL) -> None:
    with empty_url(_text(server.set(drivername="postgresql"))) as url:
        assert url.startswith("postgresql://")
        with closing(Database(url)) as database:
            assert upgrade(database)


def test_a_url_that_names_no_database_is_the_users_mistake(server: URL) -> None:
    with pytest.raises(UserMistake, match="names no database"):
        Database("postgresql+psycopg://somebody:hunter2@127.0.0.1")


def test_without_the_driver_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(MissingExtra, match="extra 'postgresql'"):
        Database("postgresql+psycopg://user@127.0.0.1/name")


def test_tables_that_lack_are_told_with_the_cure_and_no_message_is_buried(server: URL) -> None:
    with empty_url(_text(server)) as url, closing(Database(url)) as database:
        assert revision_of(database) is None
        for handler, record in (
            (make_ledger(database), request(new_id())),
            (make_store(database), prediction(new_id())),
        ):
            with pytest.raises(DatabaseUnavailable, match="predictq db upgrade"):
                handler.handle([record])


def test_a_user_who_may_not_create_tables_is_told_to_be_granted_that(server: URL) -> None:
    name = f"poor_{new_id()[:8]}"
    with empty_url(_text(server)) as url:
        execute(url, f"CREATE ROLE {name} LOGIN PASSWORD 'poor'", "REVOKE CREATE ON SCHEMA public FROM public")
        try:
            poor = _text(make_url(url).set(username=name, password="poor"))
            with closing(Database(poor)) as database, pytest.raises(UserMistake, match=r"permission denied.*grant"):
                upgrade(database)
        finally:
            execute(url, f"DROP ROLE {name}")


def test_another_encoding_is_refused_before_a_row_is_written(server: URL) -> None:
    name = f"latin_{new_id()[:8]}"
    execute(_text(server), f"CREATE DATABASE {name} ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0")
    try:
        with (
            closing(Database(_text(server.set(database=name)))) as database,
            pytest.raises(UserMistake, match=r"LATIN1.*ENCODING 'UTF8'"),
        ):
            upgrade(database)
    finally:
        execute(_text(server), f"DROP DATABASE {name}")


# Codes of https://www.postgresql.org/docs/current/errcodes-appendix.html that an operator meets.
@pytest.mark.parametrize(
    "code",
    ["53300", "25006", "53100", "57P01", "57P02", "57P03", "40P01", "40001", "55P03", "57014", "08006", "XX002"],
)
def test_what_passes_by_itself_is_unavailable_and_no_mistake(postgresql: Database, code: str) -> None:
    error = psycopg.errors.lookup(code)("went wrong")
    wrapped = sqlalchemy.exc.DBAPIError.instance("SELECT 1", {}, error, psycopg.Error)
    with pytest.raises(DatabaseUnavailable) as caught, postgresql._told():
        raise wrapped
    assert not isinstance(caught.value, NeedsMending)


@pytest.mark.parametrize("handler", ["ledger", "store"])
def test_a_database_that_takes_no_writes_is_unavailable_until_it_does(postgresql: Database, handler: str) -> None:
    made = make_ledger(postgresql) if handler == "ledger" else make_store(postgresql)
    record = request(new_id()) if handler == "ledger" else prediction(new_id())
    server, name = url_of("postgresql"), postgresql.engine.url.database
    execute(server, f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    with pytest.raises(DatabaseUnavailable, match="read-only"):
        made.handle([record])

    execute(server, f"ALTER DATABASE {name} RESET default_transaction_read_only")
    postgresql.close()
    made.handle([record])
    assert len(rows_of(postgresql, "requests", "id")) == 1


def test_a_connection_that_was_killed_is_replaced_and_nothing_is_left_half_written(postgresql: Database) -> None:
    ids = sorted(new_id() for _ in range(3))
    make_ledger(postgresql).handle([request(request_id) for request_id in ids])
    store = make_store(postgresql)
    store.handle([prediction(ids[0])])

    def killed(*_: object) -> None:
        _end_sessions(postgresql)

    for moment in ("before_cursor_execute", "commit"):
        sqlalchemy.event.listen(postgresql.engine, moment, killed)
        with pytest.raises(DatabaseUnavailable):
            store.handle([prediction(request_id) for request_id in ids])
        sqlalchemy.event.remove(postgresql.engine, moment, killed)
        assert [row["status"] for row in rows_of(postgresql, "requests", "id")] == ["succeeded", "queued", "queued"]

    assert len(store.handle([prediction(request_id) for request_id in ids]).also) == 1
    assert [row["status"] for row in rows_of(postgresql, "requests", "id")] == ["succeeded"] * 3


def test_a_connection_that_is_killed_while_rows_are_copied_is_unavailable(
    postgresql: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger, write = make_ledger(postgresql), psycopg.Copy.write

    def killed(copy: psycopg.Copy, text: bytes) -> None:
        _end_sessions(postgresql)
        write(copy, text)

    monkeypatch.setattr(psycopg.Copy, "write", killed)
    with pytest.raises(DatabaseUnavailable, match=r"terminat|closed"):
        ledger.handle([request(new_id())])

    monkeypatch.setattr(psycopg.Copy, "write", write)
    ledger.handle([request(new_id())])
    assert len(rows_of(postgresql, "requests", "id")) == 1


def test_no_connection_is_left_is_unavailable(server: URL, tmp_path: Path) -> None:
    with private_server(PostgresqlServer, {"max_connections": "6", "superuser_reserved_connections": "1"}) as own:
        held = [psycopg.connect(own.url.replace("+psycopg", "")) for _ in range(6)]
        with closing(Database(own.url)) as database:
            with pytest.raises(DatabaseUnavailable, match="too many clients"), database.read():
                pass
            held.pop().close()
            _eventually_reads(database)
        for connection in held:
            connection.close()


def test_the_pool_is_bounded(postgresql: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BUSY_SECONDS", 0.2)
    url = _url(postgresql)
    with closing(Database(url)) as database:
        most = postgresql_engine.POOL_SIZE + postgresql_engine.MAX_OVERFLOW
        held = [database.engine.connect() for _ in range(most)]
        with pytest.raises(DatabaseUnavailable, match="no connection became free"), database.read():
            pass
        for connection in held:
            connection.close()
        with database.read():
            pass


def test_who_waits_for_a_lock_too_long_is_told_unavailable(
    postgresql: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgresql_engine, "_SESSION", postgresql_engine._SESSION.replace("'10s'", "'200ms'"))
    url = _url(postgresql)
    request_id = new_id()
    make_ledger(postgresql).handle([request(request_id)])
    with closing(Database(url)) as impatient, psycopg.connect(url.replace("+psycopg", "")) as other:
        other.execute("SELECT FROM requests FOR UPDATE")
        with pytest.raises(DatabaseUnavailable, match="lock timeout"):
            make_store(impatient).handle([prediction(request_id)])
        other.rollback()
        make_store(impatient).handle([prediction(request_id)])


def test_every_connection_has_its_limits(postgresql: Database) -> None:
    names = ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout", "jit")
    with postgresql.read() as connection:
        limits = [connection.exec_driver_sql(f"SHOW {name}").scalar() for name in names]
    assert limits == ["1min", "10s", "1min", "off"]


def test_a_server_that_accepts_and_says_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(postgresql_engine._CONNECT, "connect_timeout", 2)  # the least that libpq knows
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"postgresql://nobody@127.0.0.1:{silent.getsockname()[1]}/none"
        with closing(Database(url)) as database, pytest.raises(DatabaseUnavailable, match="timeout"), database.read():
            pass


def test_what_the_url_says_of_the_connection_goes_before_ours(postgresql: Database) -> None:
    url = make_url(_url(postgresql)).update_query_dict({"application_name": "mine"})
    with closing(Database(_text(url))) as database, database.read() as connection:
        assert connection.exec_driver_sql("SHOW application_name").scalar() == "mine"


def test_processes_that_start_at_once_migrate_once(server: URL) -> None:
    with empty_url(_text(server)) as url:
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


def test_keys_are_compared_by_their_characters_whatever_the_locale(postgresql: Database) -> None:
    with postgresql.read() as connection:
        collations = connection.exec_driver_sql(
            "SELECT DISTINCT c.collname FROM pg_index i CROSS JOIN unnest(i.indcollation) AS of(oid) "
            "JOIN pg_collation c ON c.oid = of.oid JOIN pg_class t ON t.oid = i.indrelid "
            "WHERE t.relname IN ('requests', 'predictions', 'batches', 'dead_letters')"
        ).scalars()
        assert list(collations) == ["C"]
        room = connection.exec_driver_sql("SELECT reloptions FROM pg_class WHERE relname = 'requests'").scalar()
        assert room == ["fillfactor=50"]


def _end_sessions(database: Database) -> None:
    execute(
        _url(database),
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid()",
    )


def _eventually_reads(database: Database) -> None:
    done = threading.Event()
    for _ in range(200):
        try:
            with database.read():
                return
        except DatabaseUnavailable:
            done.wait(0.05)
    raise AssertionError("still no connection")
