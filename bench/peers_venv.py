"""The virtual environment of the peers, made when it is first needed."""

import subprocess
import sys

from programs import HERE

__all__ = ["peer_python"]

FOLDER = HERE / "peers" / ".venv"
REQUIREMENTS = HERE / "peers" / "requirements.txt"


def peer_python() -> str:
    """Path of its interpreter; installs what requirements.txt says and is not there yet."""
    python = FOLDER / "bin" / "python"
    installed = FOLDER / "installed.txt"
    if not installed.exists() or installed.read_text() != REQUIREMENTS.read_text():
        print("installing the peers into bench/peers/.venv, once …", file=sys.stderr, flush=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(FOLDER)], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", "-r", str(REQUIREMENTS)], check=True)
        installed.write_text(REQUIREMENTS.read_text())
    return str(python)
