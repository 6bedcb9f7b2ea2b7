"""`/` and the files that it loads. Everything else that the page shows comes from the routes that everybody uses."""

import re
from collections.abc import Mapping

from fastapi import APIRouter, HTTPException, Request, Response

from predictq_gateway.page.files import INDEX, PageFile, read_page

__all__ = ["page_router"]

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "content-security-policy": POLICY,
    "cross-origin-opener-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "vary": "accept-encoding",
    "x-content-type-options": "nosniff",
}
FRESH = "no-cache"
"""Ask each time; the answer is 304 where nothing has changed."""
FOR_EVER = "public, max-age=31536000, immutable"
"""The name of such a file carries a hash of what is in it."""
_METHODS = ["GET", "HEAD"]
_PACKED = re.compile(r"(?:^|,)\s*gzip\s*(?:;\s*q=(?P<weight>[01](?:\.\d{0,3})?)\s*)?(?:,|$)", re.IGNORECASE)


def page_router() -> APIRouter:
    """The routes of the page; it is read once, here."""
    router = APIRouter(include_in_schema=False)
    page: Mapping[str, PageFile] = read_page()

    @router.api_route("/", methods=_METHODS)
    async def show_page(request: Request) -> Response:
        return _answer(page[INDEX], request, FRESH)

    @router.api_route("/page/{name}", methods=_METHODS)
    async def show_page_file(name: str, request: Request) -> Response:
        if name not in page or name == INDEX:
            raise HTTPException(404, "the page has no such file; a newer one may have taken its place")
        return _answer(page[name], request, FOR_EVER)

    return router


def _answer(file: PageFile, request: Request, caching: str) -> Response:
    packed = _takes_gzip(request.headers.get("accept-encoding", ""))
    # One tag for each form: they are other bytes (RFC 9110, 8.8.3).
    etag = f'{file.etag[:-1]}-gzip"' if packed else file.etag
    headers = {**HEADERS, "cache-control": caching, "etag": etag}
    if etag in request.headers.get("if-none-match", ""):
        return Response(None, 304, headers)
    if packed:
        headers["content-encoding"] = "gzip"
    return Response(file.gzipped if packed else file.content, 200, headers, file.media_type)


def _takes_gzip(accepted: str) -> bool:
    found = _PACKED.search(accepted)
    return found is not None and (found["weight"] is None or float(found["weight"]) > 0)
