"""What makes a whole file unusable, or not usable yet."""

from predictq.errors import Unavailable, UserMistake

__all__ = ["BadFile", "FileChanging"]


class BadFile(UserMistake):
    """Nothing of the file, or nothing more of it, can be read; the message is the job's reason."""


class FileChanging(Unavailable):
    """Somebody still writes to the file."""
