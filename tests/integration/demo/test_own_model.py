"""The example of one's own model: a file as a notebook saves it, and a class."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

pytestmark = pytest.mark.timeout(300)

EXAMPLE = Path(__file__).parents[3] / "examples" / "own_model"
FLOWER = {"sepal_length_cm": 5.1, "sepal_width_cm": 3.5, "petal_length_cm": 1.4, "petal_width_cm": 0.2}


def test_the_file_and_the_class_both_answer(tmp_path: Path) -> None:
    folder = tmp_path / "own_model"
    shutil.copytree(EXAMPLE, folder, ignore=shutil.ignore_patterns("*.joblib", "var", "__pycache__"))
    subprocess.run([sys.executable, "save_tree.py"], cwd=folder, check=True)
    up = subprocess.Popen(
        [sys.executable, "-m", "predictq", "up", "--json"],
        cwd=folder,
        env={**os.environ, "PREDICTQ_GATEWAY__PORT": "0"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
    )
    try:
        assert up.stdout is not None
        ready = json.loads(up.stdout.readline())
        answer = httpx.post(
            f"{ready['url']}/v1/endpoints/flowers/predictions",
            headers={"Prefer": "wait=30"},
            json={"instances": [FLOWER, {**FLOWER, "petal_length_cm": 5.0, "petal_width_cm": 2.0}]},
            timeout=60,
        )
    finally:
        up.send_signal(signal.SIGTERM)
        up.communicate(timeout=60)

    assert up.returncode == 0
    assert answer.status_code == 200
    by_deployment = {one["deployment"]: one["outputs"] for one in answer.json()["predictions"]}
    assert [output["label"] for output in by_deployment["flowers-tree"]] == ["setosa", "virginica"]
    assert by_deployment["flowers-rule"] == ["setosa", "another"]
