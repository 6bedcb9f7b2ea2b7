"""The JavaScript of `docs/push.md` verifies what predictq signs, and nothing else."""

import json
import re
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from predictq.push.secrets import new_secret, signature

PAGE = Path(__file__).parents[3] / "docs/push.md"
SCRIPT = """
import { isVerified } from "./verify.mjs";
const given = JSON.parse(process.argv[2]);
console.log(JSON.stringify(given.map(([secret, headers, body]) => isVerified(secret, headers, body))));
"""


@pytest.mark.skipif(shutil.which("node") is None, reason="there is no node here")
def test_the_javascript_tells_what_is_signed_from_what_is_not(tmp_path: Path) -> None:
    (text,) = re.findall(r"^```javascript file=verify.mjs\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    (tmp_path / "verify.mjs").write_text(text)
    (tmp_path / "run.mjs").write_text(SCRIPT)
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
    done = subprocess.run(
        ["node", "run.mjs", json.dumps(given)], cwd=tmp_path, capture_output=True, text=True, check=True
    )

    assert json.loads(done.stdout) == [True, True, False, False, False]
