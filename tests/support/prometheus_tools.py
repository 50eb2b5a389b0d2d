"""``promtool`` and ``prometheus``: those on the PATH, else Debian's package, unpacked into the user's cache."""

import os
import shutil
import subprocess
from functools import cache
from pathlib import Path

import pytest

CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "rillet-tests" / "prometheus"


@cache
def tool(name: str) -> Path:
    """The executable; the test is skipped where there is neither it nor Debian's package."""
    found = shutil.which(name)
    if found:
        return Path(found)
    unpacked = CACHE / "usr" / "bin" / name
    if not unpacked.exists():
        _unpack()
    return unpacked


def _unpack() -> None:
    CACHE.mkdir(parents=True, exist_ok=True)
    commands = [["apt-get", "download", "prometheus"]]
    if os.access("/var/lib/apt/lists", os.W_OK):
        commands += [["apt-get", "update"], ["apt-get", "download", "prometheus"]]
    try:
        for command in commands:
            ended = subprocess.run(command, cwd=CACHE, capture_output=True, text=True, timeout=150)
            packages = sorted(CACHE.glob("prometheus_*.deb"))
            if packages:
                subprocess.run(["dpkg", "-x", packages[-1], CACHE], check=True, timeout=60)
                packages[-1].unlink()
                return
        why = ended.stderr.strip()
    except (OSError, subprocess.SubprocessError) as error:
        why = str(error)
    pytest.skip(f"promtool and prometheus are not installed, and Debian's package cannot be had: {why}")
