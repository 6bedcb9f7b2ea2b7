"""What goes to PostgreSQL arrives as it was, whatever it holds."""

from typing import Any

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.servers.finding import url_of

from predictq_sync.arrays import array_literal
from predictq_sync.writing.copying import copy_text

# What PostgreSQL's text cannot hold at all is refused by the server, and so dead: NUL, and half a surrogate pair.
FIELD = st.none() | st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))
AWKWARD = st.sampled_from(
    ["\\N", "\\", "\\.", "\t", "a\tb", "\n", "\r\n", "\x01", "", '{"a":"\\n"}', "NULL", "{}", '"', ","]
)


@pytest.fixture(scope="module")
def connection() -> Any:
    with psycopg.connect(url_of("postgresql").replace("+psycopg", ""), autocommit=True) as opened:
        opened.execute("CREATE TEMPORARY TABLE staged (a text, b text, c text)")
        yield opened


@given(rows=st.lists(st.tuples(*[FIELD | AWKWARD] * 3), min_size=1, max_size=20))
@settings(max_examples=100, deadline=None)
def test_rows_that_are_copied_come_back_as_they_were(connection: Any, rows: list[tuple[str | None, ...]]) -> None:
    connection.execute("TRUNCATE staged")
    with connection.cursor().copy("COPY staged FROM STDIN") as copy:
        copy.write(copy_text(rows))

    assert connection.execute("SELECT * FROM staged ORDER BY ctid").fetchall() == rows


def test_text_with_a_nul_is_never_taken_for_a_null(connection: Any) -> None:
    with pytest.raises(psycopg.DataError), connection.cursor().copy("COPY staged FROM STDIN") as copy:
        copy.write(copy_text([("\0", None, "x")]))


@given(fields=st.lists(FIELD | AWKWARD, min_size=1, max_size=20))
@settings(max_examples=100, deadline=None)
def test_fields_of_an_array_come_back_as_they_were(connection: Any, fields: list[str | None]) -> None:
    assert connection.execute("SELECT %s::text[]", (array_literal(fields),)).fetchone() == (fields,)


@pytest.mark.parametrize(
    ("type_name", "fields"),
    [
        ("integer", [0, -1, 2**31 - 1]),
        ("boolean", [True, False]),
        ("boolean", [None, True]),
        ("bytea", [b"", b"\0\xff\\x", b'"']),
        ("bytea", [None, b"a"]),
    ],
)
def test_fields_of_other_types_too(connection: Any, type_name: str, fields: list[Any]) -> None:
    found = connection.execute(f"SELECT %s::{type_name}[]", (array_literal(fields),)).fetchone()
    assert found == (fields,)


def test_text_with_a_nul_never_becomes_two_fields(connection: Any) -> None:
    with pytest.raises(psycopg.DataError):
        connection.execute("SELECT %s::text[]", (array_literal(["a\0b", "x"]),))
