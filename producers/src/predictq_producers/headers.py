"""What the headers of a submit ask for: `Prefer` (RFC 7240), `Idempotency-Key`, the content type."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from predictq_producers.refusals import Refused

__all__ = [
    "Preferences",
    "check_content_type",
    "check_encoding",
    "idempotency_key",
    "is_json",
    "media_type_of",
    "preferences",
]

MAX_KEY_CHARACTERS = 255
_UTF_8 = {"", "utf-8", "utf8"}

_PREFERENCE = re.compile(r'(?:[^,"]++|"[^"]*+"|")++')
"""What stands between commas that are not quoted. It never backtracks: anyone may send anything here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Preferences:
    """What the client would like; nothing of it is ever an error."""

    wait_seconds: float | None = None
    respond_async: bool = False


NO_PREFERENCES = Preferences()


def preferences(header: str | None, *, max_wait_seconds: float) -> Preferences:
    """The preferences in a `Prefer` header that we know; as RFC 7240 asks, all others and all nonsense are ignored."""
    if not header:
        return NO_PREFERENCES
    found: dict[str, str] = {}
    for preference in _PREFERENCE.findall(header):
        name, _, value = preference.partition(";")[0].partition("=")
        found.setdefault(name.strip().lower(), value.strip().strip('"'))
    wait = found.get("wait", "")
    return Preferences(
        wait_seconds=min(float(wait), max_wait_seconds) if re.fullmatch(r"[0-9]{1,9}", wait) else None,
        respond_async="respond-async" in found,
    )


def idempotency_key(header: str | None) -> str | None:
    """The key of an `Idempotency-Key` header: a quoted string, as the IETF draft has it, or bare."""
    if header is None:
        return None
    key = header[1:-1] if len(header) >= 2 and header[0] == header[-1] == '"' else header
    if 1 <= len(key) <= MAX_KEY_CHARACTERS and key.isascii() and key.isprintable():
        return key
    raise Refused(400, f"Idempotency-Key: 1 to {MAX_KEY_CHARACTERS} printable ASCII characters would be right")


def check_content_type(headers: Mapping[str, str]) -> None:
    """Refuse (415) what is not plain JSON in UTF-8."""
    media_type = media_type_of(headers)
    if media_type != "application/json":
        raise Refused(415, f"content type {media_type[:80] or 'missing'!r}: application/json would be right")
    check_encoding(headers)


def media_type_of(headers: Mapping[str, str]) -> str:
    """The content type without its parameters, in lower case; empty where there is none."""
    return headers.get("content-type", "").partition(";")[0].strip().lower()


def check_encoding(headers: Mapping[str, str]) -> None:
    """Refuse (415) text in another encoding than UTF-8, and packed bodies."""
    charset = _charset(headers.get("content-type", ""))
    if charset not in _UTF_8:
        raise Refused(415, f"{charset[:80]!r}: charset=utf-8 would be right, which JSON always is")
    encoding = headers.get("content-encoding", "identity").lower()
    if encoding != "identity":
        raise Refused(415, f"content encoding {encoding[:80]!r}: an uncompressed body would be right")


def is_json(content_type: str) -> bool:
    """Whether it is JSON in UTF-8: `application/json`, or a type that is written in it (RFC 6839)."""
    kind, _, subtype = content_type.partition(";")[0].strip().lower().partition("/")
    return bool(kind) and (subtype == "json" or subtype.endswith("+json")) and _charset(content_type) in _UTF_8


def _charset(content_type: str) -> str:
    return content_type.partition(";")[2].strip().lower().removeprefix("charset=").strip('"')
