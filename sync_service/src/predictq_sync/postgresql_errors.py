"""What PostgreSQL's errors ask of an operator.

By code (https://www.postgresql.org/docs/current/errcodes-appendix.html); for what goes wrong while connecting libpq
gives none, only the server's words.
"""

__all__ = ["cure_of"]

_UPGRADE = "its tables are not those of this version: predictq db upgrade"
_PASSWORD = "mend the password in the URL of `database`"  # noqa: S105 - says what to do
_USER = "mend the user in the URL of `database`, or let it in by pg_hba.conf"
_HOST = "mend the host in the URL of `database`"
_NAME = "create that database, or name another in the URL of `database`"
_GRANT = "grant that to the user in the URL of `database`, or make it the owner"
_URL = "mend the URL of `database`"

_BY_CODE = {
    "28P01": _PASSWORD,
    "28000": _USER,
    "3D000": _NAME,
    "3F000": _GRANT,
    "42501": _GRANT,
    "42P01": _UPGRADE,
    "42703": _UPGRADE,
}
_BY_WORDS = (
    ("password authentication failed", _PASSWORD),
    ("no password supplied", _PASSWORD),
    ("no pg_hba.conf entry", _USER),
    ("is not permitted to log in", _USER),
    ("permission denied for database", _GRANT),
    ('FATAL:  role "', _USER),
    ('FATAL:  database "', _NAME),
    ("Name or service not known", _HOST),
    ("No address associated with hostname", _HOST),
    ("server does not support SSL", "mend sslmode in the URL of `database`"),
    ("invalid sslmode value", "mend sslmode in the URL of `database`"),
    ("URI query parameter", _URL),
    ("invalid connection option", _URL),
)
_STARTING = "the database system is"
"""… starting up, shutting down, in recovery: mends itself."""


def cure_of(error: BaseException) -> str | None:
    """What an operator has to do before the same call can work; None where waiting may be enough."""
    code: str | None = getattr(error, "sqlstate", None)
    if code is not None:
        return _BY_CODE.get(code)
    text = str(error)
    if _STARTING in text:
        return None
    return next((cure for words, cure in _BY_WORDS if words in text), None)
