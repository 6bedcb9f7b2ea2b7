"""The example notebook does, from a clean kernel, what its saved outputs show."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import psutil
import pytest

pytestmark = pytest.mark.timeout(400)

NOTEBOOK = Path(__file__).parents[3] / "examples" / "notebook" / "wine.ipynb"
DEADLINE_SECONDS = 350.0
PACE = re.compile(r"\d:\d\d:\d\d.*")
"""What differs from run to run: how long a job took."""


def saved(file: Path) -> Any:
    return nbformat.reads(file.read_text(), as_version=4)  # type: ignore[no-untyped-call]  # has no types


def shown(notebook: Any) -> list[tuple[str, str]]:
    """Code and text of each cell that shows something, as a reader without a browser sees it."""
    cells = []
    for cell in notebook.cells:
        outputs = cell.get("outputs", [])
        texts = [output.get("text") or output.get("data", {}).get("text/plain", "") for output in outputs]
        assert {output.get("name", "stdout") for output in outputs} <= {"stdout"}, outputs
        cells.append((cell.source, PACE.sub("…", re.sub(r"\x1b\[[\d;]*m", "", "".join(texts)))))
    return cells


def test_a_clean_kernel_comes_to_the_predictions_that_are_saved_in_it(tmp_path: Path) -> None:
    shutil.copy(NOTEBOOK, tmp_path)
    (tmp_path / "temporary").mkdir()
    done = subprocess.run(
        [sys.executable, "-m", "jupyter", "execute", "--inplace", NOTEBOOK.name],
        cwd=tmp_path,
        env={**os.environ, "TMPDIR": str(tmp_path / "temporary"), "IPYTHONDIR": str(tmp_path / "ipython")},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=DEADLINE_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout

    cells = shown(saved(tmp_path / NOTEBOOK.name))
    text = "\n".join(output for _, output in cells)
    assert len(re.findall(r"right for 9\d\.\d% of the held-out wines", text)) == 2, "fitted and served are one model"
    assert "wine completed" in text, "the bar's last state"
    assert "20,000 of 20,000 rows" in text
    assert "completed 20000 of 20000" in text
    assert re.search(r"B-00002 +failed +NaN +alcohol: Input should be a valid number", text)
    assert cells == shown(saved(NOTEBOOK)), "run it again and save it"
    assert list((tmp_path / "temporary").iterdir()) == []
    left = [
        process.cmdline() for process in psutil.process_iter(["cwd"]) if str(tmp_path) in (process.info["cwd"] or "")
    ]
    assert left == []


def test_what_is_saved_in_it_tells_nothing_of_the_machine_it_ran_on() -> None:
    notebook = saved(NOTEBOOK)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    outputs = str([cell.outputs for cell in code])

    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1)), "run once, from top to bottom"
    assert not re.search(r"/tmp|/home|/root|/Users|127\.0\.0\.1|[0-9a-f]{8}-[0-9a-f]{4}-", outputs)
