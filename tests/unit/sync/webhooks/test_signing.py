"""Asymmetric signatures: whoever has the public key verifies, and needs no secret."""

import base64

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from svix.webhooks import Webhook as SvixWebhook
from tests.unit.sync.webhooks.conftest import SECRET, Pushing, push_settings
from tests.unit.sync.webhooks.receiver import Push, TheReceiver
from tests.unit.sync.webhooks.test_delivering import make

from predictq.errors import SettingsError
from predictq.push.callbacks import CallbackCheck, WrongCallback
from predictq.push.settings import PushSettings
from predictq.push.signing_keys import new_signing_key
from predictq_sync.webhooks.signing import Signing

KEY, OLD_KEY = new_signing_key(), new_signing_key()
# RFC 8032, section 7.1, test 1.
SEED = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
PUBLIC = bytes.fromhex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")


def whsk(key: bytes) -> str:
    return "whsk_" + base64.b64encode(key).decode()


def asymmetric(push: Push) -> list[bytes]:
    found = [each.split(",") for each in push.headers["webhook-signature"].split(" ")]
    return [base64.b64decode(signature) for version, signature in found if version == "v1a"]


def verify(key: str, push: Push, signature: bytes) -> None:
    public = Ed25519PublicKey.from_public_bytes(base64.b64decode(key.removeprefix("whpk_")))
    public.verify(signature, f"{push.id}.{push.headers['webhook-timestamp']}.".encode() + push.body)


def test_a_push_is_signed_by_each_key_beside_its_secret(pushing: Pushing, receiver: TheReceiver) -> None:
    push = push_settings(signing_key=KEY, old_signing_key=OLD_KEY)
    new, old = Signing(push).public_keys
    _, secret = make(pushing, f"{receiver.url}/webhook")
    with pushing.dispatching(push=push):
        pushing.finish({"url": f"{receiver.url}/callback"})
        came = {each.path: each for each in receiver.pushes(2)}

    assert came["/callback"].verified(SECRET)["type"] == "prediction.succeeded"
    assert came["/webhook"].verified(secret)["type"] == "prediction.succeeded"
    for each in came.values():
        first, second = asymmetric(each)
        verify(new, each, first)
        verify(old, each, second)
        with pytest.raises(InvalidSignature):
            verify(old, each, first)


def test_without_a_secret_the_key_signs_alone(pushing: Pushing, receiver: TheReceiver) -> None:
    push = push_settings(secret=None, signing_key=KEY)
    with pushing.dispatching(push=push):
        pushing.finish({"url": receiver.url})
        (came,) = receiver.pushes(1)

    assert [each.split(",")[0] for each in came.headers["webhook-signature"].split(" ")] == ["v1a"]
    verify(Signing(push).public_keys[0], came, *asymmetric(came))


def test_without_either_nothing_is_pushed_to_a_callback(pushing: Pushing, receiver: TheReceiver) -> None:
    with pushing.dispatching(push=push_settings(secret=None)):
        pushing.finish({"url": receiver.url})
        (row,) = pushing.settled("failed")

    assert "cannot be signed" in row["history"][0]["error"]
    assert receiver.pushes() == []


def test_svix_takes_a_push_with_both_signatures(pushing: Pushing, receiver: TheReceiver) -> None:
    with pushing.dispatching(push=push_settings(signing_key=KEY)):
        pushing.finish({"url": receiver.url})
        (came,) = receiver.pushes(1)

    SvixWebhook(SECRET).verify(came.body, dict(came.headers))


def test_the_public_key_is_that_of_the_rfc() -> None:
    signing = Signing(PushSettings.model_validate({"signing_key": whsk(SEED)}))
    assert signing.public_keys == ["whpk_" + base64.b64encode(PUBLIC).decode()]


def test_a_key_may_hold_its_public_key_and_no_other() -> None:
    assert Signing(PushSettings.model_validate({"signing_key": whsk(SEED + PUBLIC)})).public_keys
    with pytest.raises(SettingsError, match="belongs to another private key"):
        Signing(PushSettings.model_validate({"signing_key": whsk(SEED + SEED)}))


@pytest.mark.parametrize(
    ("key", "why"),
    [
        ("whsec_hunter2", "is no signing key; whsk_"),
        ("whsk_hunter2!", "is not base64"),
        (whsk(b"hunter2"), "a signing key of 7 bytes"),
    ],
)
def test_what_is_no_key_is_refused_and_never_told(key: str, why: str) -> None:
    with pytest.raises(ValueError, match=why) as caught:
        PushSettings.model_validate({"signing_key": key})
    assert "hunter2" not in str(caught.value.errors(include_input=False) if hasattr(caught.value, "errors") else caught)


def test_an_old_key_needs_a_new_one() -> None:
    with pytest.raises(ValueError, match="old_signing_key: stands without"):
        PushSettings.model_validate({"old_signing_key": KEY})


def test_a_key_is_enough_for_callbacks() -> None:
    callback = {"url": "https://example.org/"}
    assert CallbackCheck(PushSettings.model_validate({"signing_key": KEY}))(callback) == callback
    with pytest.raises(WrongCallback, match="cannot be signed"):
        CallbackCheck(PushSettings())(callback)
