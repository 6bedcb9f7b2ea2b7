"""Signatures of pushes: one for each secret of the receiver, and one for each key of this installation."""

import base64
from collections.abc import Sequence

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from predictq.errors import SettingsError
from predictq.push.secrets import signature
from predictq.push.settings import PushSettings
from predictq.push.signing_keys import PUBLIC_PREFIX, SEED_BYTES, private_bytes

__all__ = ["Signing"]


class Signing:
    """Signs pushes. Holds no state that changes; may be used by any thread."""

    def __init__(self, push: PushSettings) -> None:
        """Raises SettingsError where a signing key holds a public key that is another one's."""
        self.secrets: Sequence[str] = push.secrets()
        """Those of callbacks, and of webhooks that have none of their own."""
        self._keys = [_key(each) for each in push.signing_keys()]
        self.public_keys = [PUBLIC_PREFIX + base64.b64encode(_public(key)).decode() for key in self._keys]
        """By which receivers verify, the newest first."""

    def can_sign(self, secrets: Sequence[str]) -> bool:
        """Whether there is anything to sign with."""
        return bool(secrets or self._keys)

    def signature(self, secrets: Sequence[str], message_id: str, timestamp: int, body: bytes) -> str:
        """The `webhook-signature`: `v1` by these secrets, then `v1a` by the keys."""
        signed = f"{message_id}.{timestamp}.".encode() + body
        asymmetric = ("v1a," + base64.b64encode(key.sign(signed)).decode() for key in self._keys)
        return " ".join(filter(None, (signature(secrets, message_id, timestamp, body), *asymmetric)))


def _key(text: str) -> Ed25519PrivateKey:
    found = private_bytes(text)
    key = Ed25519PrivateKey.from_private_bytes(found[:SEED_BYTES])
    if found[SEED_BYTES:] not in (b"", _public(key)):
        raise SettingsError("push.signing_key: the public key in it belongs to another private key")
    return key


def _public(key: Ed25519PrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
