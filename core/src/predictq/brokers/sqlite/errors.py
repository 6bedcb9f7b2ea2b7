"""apsw's exceptions become ours here; none leaves the adapter.

https://rogerbinns.github.io/apsw/exceptions.html
"""

from collections.abc import Iterator
from contextlib import contextmanager

import apsw

from predictq.errors import BrokerUnavailable, PredictqError, UserMistake

__all__ = ["AWAY", "DEFECTS", "MISTAKES", "translated"]

AWAY: dict[type[apsw.Error], str] = {
    apsw.BusyError: "another process holds its lock for too long; it is tried again",
    apsw.LockedError: "another connection holds its lock; it is tried again",
    apsw.FullError: "the disk is full; make room, nothing that was accepted is lost",
    apsw.ReadOnlyError: "it cannot be written; give this user the right to write to the file and its folder",
    apsw.IOError: "reading or writing failed; look at the disk",
    apsw.CantOpenError: "it cannot be opened; look at the path and its permissions",
    apsw.PermissionsError: "access was refused; give this user the right to read and write the file",
    apsw.ProtocolError: "too many processes open it at once; it is tried again",
    apsw.NoMemError: "there is no memory left",
    apsw.InterruptError: "the statement was interrupted",
    apsw.AbortError: "the statement was aborted",
    apsw.SchemaChangeError: "its tables changed meanwhile; it is tried again",
}
"""What may work later, and what to do about it."""

MISTAKES: dict[type[apsw.Error], str] = {
    apsw.CorruptError: "the file is damaged; restore it from a copy, or move it away to start afresh",
    apsw.NotADBError: "this is no SQLite file; name another, or move it away",
    apsw.FormatError: "this is no SQLite file of a known format; name another, or move it away",
    apsw.NoLFSError: "the file system cannot hold files this large; put the file elsewhere",
    apsw.AuthError: "access was refused by SQLite's authorizer",
    apsw.VFSNotImplementedError: "the file system lacks what SQLite needs; put the file on a local disk",
}
"""What the user must mend."""

DEFECTS: tuple[type[apsw.Error], ...] = (
    apsw.BindingsError,
    apsw.ConnectionClosedError,
    apsw.ConnectionNotClosedError,
    apsw.ConstraintError,
    apsw.CursorClosedError,
    apsw.EmptyError,
    apsw.ExecTraceAbort,
    apsw.ExecutionCompleteError,
    apsw.ExtensionLoadingError,
    apsw.ForkingViolationError,
    apsw.IncompleteExecutionError,
    apsw.InternalError,
    apsw.InvalidContextError,
    apsw.MismatchError,
    apsw.MisuseError,
    apsw.NoFTS5Error,
    apsw.NotFoundError,
    apsw.RangeError,
    apsw.SQLError,
    apsw.ThreadingViolationError,
    apsw.TooBigError,
    apsw.VFSFileClosedError,
)
"""What only a defect of this adapter, or its use after `close` or across a fork, can cause."""


@contextmanager
def translated(where: str) -> Iterator[None]:
    """Raise BrokerUnavailable, UserMistake or, for a defect, PredictqError in place of an error of apsw."""
    try:
        yield
    except apsw.Error as error:
        raise _translation(error, where) from error


def _translation(error: apsw.Error, where: str) -> PredictqError:
    for kind in type(error).__mro__:
        if kind in AWAY:
            return BrokerUnavailable(f"broker {where}: {AWAY[kind]} ({error})")
        if kind in MISTAKES:
            return UserMistake(f"broker {where}: {MISTAKES[kind]} ({error})")
    return PredictqError(f"broker {where}: {type(error).__name__}: {error}")
