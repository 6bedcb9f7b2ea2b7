"""Moving a file to where it stays, over no other one."""

import errno
import os
import shutil
from pathlib import Path

__all__ = ["other_name", "put"]

_NO_LINKS = {errno.EXDEV, errno.EPERM, errno.ENOTSUP, errno.EMLINK, errno.ENOSYS}


def put(file: Path, folder: Path, names: tuple[str, ...]) -> Path:
    """Move it into the folder under the first of the names that is free; may be called again. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        target = folder / name
        try:
            os.link(file, target)
        except FileExistsError:
            if not target.samefile(file):
                continue
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            return _put_without_links(file, folder, names)
        file.unlink()
        return target
    raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(folder / names[-1]))


def other_name(name: str, job_id: str) -> str:
    """`rows.csv` as `rows-1a2b3c4d.csv`."""
    stem, dot, rest = name.partition(".")
    return f"{stem}-{job_id[:8]}{dot}{rest}"


def _put_without_links(file: Path, folder: Path, names: tuple[str, ...]) -> Path:
    """The same on another disk, or on one that knows no links."""
    target = next((folder / name for name in names if not (folder / name).exists()), folder / names[-1])
    unfinished = folder / f".{target.name}.part"
    shutil.copy2(file, unfinished)
    unfinished.replace(target)
    file.unlink()
    return target
