"""Why a request is refused: what was wrong, where, and what would be right."""

from collections.abc import Sequence
from typing import NamedTuple

from predictq.errors import UserMistake

__all__ = ["MAX_FAULTS", "Fault", "Refused", "pointer"]

MAX_FAULTS = 20
"""Faults that one refusal lists; a body of a million wrong rows needs no million lines."""


class Fault(NamedTuple):
    """One thing that is wrong."""

    pointer: str
    """JSON pointer (RFC 6901) into the body; empty for the body itself."""
    detail: str


class Refused(UserMistake):
    """A request that is not accepted. `status` is the HTTP status that says so (RFC 9110)."""

    def __init__(self, status: int, detail: str, faults: Sequence[Fault] = ()) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.faults = faults

    @property
    def reason(self) -> str:
        """All of it in one line, for dead letters."""
        places = "; ".join(f"{fault.pointer or '/'} {fault.detail}" for fault in self.faults[:3])
        more = f" (and {len(self.faults) - 3} more)" if len(self.faults) > 3 else ""
        return f"{self.detail}: {places}{more}" if places else self.detail


def pointer(*steps: str | int) -> str:
    """The JSON pointer of these steps, e.g. `/instances/3/mean radius`."""
    return "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in steps)
