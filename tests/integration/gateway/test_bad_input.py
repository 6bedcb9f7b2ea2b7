"""Whatever a client sends: a problem that names the place and what would be right, never a 5xx."""

import json
import socket
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.integration.gateway.conftest import Running

ROW = {"mean radius": 14.2, "mean texture": 20.4}
JSON = {"content-type": "application/json"}


def body(*instances: Any, **more: Any) -> bytes:
    return json.dumps({"instances": list(instances), **more}).encode()


def nested(levels: int) -> bytes:
    return b'{"instances":[' + b"[" * levels + b"]" * levels + b"]}"


def assert_problem(answer: httpx.Response, status: int) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = answer.json()
    assert problem["status"] == status
    assert problem["title"]
    assert problem["detail"]
    return problem


def test_an_unknown_endpoint(running: Running) -> None:
    assert "tumours" in assert_problem(running.submit(endpoint="tumour"), 404)["detail"]


@pytest.mark.parametrize(
    ("raw", "status", "said"),
    [
        (b"", 400, "EOF"),
        (b"{", 400, "line 1 column 1"),
        (b'{"instances":\n [1,,]}', 400, "line 2 column"),
        (b'{"instances":[[1]]} x', 400, "trailing"),
        (b'\xef\xbb\xbf{"instances":[[1]]}', 400, "byte order mark"),
        (b'{"instances":[{"a":"\xff"}]}', 400, "invalid UTF-8"),
        (b'{"instances":[{"a":"\\ud800"}]}', 400, "hex escape"),
        (b'{"instances":[[NaN]]}', 400, "line 1 column"),
        (b'{"instances":[[Infinity]]}', 400, "line 1 column"),
        (b'{"instances":[[-Infinity]]}', 400, "line 1 column"),
        (b'{"instances":[[' + b"9" * 90_000 + b"]]}", 400, "4300 digits"),
        (b"[" * 90_000, 400, "nested too deeply"),
        (nested(150), 422, "64 levels"),
    ],
)
def test_what_is_no_usable_json(running: Running, raw: bytes, status: int, said: str) -> None:
    problem = assert_problem(running.submit(raw, endpoint="free"), status)
    assert said in problem["detail"]


@pytest.mark.parametrize(
    ("raw", "pointer", "said"),
    [
        (b"[]", "", "instances"),
        (b"7", "", "JSON object"),
        (b"{}", "/instances", "missing"),
        (b'{"instances":null}', "/instances", "list"),
        (b'{"instances":[]}', "/instances", "at least one"),
        (body(ROW, instance=1), "/instance", "unknown"),
        (body(ROW, 5), "/instances/1", "JSON object"),
        (body(ROW, "text"), "/instances/1", "JSON object"),
        (body({"mean radius": 1}), "/instances/0/mean texture", "missing; a value of type 'number'"),
        (body(ROW, {**ROW, "mean radius": "big"}), "/instances/1/mean radius", '"number"'),
        (body({**ROW, "mean radius": -1}), "/instances/0/mean radius", "minimum"),
        (body({**ROW, "mean radus": 1}), "/instances/0/mean radus", "did you mean 'mean radius'"),
        (body({**ROW, "a/b~c": 1}), "/instances/0/a~1b~0c", "no feature"),
        (body([14.2, 20.4]), "/instances/0", '"object"'),
        (b'{"instances":[{"mean radius":1e999,"mean texture":1}]}', "/instances/0/mean radius", "finite"),
        (body(ROW, key=""), "/key", "1 to 255"),
        (body(ROW, key=3), "/key", "text"),
        (body(ROW, deadline="tomorrow"), "/deadline", "RFC 3339"),
        (body(ROW, deadline="2020-01-01T00:00:00Z"), "/deadline", "coming"),
        (body(ROW, deadline=5), "/deadline", "RFC 3339"),
        (body(ROW, deadline_seconds=0), "/deadline_seconds", "above 0"),
        (body(ROW, deadline_seconds=True), "/deadline_seconds", "above 0"),
        (body(ROW, deadline_seconds=10**400), "/deadline_seconds", "above 0"),
        (body(ROW, deadline_seconds=1, deadline="2030-01-01T00:00:00Z"), "/deadline", "one of both"),
        (body(ROW, metadata=[]), "/metadata", "object"),
        (body(ROW, metadata={"a": 1}), "/metadata/a", "text"),
        (body(ROW, metadata={"a": "x" * 1025}), "/metadata/a", "1024"),
        (body(ROW, metadata={str(i): "" for i in range(33)}), "/metadata", "32"),
    ],
)
def test_a_body_that_does_not_fit(running: Running, raw: bytes, pointer: str, said: str) -> None:
    problem = assert_problem(running.submit(raw), 422)
    [error] = problem["errors"]
    assert error["pointer"] == pointer
    assert said in error["detail"]


def test_every_wrong_place_is_named(running: Running) -> None:
    problem = assert_problem(running.submit(body({}, ROW, {**ROW, "x": 1})), 422)
    assert [error["pointer"] for error in problem["errors"]] == [
        "/instances/0/mean radius",
        "/instances/0/mean texture",
        "/instances/2/x",
    ]


def test_numbers_out_of_range_are_found_where_nothing_is_checked(running: Running) -> None:
    problem = assert_problem(running.submit(b'{"instances":[[1,"Infinity"],[2,-1e999]]}', endpoint="free"), 422)
    assert [error["pointer"] for error in problem["errors"]] == ["/instances/1/1"]


def test_a_text_that_reads_infinity_is_a_text(running: Running) -> None:
    assert running.submit(b'{"instances":[["Infinity","NaN"]]}', endpoint="free").status_code == 202


def test_too_many_instances(running: Running) -> None:
    problem = assert_problem(running.submit(body(*[ROW] * 6)), 413)
    assert problem["errors"][0]["pointer"] == "/instances"
    assert "at most 5" in problem["errors"][0]["detail"]


def test_a_body_above_the_limit(running: Running) -> None:
    problem = assert_problem(running.submit(body("x" * 100_000)), 413)
    assert "at most 100000 bytes" in problem["errors"][0]["detail"]


def test_a_body_above_the_limit_that_does_not_say_its_length(running: Running) -> None:
    def chunks() -> Any:
        for _ in range(20):
            yield b" " * 10_000

    answer = running.client.post("/v1/endpoints/free/predictions", content=chunks(), headers=JSON)
    assert_problem(answer, 413)


def test_a_client_that_goes_away_in_the_middle_of_its_body(running: Running) -> None:
    host, port = running.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(
            b"POST /v1/endpoints/free/predictions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
            b'content-length: 100\r\n\r\n{"instances"'
        )
    assert running.client.get("/healthz").status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"content-type": "text/plain"},
        {"content-type": "application/json; charset=latin-1"},
        {"content-type": "application/json", "content-encoding": "gzip"},
    ],
)
def test_a_wrong_content_type(running: Running, headers: dict[str, str]) -> None:
    request = running.client.build_request("POST", "/v1/endpoints/free/predictions", content=b"{}", headers=headers)
    assert_problem(running.client.send(request), 415)


@pytest.mark.parametrize("prefer", ["wait=", "wait=-1", "wait=x", 'wait="', ";;;,,,=", "wait=99999999999999999999"])
def test_a_preference_that_is_none_is_ignored(running: Running, prefer: str) -> None:
    assert running.submit(prefer=prefer).status_code == 202


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nowhere", 404),
        ("GET", "/v1/endpoints/tumours/predictions", 405),
        ("DELETE", "/v1/predictions/x", 405),
        ("GET", "/v1/predictions/x", 404),
        ("POST", "/v1/predictions/x/cancel", 404),
        ("GET", "/v1/endpoints/x", 404),
        ("GET", "/v1/endpoints/%00%ff", 404),
        ("GET", "/v1/predictions/01936f2e-7c4d-7abc-8123-456789abcdef?wait=nan", 400),
        ("GET", "/v1/predictions/01936f2e-7c4d-7abc-8123-456789abcdef?wait=-1", 400),
        ("GET", "/v1/predictions/01936f2e-7c4d-7abc-8123-456789abcdef?wait=x", 400),
    ],
)
def test_routing_answers_with_problems_too(running: Running, method: str, path: str, status: int) -> None:
    assert_problem(running.client.request(method, path), status)


def test_what_nobody_foresaw_is_a_problem_without_its_inside(
    running: Running, eventually: Callable[[Callable[[], bool]], None], caplog: pytest.LogCaptureFixture
) -> None:
    running.reader.failure = RuntimeError("the secret")
    answer = running.client.get("/v1/predictions/01936f2e-7c4d-7abc-8123-456789abcdef")

    problem = assert_problem(answer, 500)
    assert "secret" not in json.dumps(problem)
    eventually(lambda: "the secret" in caplog.text)  # it is logged after the answer was sent


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)
SUBMISSIONS = st.fixed_dictionaries(
    {"instances": st.lists(VALUES, max_size=6) | VALUES},
    optional=dict.fromkeys(("key", "deadline", "deadline_seconds", "metadata", "other"), VALUES),
)
BODIES = st.binary(max_size=200) | st.one_of(VALUES, SUBMISSIONS).map(
    lambda value: json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(raw=BODIES, endpoint=st.sampled_from(["tumours", "free"]))
def test_no_body_makes_a_5xx(running: Running, raw: bytes, endpoint: str) -> None:
    answer = running.submit(raw, endpoint=endpoint)

    assert answer.status_code < 500, answer.text
    if answer.status_code != 202:
        assert_problem(answer, answer.status_code)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(value=st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=40))
def test_no_header_makes_a_5xx(running: Running, value: str) -> None:
    answer = running.submit(prefer=value.replace("wait", "wit").strip(), idempotency_key=value.strip())
    assert answer.status_code < 500


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=50))
def test_no_id_makes_a_5xx(running: Running, text: str) -> None:
    assert running.client.get(f"/v1/predictions/{quote(text, safe='')}").status_code < 500
