"""From when on a topic is read, as it is said on the command line."""

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from streams.commands.dead_letter import since_ms

if TYPE_CHECKING:
    from streams.client import Since as Start

WHEN = "From so long ago on (90s, 10m, 2h, 7d), or beginning."
Since = Annotated[str, typer.Option(metavar="WHEN", help=WHEN)]


def start_of(since: str) -> "Start":
    """The moment, or the beginning."""
    if since == "beginning":
        return "beginning"
    return datetime.fromtimestamp(since_ms(since, now_ms=time.time_ns() // 1_000_000) / 1000, UTC)
