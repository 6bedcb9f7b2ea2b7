"""The live page as it is served."""

import gzip
import re
from collections.abc import Callable

import pytest
from tests.integration.gateway.conftest import Running

from predictq.settings import Settings

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def files_of(running: Running) -> list[str]:
    """What the page loads."""
    return re.findall(r'(?:href|src)="([^"]+)"', running.client.get("/").text)


def test_the_page_and_all_that_it_loads_come_with_a_strict_policy(running: Running) -> None:
    files = files_of(running)
    assert len(files) == 3
    for path in ("/", *files):
        answer = running.client.get(path)
        assert answer.status_code == 200
        assert answer.headers["content-security-policy"] == POLICY
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
    assert all(each.startswith("/page/page-") for each in files)


def test_the_page_is_asked_for_anew_and_its_files_are_kept_for_ever(running: Running) -> None:
    page = running.client.get("/")
    assert page.headers["cache-control"] == "no-cache"
    assert running.client.get("/", headers={"if-none-match": page.headers["etag"]}).status_code == 304
    assert running.client.get("/", headers={"if-none-match": '"another"'}).status_code == 200
    for path in files_of(running):
        assert running.client.get(path).headers["cache-control"] == "public, max-age=31536000, immutable"


@pytest.mark.parametrize(
    ("accepted", "packed"),
    [("gzip, br", True), ("br;q=1, gzip;q=0.5", True), ("gzip;q=0", False), ("identity", False), ("x-gzip-9", False)],
)
def test_files_are_packed_for_those_who_can_unpack_them(running: Running, accepted: str, packed: bool) -> None:
    script = next(each for each in files_of(running) if each.endswith(".js"))
    with running.client.stream("GET", script, headers={"accept-encoding": accepted}) as answer:
        content = b"".join(answer.iter_raw())
    assert answer.headers["vary"] == "accept-encoding"
    assert answer.headers.get("content-encoding") == ("gzip" if packed else None)
    plain = gzip.decompress(content) if packed else content
    assert plain == running.client.get(script, headers={"accept-encoding": "identity"}).content
    other = running.client.get(script, headers={"accept-encoding": "identity" if packed else "gzip"})
    assert other.headers["etag"] != answer.headers["etag"]


def test_heads_are_answered_and_nothing_else_is_served(running: Running) -> None:
    head = running.client.head("/")
    assert (head.status_code, head.content) == (200, b"")
    for path in ("/page/index.html", "/page/none.js", "/page/..%2Ffiles.py", "/page/"):
        assert running.client.get(path).status_code == 404, path
    assert "/page/{name}" not in running.client.get("/openapi.json").json()["paths"]


def test_without_the_page_there_is_none(run: Callable[..., Running], settings: Settings) -> None:
    quiet = settings.model_copy(update={"gateway": settings.gateway.model_copy(update={"page": False})})
    assert run(quiet).client.get("/").status_code == 404
