"""What was decided about the models, by whom and when: the values of the topic ``audit.log``.

Entries are only ever added. No user or item id appears here.
"""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from schemas.events import SCHEMA_VERSION
from schemas.metrics import WindowMs


class AuditedFinding(Struct, frozen=True, kw_only=True):
    """What the value of one player says, and what was done by it: workers that take over go on from here."""

    state: Literal["proposed", "withdrawn", "tried"]
    of: str
    player: str
    value: float
    value_error: float
    n: Annotated[int, Meta(ge=1)]
    window_start_ms: WindowMs
    window_end_ms: WindowMs


class AuditEntry(Struct, frozen=True, kw_only=True):
    """One decision that changed what serves."""

    time_ms: int
    actor: str
    action: str
    subject: str
    detail: str
    finding: AuditedFinding | None = None
    schema_version: int = SCHEMA_VERSION
