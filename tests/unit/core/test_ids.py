"""Identifiers follow RFC 9562."""

import time
import uuid

from hypothesis import given
from hypothesis import strategies as st

from predictq.ids import created_at, derived_id, is_uuid, new_id


def test_a_new_id_is_a_uuid_of_version_7_that_knows_its_time() -> None:
    before = time.time()
    identifier = new_id()
    parsed = uuid.UUID(identifier)
    assert (parsed.version, parsed.variant, str(parsed)) == (7, uuid.RFC_4122, identifier)
    moment = created_at(identifier)
    assert moment is not None
    assert before - 0.002 <= moment <= time.time()


def test_new_ids_differ() -> None:
    assert len({new_id() for _ in range(10_000)}) == 10_000


@given(parts=st.lists(st.text(), min_size=1, max_size=4))
def test_a_derived_id_is_a_uuid_of_version_8_that_comes_out_the_same_again(parts: list[str]) -> None:
    identifier = derived_id(*parts)
    parsed = uuid.UUID(identifier)
    assert (parsed.version, parsed.variant, str(parsed)) == (8, uuid.RFC_4122, identifier)
    assert derived_id(*parts) == identifier
    assert created_at(identifier) is None


def test_derived_ids_tell_the_parts_apart() -> None:
    assert derived_id("ab", "c") != derived_id("a", "bc")
    assert derived_id("a", "b") != derived_id("b", "a")


def test_only_the_canonical_form_is_an_id() -> None:
    assert is_uuid(new_id())
    for other in ("", "x", new_id().upper(), new_id().replace("-", ""), f"{{{new_id()}}}", new_id() + "\n"):
        assert not is_uuid(other), other
