"""What can be wrong with a snapshot or the place where it lies.

::

    SnapshotError                  exit 4
    ├── SnapshotMissingError       there is no such version, or it was removed meanwhile
    ├── SnapshotBrokenError        a file is not what the manifest says, or the manifest not what was announced
    └── StoreUnreachableError      the place does not answer, or refuses; trying again may help
"""

from streams.errors import RilletError


class SnapshotError(RilletError):
    """Trouble with snapshots."""


class SnapshotMissingError(SnapshotError):
    """No such version."""


class SnapshotBrokenError(SnapshotError):
    """What lies there must not be served."""

    @classmethod
    def of(cls, file: str, expected: str, found: str) -> "SnapshotBrokenError":
        """``file`` was to hold ``expected``."""
        return cls(
            f"{file} is broken: expected {expected}, found {found}.",
            fix="Serve another version: `rillet models list` shows those there are, `rillet models promote` "
            "and `rillet models rollback` choose.",
        )


class StoreUnreachableError(SnapshotError):
    """The directory or object store cannot be used just now."""
