"""The AsyncAPI document is read by the parser of the AsyncAPI project, which finds nothing wrong with it."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from tests.contract.asyncapi.test_document import document_of
from tests.servers.nodejs import install_packages

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def parser(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("asyncapi")
    install_packages(HERE, folder)
    shutil.copy(HERE / "parse.mjs", folder)
    return folder


@pytest.mark.parametrize("broker", ["memory://any", "kafka://localhost", "redis://localhost", "amqp://localhost"])
def test_the_official_parser_finds_every_channel_and_no_fault(parser: Path, broker: str) -> None:
    document = document_of(broker)
    found = parsed(parser, document)
    assert found["faults"] == []
    assert sorted(found["channels"]) == sorted(document["channels"])
    assert sorted(found["operations"]) == sorted(document["operations"])


def test_the_official_parser_would_find_a_fault(parser: Path) -> None:
    document = document_of()
    document["operations"]["receive.shop.fraud.intake"]["channel"] = {"$ref": "#/channels/nowhere"}
    assert any("intake" in fault for fault in parsed(parser, document)["faults"])


def parsed(folder: Path, document: Any) -> Any:
    command = ["node", "parse.mjs"]
    done = subprocess.run(command, cwd=folder, input=json.dumps(document), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
