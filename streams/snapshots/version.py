"""Names of versions: times, not running numbers.

Several writers, or one that begins anew in an empty folder, need not agree on a number; as texts they sort by age.
"""

import secrets
from datetime import UTC, datetime
from re import fullmatch

from schemas.snapshots import VERSION_PATTERN


def version_of(time_ms: int) -> str:
    """A new version of that time (UTC), with 24 random bits for writers of the same millisecond."""
    at = datetime.fromtimestamp(time_ms // 1_000, UTC)
    return f"{at:%Y%m%dT%H%M%S}{time_ms % 1_000:03d}-{secrets.token_hex(3)}"


def created_ms(version: str) -> int:
    """Its time, since 1970-01-01 UTC."""
    at = datetime.strptime(version[:15], "%Y%m%dT%H%M%S").replace(tzinfo=UTC)
    return int(at.timestamp()) * 1_000 + int(version[15:18])


def is_version(text: str) -> bool:
    """Whether ``text`` is a version, and so no path to elsewhere."""
    try:
        return fullmatch(VERSION_PATTERN, text) is not None and created_ms(text) >= 0
    except ValueError:
        return False
