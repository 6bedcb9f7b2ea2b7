"""A receiver that is not written in Python: the JavaScript library of Standard Webhooks takes what is pushed."""

import json
import shutil
import subprocess
from pathlib import Path

from tests.servers.nodejs import install_packages
from tests.unit.sync.webhooks.conftest import SECRET, Pushing, push_settings
from tests.unit.sync.webhooks.receiver import TheReceiver

from predictq.push.secrets import new_secret
from predictq.push.signing_keys import new_signing_key
from predictq_sync.database import Database

PACKAGES = Path(__file__).parent / "nodejs"


def test_the_javascript_library_verifies_a_push(
    sqlite_database: Database, receiver: TheReceiver, tmp_path: Path
) -> None:
    install_packages(PACKAGES, tmp_path)
    shutil.copy(PACKAGES / "verify.mjs", tmp_path)
    pushing = Pushing(sqlite_database)
    with pushing.dispatching(push=push_settings(signing_key=new_signing_key())):
        request_id = pushing.finish({"url": receiver.url})
        (push,) = receiver.pushes(1)

    def verified(secret: str, body: str) -> subprocess.CompletedProcess[str]:
        given = json.dumps({"secret": secret, "headers": dict(push.headers), "body": body})
        command = ["node", "verify.mjs"]
        return subprocess.run(command, cwd=tmp_path, input=given, capture_output=True, text=True, check=False)

    body = push.body.decode()
    assert json.loads(verified(SECRET, body).stdout)["data"]["id"] == request_id
    for secret, changed in ((new_secret(), body), (SECRET, body.replace("succeeded", "failed"))):
        assert "No matching signature found" in verified(secret, changed).stderr
