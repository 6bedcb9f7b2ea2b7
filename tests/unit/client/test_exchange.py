"""What is asked of the gateway, and what its answers mean."""

import json
import math
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

from predictq.errors import UserMistake
from predictq_producers.client.errors import BadAnswer, NotFound, Rejected
from predictq_producers.client.exchange import (
    JobOptions,
    Reply,
    body_of,
    form_fields,
    given_options,
    job_call,
    jobs_call,
    result_call,
    source_call,
    submit_body,
    submit_call,
)
from predictq_producers.client.frames import instances_of
from predictq_producers.headers import idempotency_key, preferences


def reply(status: int, body: Any) -> Reply:
    return Reply(status, {}, body if isinstance(body, bytes) else json.dumps(body).encode())


def test_every_submit_has_a_key_of_its_own_unless_the_caller_gives_one() -> None:
    keys = [submit_call("e", b"").headers["idempotency-key"] for _ in range(2)]
    assert keys[0] != keys[1]
    given = submit_call("e", b"", idempotency_key="order 1234")
    assert idempotency_key(given.headers["idempotency-key"]) == "order 1234"


@pytest.mark.parametrize("key", ["", "ü", "a\nb", "x" * 256])
def test_a_key_that_no_header_can_carry_is_refused(key: str) -> None:
    with pytest.raises(UserMistake, match="printable ASCII"):
        submit_call("e", b"", idempotency_key=key)


def test_a_wait_is_asked_for_as_rfc_7240_has_it() -> None:
    header = submit_call("e", b"", hold_seconds=12.7).headers["prefer"]
    assert preferences(header, max_wait_seconds=60).wait_seconds == 12
    assert "prefer" not in submit_call("e", b"", hold_seconds=0.5).headers
    assert result_call("i", hold_seconds=1.5).query == {"wait": "1.500"}
    assert result_call("i").query == {}


def test_names_in_a_path_lead_nowhere_else() -> None:
    assert submit_call("a/../b?c", b"").path == "/v1/endpoints/a%2F..%2Fb%3Fc/predictions"
    assert job_call("../endpoints").path == "/v1/jobs/..%2Fendpoints"


def test_only_filters_that_are_given_are_asked_for() -> None:
    assert jobs_call(status="failed").query == {"status": "failed"}


@pytest.mark.parametrize(
    "instances",
    [
        [{"a": 1, "b": None}, {"a": 2, "b": 0.5}],
        [{"a": np.int64(1), "b": None}, {"a": np.float32(2), "b": np.float64(0.5)}],
        pd.DataFrame({"a": [1, 2], "b": [None, 0.5]}),
        pl.DataFrame({"a": [1, 2], "b": [None, 0.5]}),
    ],
    ids=["python", "numpy scalars", "pandas", "polars"],
)
def test_instances_of_every_kind_are_the_same_json(instances: Any) -> None:
    body = json.loads(submit_body(instances_of(instances), {"key": "k", "metadata": None}))
    assert body == {"instances": [{"a": 1, "b": None}, {"a": 2, "b": 0.5}], "key": "k"}


def test_an_array_of_numpy_is_its_rows() -> None:
    assert json.loads(submit_body(np.array([[1, 2], [3, 4]]), {})) == {"instances": [[1, 2], [3, 4]]}


def test_a_number_that_is_not_finite_is_refused_with_its_place() -> None:
    with pytest.raises(Rejected) as raised:
        submit_body([{"a": 1.0}, {"a": math.nan}], {})
    assert [error.pointer for error in raised.value.errors] == ["/instances/1/a"]
    assert b"NaN" in submit_body(["NaN"], {})


def test_what_json_has_no_word_for_is_refused() -> None:
    with pytest.raises(UserMistake, match="cannot be written as JSON"):
        submit_body([{"a": object()}], {})


def test_an_unknown_option_is_a_mistake_of_the_program() -> None:
    with pytest.raises(TypeError, match="deadline"):
        submit_body([1], {"deadline": 1})  # type: ignore[typeddict-unknown-key] # what is tested
    with pytest.raises(TypeError, match="kept"):
        given_options({"kept": ["a"]})  # type: ignore[typeddict-unknown-key] # what is tested


def test_options_of_a_job_are_fields_or_json() -> None:
    options = JobOptions(
        keep=["a", "b, c"], id_column="id, too", header=False, delimiter=";", format=None, metadata={"order": "1"}
    )
    assert form_fields(options) == [
        ("keep", '["a","b, c"]'),
        ("id_column", "id, too"),
        ("header", "false"),
        ("delimiter", ";"),
        ("metadata", '{"order":"1"}'),
    ]
    content = json.loads(source_call("e", "s3://b/f.csv", options).content)
    assert content == {
        "source": "s3://b/f.csv",
        "keep": ["a", "b, c"],
        "id_column": "id, too",
        "header": False,
        "delimiter": ";",
        "metadata": {"order": "1"},
    }


def test_columns_to_keep_that_are_one_text_are_refused() -> None:
    with pytest.raises(UserMistake, match=r"a list of names would be right, \['id'\]"):
        given_options({"keep": "id"})


def test_a_problem_is_told_with_its_places() -> None:
    problem = {"status": 422, "detail": "do not fit", "errors": [{"pointer": "/instances/0/b", "detail": "is missing"}]}
    with pytest.raises(Rejected, match="do not fit\n  /instances/0/b is missing") as raised:
        body_of(reply(422, problem))
    assert raised.value.status == 422
    assert isinstance(raised.value, UserMistake)
    assert [tuple(error) for error in raised.value.errors] == [("/instances/0/b", "is missing")]


def test_no_such_thing_is_a_kind_of_its_own() -> None:
    with pytest.raises(NotFound, match="no endpoint"):
        body_of(reply(404, {"status": 404, "detail": "there is no endpoint 'x'"}))


@pytest.mark.parametrize(
    ("status", "body"),
    [(200, b"<html>"), (200, []), (404, b"<html>"), (302, b""), (500, {"detail": "it is in the log"})],
)
def test_an_answer_of_no_gateway_is_told_as_such(status: int, body: Any) -> None:
    with pytest.raises(BadAnswer, match="is this a gateway"):
        body_of(reply(status, body))
