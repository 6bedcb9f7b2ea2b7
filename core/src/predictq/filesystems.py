"""fsspec's file systems, found by URL, and the errors of their drivers as those of Python."""

import errno
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from predictq.errors import MissingExtra, UserMistake

__all__ = ["Changed", "NoBucket", "driver_errors", "filesystem_of"]

S3 = ("s3", "s3a")
_CREDENTIALS = ("NoCredentialsError", "PartialCredentialsError", "CredentialRetrievalError", "ProfileNotFound")
_CHANGED = ("PreconditionFailed", "412")


class NoBucket(OSError):
    """There is not even the bucket: a mistake of the settings, and no word about a file."""


class Changed(OSError):
    """The object is another one than when it was opened."""


def filesystem_of(url: str, options: Mapping[str, Any], *, key: str = "jobs.storage") -> Any:
    """The file system of a URL; its paths are taken as they are, nothing in them is expanded or chained.

    Raises MissingExtra, and UserMistake for a URL of no known kind; `key` is the setting that the URL is of.
    """
    try:
        import fsspec  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise MissingExtra(key, "files") from error
    scheme = url.partition("://")[0]
    try:
        kind = fsspec.get_filesystem_class(scheme)
    except ValueError as error:
        raise UserMistake(f"{key}: {scheme!r} is no storage that fsspec knows") from error
    except ImportError as error:
        if scheme in S3:
            raise MissingExtra(scheme, "s3") from error
        raise UserMistake(f"{key}: {scheme}:// needs a driver of its own: {error}") from error
    return kind(**{**kind._get_kwargs_from_urls(url), **options})  # noqa: SLF001 - fsspec's word for adapters


@contextmanager
def driver_errors() -> Iterator[None]:
    """Make OSErrors of what drivers raise; everything else passes as it is."""
    try:
        yield
    except OSError as error:
        told = _of_response(error)
        if told is None:
            raise
        raise told from error
    except Exception as error:
        if (told := _of_driver(error)) is None:
            raise
        raise told from error


def _of_driver(error: Exception) -> OSError | None:
    cause = error if _is(error, "botocore.exceptions", "BotoCoreError") else error.__context__
    if _is(cause, "botocore.exceptions", "ParamValidationError"):
        return OSError(errno.EINVAL, _line(error))
    if _is(error, "botocore.exceptions", "BotoCoreError"):
        refused = any(_is(error, "botocore.exceptions", name) for name in _CREDENTIALS)
        return PermissionError(errno.EACCES, _line(error)) if refused else OSError(errno.EIO, _line(error))
    if _is(error, "botocore.exceptions", "ClientError") or _is(error, "aiohttp", "ClientError"):
        return OSError(errno.EIO, _said(type(error).__name__, error))
    return None


def _of_response(error: OSError) -> OSError | None:
    """What s3fs tells by another error than is right here, or in words that name nothing."""
    if _is(error, "s3fs.utils", "FileExpired"):
        return Changed(errno.EBUSY, "the object changed")
    found = error.__cause__ or error.__context__
    if not _is(found, "botocore.exceptions", "ClientError"):
        return None
    code = str(getattr(found, "response", {}).get("Error", {}).get("Code", ""))
    if code == "NoSuchBucket":
        return NoBucket(errno.ENXIO, "there is no such bucket")
    if code in _CHANGED:
        return Changed(errno.EBUSY, "the object changed")
    if isinstance(error, PermissionError):
        return PermissionError(errno.EACCES, _said(code, error))
    return None


def _is(error: object, module: str, name: str) -> bool:
    """Whether it is of a driver's class; a driver that was never imported has raised nothing."""
    kind = getattr(sys.modules.get(module), name, None)
    return isinstance(kind, type) and isinstance(error, kind)


def _said(kind: str, error: Exception) -> str:
    text = _line(error)
    return f"{text} ({kind})" if text else kind


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
