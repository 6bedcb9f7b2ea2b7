"""redis-py's exceptions become ours here; none leaves the adapter.

https://redis.readthedocs.io/en/stable/exceptions.html
"""

import re

from redis import exceptions as of_redis

from predictq.brokers.redis.scripts import line_of
from predictq.errors import BrokerUnavailable, PredictqError, UserMistake

__all__ = ["AWAY", "DEFECTS", "MISTAKES", "translation"]

AWAY: dict[type[Exception], str] = {
    of_redis.ConnectionError: "it cannot be reached, or the connection broke",
    of_redis.TimeoutError: "it did not answer in time",
    of_redis.BusyLoadingError: "it is still loading its data from disk; it is tried again",
    of_redis.OutOfMemoryError: "its memory is full; raise `maxmemory`, or let the groups catch up: nothing is evicted",
    of_redis.ReadOnlyError: "it is a replica and takes no writes; name the primary, or wait for the fail-over's end",
    of_redis.MasterDownError: "it is a replica that has lost its primary; it is tried again",
    of_redis.ClusterDownError: "the cluster is down; it is tried again",
    of_redis.TryAgainError: "keys are on the move; it is tried again",
    of_redis.MaxConnectionsError: "it has too many clients; raise `maxclients`",
}
"""What may work later, and what to do about it."""

MISTAKES: dict[type[Exception], str] = {
    of_redis.AuthenticationError: "user or password is wrong or missing; redis://user:password@host:6379/0",
    of_redis.AuthenticationWrongNumberOfArgsError: "it is too old for users; leave the user out: redis://:password@host",
    of_redis.AuthorizationError: "access was refused",
    of_redis.ExternalAuthProviderError: "its external authentication refused us",
    of_redis.NoPermissionError: "this user lacks a permission; `ACL SETUSER name +@all ~{prefix*` gives all it needs",
    of_redis.MovedError: "it is one node of a Redis Cluster, which predictq does not speak to; name a single server",
    of_redis.AskError: "it is one node of a Redis Cluster, which predictq does not speak to; name a single server",
    of_redis.ClusterCrossSlotError: "it is a Redis Cluster, which predictq does not speak to; name a single server",
    of_redis.ModuleError: "a module of it refused",
}
"""What the user must mend."""

DEFECTS: tuple[type[Exception], ...] = (
    of_redis.ChildDeadlockedError,
    of_redis.ClusterError,
    of_redis.CrossSlotTransactionError,
    of_redis.DataError,
    of_redis.ExecAbortError,
    of_redis.IncorrectPolicyType,
    of_redis.InvalidPipelineStack,
    of_redis.InvalidResponse,
    of_redis.LockError,
    of_redis.LockNotOwnedError,
    of_redis.NoScriptError,
    of_redis.NoSuchFieldsetError,
    of_redis.PubSubError,
    of_redis.RedisClusterException,
    of_redis.ResponseError,
    of_redis.SlotNotCoveredError,
    of_redis.WatchError,
)
"""What only a defect of this adapter can cause, unless the answer's first word says otherwise."""

_AWAY_BY_CODE = {
    "MISCONF": "it refuses writes because it cannot save to its disk; make room, or mend `dir`",
    "NOREPLICAS": "it refuses writes because too few replicas follow it",
    "BUSY": "a script runs for too long; it is tried again",
    "UNBLOCKED": "the stream was deleted while it was read",
    "OOM": AWAY[of_redis.OutOfMemoryError],
}
_MISTAKES_BY_CODE = {
    "NOAUTH": MISTAKES[of_redis.AuthenticationError],
    "NOGROUP": "a topic or a group was removed; `predictq topics ensure` creates those of the settings",
    "WRONGTYPE": "a key of ours holds something else; choose another `prefix` or database",
    "NOPROTO": "it speaks no protocol that we know; Redis 7.0 or later would be right",
}
_MISTAKES_BY_TEXT = {
    "The user executing the script": MISTAKES[of_redis.NoPermissionError],
    "DB index is out of range": "it has no database of this number; redis://host:6379/0 would be right",
    "SELECT is not allowed": "it has only database 0; redis://host:6379/0 would be right",
    "no such key": "a topic was removed; `predictq topics ensure` creates those of the settings",
    "certificate": "its certificate is not trusted; set `tls_ca_file`",
    "unknown command": "it lacks a command; Redis 7.0 or later would be right",
}


def translation(error: Exception, where: str) -> PredictqError:
    """BrokerUnavailable, UserMistake or, for a defect, PredictqError in place of an error of redis-py."""
    kind, cure = _meaning(error, str(error))
    return kind(f"broker {where}: {cure} ({error}{_command_at(str(error))})")


def _meaning(error: Exception, text: str) -> tuple[type[PredictqError], str]:
    code = text.partition(" ")[0]
    away = {kind: (BrokerUnavailable, cure) for kind, cure in AWAY.items()}
    mistakes = {kind: (UserMistake, cure) for kind, cure in MISTAKES.items()}
    said: list[tuple[bool, tuple[type[PredictqError], str]]] = [
        *((part in text, (UserMistake, cure)) for part, cure in _MISTAKES_BY_TEXT.items()),
        *((code == word, (BrokerUnavailable, cure)) for word, cure in _AWAY_BY_CODE.items()),
        *((code == word, (UserMistake, cure)) for word, cure in _MISTAKES_BY_CODE.items()),
    ]
    of_kind = {**away, **mistakes, OSError: away[of_redis.ConnectionError]}
    meant = [meaning for holds, meaning in said if holds]
    meant += [of_kind[kind] for kind in type(error).__mro__ if kind in of_kind]
    return meant[0] if meant else (PredictqError, type(error).__name__)


def _command_at(text: str) -> str:
    """The command at which a script was refused, which the server tells by the script's line alone."""
    place = re.search(r"script: ([0-9a-f]{40}), on @user_script:(\d+)", text)
    line = line_of(place[1].encode(), int(place[2])) if place else ""
    command = re.search(r"call\('([A-Z]+)'", line)
    return f": {command[1]}" if command else ""
