"""What `docs/push.md` shows verifies what predictq signs, and nothing else."""

import json
import re
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.servers.programs import program

from predictq.push.secrets import new_secret, signature
from predictq.push.settings import PushSettings
from predictq.push.signing_keys import new_signing_key
from predictq_sync.webhooks.signing import Signing

PAGE = Path(__file__).parents[3] / "docs/push.md"
KEY, OLD_KEY = new_signing_key(), new_signing_key()
SCRIPT = """
import { isVerified, isVerifiedBy } from "./verify.mjs";
const [of, given] = JSON.parse(process.argv[2]);
const check = { isVerified, isVerifiedBy }[of];
console.log(JSON.stringify(given.map(([key, headers, body]) => check(key, headers, body))));
"""


Given = Sequence[tuple[str, Mapping[str, str], str]]
Run = Callable[[str, Given], list[bool]]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """What a function of the page says to keys, headers and bodies."""
    program("node")
    (text,) = re.findall(r"^```javascript file=verify.mjs\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    (tmp_path / "verify.mjs").write_text(text)
    (tmp_path / "run.mjs").write_text(SCRIPT)

    def run(of: str, given: Given) -> list[bool]:
        command = ["node", "run.mjs", json.dumps((of, given))]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
        said: list[bool] = json.loads(done.stdout)
        return said

    return run


def test_the_javascript_tells_what_is_signed_from_what_is_not(run: Run) -> None:
    secret, other, body, now = new_secret(), new_secret(), '{"type":"webhook.test"}', int(time.time())

    def headers(secrets: list[str], at: int) -> dict[str, str]:
        signed = signature(secrets, "one", at, body.encode())
        return {"webhook-id": "one", "webhook-timestamp": str(at), "webhook-signature": signed}

    given = [
        (secret, headers([secret], now), body),
        (secret, headers([other, secret], now), body),
        (secret, headers([other], now), body),
        (secret, headers([secret], now), body + " "),
        (secret, headers([secret], now - 3600), body),
    ]

    assert run("isVerified", given) == [True, True, False, False, False]


def run_python(_: str, given: Given) -> list[bool]:
    (text,) = re.findall(r"^```python file=verify_by_key.py\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    page: dict[str, Any] = {}
    exec(compile(text, "verify_by_key.py", "exec"), page)
    return [page["is_verified_by"]([key], headers, body.encode()) for key, headers, body in given]


@pytest.mark.parametrize("language", ["javascript", "python"])
def test_what_is_signed_by_a_key_is_told_from_what_is_not(language: str, request: pytest.FixtureRequest) -> None:
    run: Run = run_python if language == "python" else request.getfixturevalue("run")
    ours, old, other = (
        Signing(PushSettings.model_validate({"signing_key": key, "old_signing_key": before}))
        for key, before in ((KEY, OLD_KEY), (OLD_KEY, None), (new_signing_key(), None))
    )
    body, now = '{"type":"webhook.test"}', int(time.time())

    def headers(signing: Signing, at: int = now, secrets: Sequence[str] = ()) -> dict[str, str]:
        signed = signing.signature(secrets, "one", at, body.encode())
        return {"webhook-id": "one", "webhook-timestamp": str(at), "webhook-signature": signed}

    public, before = ours.public_keys
    given = [
        (public, headers(ours), body),
        (before, headers(ours, secrets=[new_secret()]), body),
        (before, headers(old), body),
        (public, headers(old), body),
        (public, headers(other, secrets=[new_secret()]), body),
        (public, headers(ours), body + " "),
        (public, headers(ours, now - 3600), body),
    ]

    assert run("isVerifiedBy", given) == [True, True, True, False, False, False, False]
