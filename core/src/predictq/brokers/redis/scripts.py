"""The scripts that the server runs for us: what is in `lua/`, each under its name."""

from hashlib import sha1
from importlib.resources import files
from typing import NamedTuple

__all__ = [
    "ACKNOWLEDGE",
    "APPEND",
    "CREATE",
    "EXTEND",
    "GIVE_BACK",
    "LAG",
    "LEASE",
    "SETTLE",
    "SIGN",
    "TAKE",
    "TRIM",
    "Script",
]


class Script(NamedTuple):
    """A script, and the digest by which the server knows it once it was sent."""

    text: bytes
    digest: bytes


def _script(name: str, *, flags: str = "") -> Script:
    """With `writes.lua` before it, since Redis has no `require`. The first line holds the flags, if none are given."""
    folder = files(__package__) / "lua"
    own_flags, _, body = (folder / f"{name}.lua").read_text().partition("\n")
    text = f"{flags or own_flags}\n{(folder / 'writes.lua').read_text()}{body}".encode()
    # The server's own choice of digest; nothing secret hangs on it.
    return Script(text, sha1(text, usedforsecurity=False).hexdigest().encode())


# A server whose memory is full refuses what writes, but must let go of what is done.
ACKNOWLEDGE = _script("settle", flags="#!lua flags=allow-oom")
APPEND = _script("append")
CREATE = _script("create")
EXTEND = _script("extend")
GIVE_BACK = _script("give_back")
LAG = _script("lag")
LEASE = _script("lease")
SETTLE = _script("settle")
SIGN = _script("sign")
TAKE = _script("take")
TRIM = _script("trim")

_ALL = {
    script.digest: script
    for script in (ACKNOWLEDGE, APPEND, CREATE, EXTEND, GIVE_BACK, LAG, LEASE, SETTLE, SIGN, TAKE, TRIM)
}


def line_of(digest: bytes, number: int) -> str:
    """A line, counted from 1, of the script with this digest; for messages."""
    lines = _ALL[digest].text.decode().splitlines() if digest in _ALL else []
    return lines[number - 1].strip() if 0 < number <= len(lines) else ""
