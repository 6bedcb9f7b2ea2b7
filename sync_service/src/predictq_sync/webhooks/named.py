"""What ids look like: anything else need not, and on PostgreSQL sometimes cannot, be looked for."""

import re

__all__ = ["could_be_id"]

_ID = re.compile(r"[!-~]{1,128}")


def could_be_id(text: str) -> bool:
    """Whether something could have this id."""
    return _ID.fullmatch(text) is not None
