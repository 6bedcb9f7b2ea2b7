"""The built page, as it is served: `built/`, made by `make page` from `gateway/page`."""

import gzip
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files

__all__ = ["INDEX", "PageFile", "read_page"]

INDEX = "index.html"
MEDIA_TYPES = {
    "css": "text/css; charset=utf-8",
    "html": "text/html; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PageFile:
    """A file of the page, plain and packed."""

    media_type: str
    etag: str
    content: bytes
    gzipped: bytes


def read_page() -> Mapping[str, PageFile]:
    """All files by name, `INDEX` among them."""
    return {
        each.name: _file(each.read_bytes(), MEDIA_TYPES[each.name.rpartition(".")[2]])
        for each in files(__package__).joinpath("built").iterdir()
    }


def _file(content: bytes, media_type: str) -> PageFile:
    digest = hashlib.sha256(content).hexdigest()[:32]
    packed = gzip.compress(content, 9, mtime=0)
    return PageFile(media_type=media_type, etag=f'"{digest}"', content=content, gzipped=packed)
