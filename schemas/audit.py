"""What was decided about the models, by whom and when: the values of the topic ``audit.log``.

Entries are only ever added. No user or item id appears here.
"""

from msgspec import Struct

from schemas.events import SCHEMA_VERSION


class AuditEntry(Struct, frozen=True, kw_only=True):
    """One decision that changed what serves."""

    time_ms: int
    actor: str
    action: str
    subject: str
    detail: str
    schema_version: int = SCHEMA_VERSION
