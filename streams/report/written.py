"""Reports as files: whole or not at all, and no more of them than are to be kept."""

import os
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

PATTERN: Final = "rillet-*.html"
LATEST: Final = "latest.html"


def write(page: str, to: Path) -> None:
    """A reader sees the file before or the file after, never a part."""
    handle, name = tempfile.mkstemp(prefix=f".{to.name}-", dir=to.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(page)
        os.chmod(name, 0o644)
        os.replace(name, to)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def write_into(page: str, folder: Path, time_ms: int, keep: int) -> Path:
    """Under a name that tells the time, and as ``latest.html``; of the dated ones the newest ``keep`` stay."""
    moment = datetime.fromtimestamp(time_ms / 1000, UTC)
    to = folder / f"rillet-{moment:%Y%m%dT%H%M%SZ}.html"
    write(page, to)
    write(page, folder / LATEST)
    for old in sorted(folder.glob(PATTERN), reverse=True)[keep:]:
        old.unlink(missing_ok=True)
    return to
