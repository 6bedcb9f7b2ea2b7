"""Every error that predictq raises.

The class answers two questions: may it be tried again, and whose fault is it.

    PredictqError
    ├── UserMistake             the caller's; trying again changes nothing; commands exit with 2
    │   ├── SettingsError       a key of the settings
    │   ├── MissingExtra        an optional driver is not installed
    │   └── ModelError          a model that cannot be loaded, or does not keep its word
    ├── BadMessage              the sender's; bytes that are not the message that they should be
    ├── MessageTooLarge         the sender's; above the broker's limit
    ├── Unavailable             nobody's; the same call may work later and has spent no attempt
    │   ├── BrokerUnavailable
    │   ├── DatabaseUnavailable
    │   ├── StorageUnavailable  uploads and chunks cannot be written or read just now
    │   ├── NoRoom              more waits already than is allowed to; nothing is wrong
    │   └── PublishError        some messages of one publish are not known to be durable
    └── Retryable               raised by a user's model: the same instances may work later
"""

from collections.abc import Sequence

__all__ = [
    "BadMessage",
    "BrokerUnavailable",
    "DatabaseUnavailable",
    "MessageTooLarge",
    "MissingExtra",
    "ModelError",
    "NoRoom",
    "PredictqError",
    "PublishError",
    "Retryable",
    "SettingsError",
    "StorageUnavailable",
    "Unavailable",
    "UserMistake",
]


class PredictqError(Exception):
    """Root of all errors of predictq."""


class UserMistake(PredictqError):
    """Something the user can mend; the message says what, where and what would be right."""


class SettingsError(UserMistake):
    """A key of the settings is unknown, of a wrong type or contradicts another."""


class MissingExtra(UserMistake):
    """A driver is needed that is not installed."""

    def __init__(self, scheme: str, extra: str, *, of: str = "predictq") -> None:
        """`scheme` is that of a URL, or a word for what needs the extra."""
        what = scheme if " " in scheme or "." in scheme else f"{scheme}://"
        super().__init__(f"{what} needs the extra {extra!r}: pip install '{of}[{extra}]'")
        self.scheme = scheme
        self.extra = extra


class ModelError(UserMistake):
    """A model cannot be loaded, or its answer breaks the contract of `predict`."""


class BadMessage(PredictqError):
    """Bytes that are not the message that they should be; `str(error)` is a one-line reason with its place."""


class MessageTooLarge(PredictqError):
    """A message above the broker's limit; nothing of the call was sent."""

    def __init__(self, *, topic: str, size: int, limit: int) -> None:
        super().__init__(f"a message of {size} bytes for {topic} is above the broker's limit of {limit} bytes")
        self.topic = topic
        self.size = size
        self.limit = limit


class Unavailable(PredictqError):
    """Something outside is away; the same call may work later."""


class BrokerUnavailable(Unavailable):
    """The broker did not answer, is locked, full or read-only."""


class DatabaseUnavailable(Unavailable):
    """The database did not answer, is locked, full or read-only."""


class StorageUnavailable(Unavailable):
    """The storage did not answer, is full or may not be written to."""


class NoRoom(Unavailable):
    """More waits already than is allowed to. Nothing is wrong: whoever waits says nothing, and looks again soon."""


class PublishError(Unavailable):
    """Some messages of one publish are not known to be durable.

    `failed` holds their indices; all others are durable.
    """

    def __init__(self, message: str, failed: Sequence[int]) -> None:
        super().__init__(message)
        self.failed = failed


class Retryable(PredictqError):
    """For models to raise: what they lean on is away, the same instances may work later."""
