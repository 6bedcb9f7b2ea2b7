"""Somebody else's exception in one line."""

from predictq.errors import ModelError

__all__ = ["said"]

MAX_LENGTH = 500


def said(error: BaseException) -> str:
    """`ValueError: what it says`, on one line and not too long; of a ModelError only what it says."""
    text = " ".join(str(error).split())
    if not isinstance(error, ModelError):
        name = type(error).__name__
        text = f"{name}: {text}" if text else name
    return text if len(text) <= MAX_LENGTH else f"{text[: MAX_LENGTH - 1]}…"
