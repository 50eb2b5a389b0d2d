"""Packages of Node that a folder's lock file names, installed once, whoever asks first."""

import fcntl
import shutil
import subprocess
from pathlib import Path

from needed import needed


def node_modules(folder: Path) -> Path:
    """Where they are."""
    if shutil.which("npm") is None:
        needed("npm", "install Node 20 or later")
    lock, installed = folder / "package-lock.json", folder / "node_modules" / ".package-lock.json"
    with lock.open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        if not installed.exists() or installed.stat().st_mtime < lock.stat().st_mtime:
            subprocess.run(["npm", "ci", "--silent", "--ignore-scripts"], cwd=folder, check=True, timeout=170)
            installed.touch()
    return installed.parent
