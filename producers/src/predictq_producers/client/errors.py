"""What the client raises.

PredictqError
├── UserMistake
│   └── Rejected            the gateway refuses the call as it is
│       └── NotFound        there is no such endpoint, request or job
├── Unavailable
│   └── GatewayUnavailable  tried again and again, in vain
│       └── Interrupted     an answer was cut off in its middle
├── JobFailed               or was cancelled
├── FellBehind              a stream cannot tell all that happened
├── NotFinished             waited for long enough
└── BadAnswer               the other side is no gateway, or has a defect
"""

from collections.abc import Mapping, Sequence
from typing import Any

from predictq.errors import PredictqError, Unavailable, UserMistake
from predictq_producers.refusals import Fault

__all__ = [
    "BadAnswer",
    "FellBehind",
    "GatewayUnavailable",
    "Interrupted",
    "JobFailed",
    "NotFinished",
    "NotFound",
    "Rejected",
]

SHOWN = 5


class Rejected(UserMistake):
    """The call will never work as it is. `errors` names the places in its body (RFC 9457, RFC 6901)."""

    def __init__(self, status: int, detail: str, errors: Sequence[Fault] = ()) -> None:
        places = "".join(f"\n  {error.pointer or '/'} {error.detail}" for error in errors[:SHOWN])
        more = f"\n  and {len(errors) - SHOWN} more" if len(errors) > SHOWN else ""
        super().__init__(f"{detail}{places}{more}")
        self.status = status
        self.detail = detail
        self.errors = errors


class NotFound(Rejected):
    """Never made, or kept no longer."""


class GatewayUnavailable(Unavailable):
    """The gateway did not answer, or answered that it cannot just now, for as long as was allowed.

    `status` is that of its last answer; None where there was none.
    """

    def __init__(self, detail: str, *, status: int | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.status = status


class Interrupted(GatewayUnavailable):
    """An answer was cut off in its middle; what was read of it is the beginning alone."""


class JobFailed(PredictqError):
    """A job that ended without being completed. `job` is its body: `status` is `failed` or `cancelled`."""

    def __init__(self, job: Mapping[str, Any]) -> None:
        reason = job.get("reason") or f"it was {job['status']}"
        super().__init__(f"job {job['id']} {job['status']}: {reason}")
        self.job = job


class FellBehind(PredictqError):
    """What a stream was to go on with is kept no longer. `cursor` is where it goes on, for `after`."""

    def __init__(self, detail: str, cursor: str | None) -> None:
        super().__init__(detail)
        self.cursor = cursor


class NotFinished(PredictqError):
    """A request or a job that is still open after the time that was allowed for it. It goes on."""

    def __init__(self, what: str, identifier: str, seconds: float) -> None:
        super().__init__(f"{what} {identifier} is not finished after {seconds:g} s; it goes on")
        self.id = identifier


class BadAnswer(PredictqError):
    """An answer that no gateway should give."""
