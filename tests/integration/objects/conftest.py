"""An S3 server. It is moto's, the one stand-in among these tests for a server: no real store can be had as a package.

It speaks S3 over HTTP and checks credentials; what it does not do as a real one would is not shown here.
"""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import httpx
import pytest
from tests.conftest import eventually
from tests.servers.ports import free_port
from tests.servers.processes import ServerProcess

BUCKET = "incoming"


@dataclass(frozen=True, kw_only=True)
class Store:
    """The server, a client that is not ours, and a bucket."""

    url: str
    client: Any
    bucket: str = BUCKET

    @property
    def options(self) -> dict[str, str]:
        """What `jobs.storage_options` says of it."""
        return {"endpoint_url": self.url, "key": "testing", "secret": "testing"}

    def put(self, key: str, body: bytes) -> None:
        self.client.put_object(Bucket=self.bucket, Key=key, Body=body)

    def etag(self, key: str) -> str:
        """As notifications have it."""
        etag: str = self.client.head_object(Bucket=self.bucket, Key=key)["ETag"]
        return etag.strip('"')

    def listed(self) -> list[str]:
        """The keys in the bucket."""
        found = self.client.list_objects_v2(Bucket=self.bucket).get("Contents", [])
        return [each["Key"] for each in found]

    def check_credentials(self, *, from_now_on: bool) -> None:
        """Whether any credentials will do."""
        httpx.post(f"{self.url}/moto-api/reset-auth", content="0" if from_now_on else "inf").raise_for_status()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder, port = tmp_path_factory.mktemp("s3"), free_port()
    log: Path = folder / "server.log"
    argv = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    process = ServerProcess(argv, folder=folder, log=log)
    url = f"http://127.0.0.1:{port}"

    def answers() -> bool:
        assert process.exit_code is None, log.read_text()
        try:
            return httpx.get(f"{url}/moto-api/").status_code == 200
        except httpx.TransportError:
            return False

    try:
        eventually(answers, log.read_text)
        yield url
    finally:
        process.stop()


@pytest.fixture
def store(server: str) -> Iterator[Store]:
    """An empty server with one bucket."""
    httpx.post(f"{server}/moto-api/reset").raise_for_status()
    client = boto3.client(
        "s3",
        endpoint_url=server,
        aws_access_key_id="testing",
        aws_secret_access_key="testing",
        region_name="us-east-1",
    )
    client.create_bucket(Bucket=BUCKET)
    one = Store(url=server, client=client)
    yield one
    one.check_credentials(from_now_on=False)
    client.close()
