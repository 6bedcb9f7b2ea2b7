"""Secrets and signatures as Standard Webhooks defines them.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

import base64
import binascii
import hashlib
import hmac
import secrets
from collections.abc import Iterable

__all__ = ["check_secret", "new_secret", "signature"]

PREFIX = "whsec_"
LEAST_BYTES, MOST_BYTES = 24, 64
_RIGHT = f"{PREFIX} followed by {LEAST_BYTES} to {MOST_BYTES} bytes in base64 would be right"


def new_secret() -> str:
    """A secret of 32 random bytes."""
    return PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


def check_secret(secret: str) -> str:
    """The secret itself. Raises ValueError, which never tells it, where it is none."""
    _key(secret)
    return secret


def signature(secrets_in_use: Iterable[str], message_id: str, timestamp: int, body: bytes) -> str:
    """The `webhook-signature` of a message: a `v1` (HMAC-SHA256) for each secret, the newest first."""
    signed = f"{message_id}.{timestamp}.".encode() + body
    return " ".join(
        "v1," + base64.b64encode(hmac.digest(_key(secret), signed, hashlib.sha256)).decode()
        for secret in secrets_in_use
    )


def _key(secret: str) -> bytes:
    if not secret.startswith(PREFIX):
        raise ValueError(f"is no secret; {_RIGHT}")
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except binascii.Error:
        raise ValueError(f"is no secret: what follows {PREFIX} is not base64; {_RIGHT}") from None
    if not LEAST_BYTES <= len(key) <= MOST_BYTES:
        raise ValueError(f"is a secret of {len(key)} bytes; {_RIGHT}")
    return key
