"""Keys of asymmetric signatures as Standard Webhooks defines them: Ed25519, its private key after `whsk_`, its public
one after `whpk_`.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

import base64
import binascii
import secrets

__all__ = ["PUBLIC_PREFIX", "SEED_BYTES", "check_signing_key", "new_signing_key", "private_bytes"]

PREFIX, PUBLIC_PREFIX = "whsk_", "whpk_"
SEED_BYTES = 32
"""Of a private key (RFC 8032); some libraries write the public key behind it."""
_RIGHT = f"{PREFIX} followed by {SEED_BYTES} bytes in base64 would be right"


def new_signing_key() -> str:
    """A private key of random bytes."""
    return PREFIX + base64.b64encode(secrets.token_bytes(SEED_BYTES)).decode()


def check_signing_key(key: str) -> str:
    """The key itself. Raises ValueError, which never tells it, where it is none."""
    private_bytes(key)
    return key


def private_bytes(key: str) -> bytes:
    """The private key's bytes, and the public key's where it holds them. Raises ValueError as `check_signing_key`."""
    if not key.startswith(PREFIX):
        raise ValueError(f"is no signing key; {_RIGHT}")
    try:
        found = base64.b64decode(key.removeprefix(PREFIX), validate=True)
    except binascii.Error:
        raise ValueError(f"is no signing key: what follows {PREFIX} is not base64; {_RIGHT}") from None
    if len(found) not in (SEED_BYTES, 2 * SEED_BYTES):
        raise ValueError(f"is a signing key of {len(found)} bytes; {_RIGHT}")
    return found
