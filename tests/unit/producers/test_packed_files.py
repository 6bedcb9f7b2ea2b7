"""Files of jobs that are packed."""

import gc
from pathlib import Path
from typing import Literal

import pyarrow as pa
import pytest

from predictq_producers.jobs.reading import opened

ROWS = b"id,a\n" + b"".join(b"r%d,%d\n" % (number, number) for number in range(50_000))


@pytest.mark.parametrize("packed", ["gzip", "zstd"])
def test_a_packed_file_is_recognised_and_read_as_a_whole(tmp_path: Path, packed: Literal["gzip", "zstd"]) -> None:
    file = tmp_path / "rows.csv.packed"
    with pa.CompressedOutputStream(pa.OSFile(str(file), "wb"), packed) as stream:
        stream.write(ROWS)

    with opened({"url": f"file://{file}", "name": file.name}, {}, max_bytes=1 << 30) as rows:
        gc.collect()  # what looked at the beginning is thrown away

        assert rows.kind == ("csv", packed)
        assert rows.plain().read() == ROWS
