"""``rillet`` as a process, as it is called."""

import subprocess
import sys


def rillet(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run it to its end, within 170 s."""
    code = "from streams.cli import main; main()"
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)], capture_output=True, text=True, timeout=170
    )
