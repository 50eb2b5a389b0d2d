"""What ``models.versions`` says of one model: which snapshots there are, which one serves, which served before.

Each record stands for itself under its key, so compaction loses nothing and order between keys does not matter.
"""

from typing import Final, NamedTuple

import msgspec

from schemas import topics
from schemas.snapshots import EMBEDDING, MAX_PREVIOUS, Announced, Promoted
from streams.errors import InputError

MAX_ANNOUNCED: Final = 10_000
"""Remembered announcements; the oldest are forgotten first. Pruning retracts them long before."""

_encode = msgspec.json.Encoder().encode
_decoder = msgspec.json.Decoder(Announced | Promoted)


class VersionRecord(NamedTuple):
    """A record of ``models.versions``."""

    key: bytes
    value: bytes | None
    topic: str = topics.VERSIONS

    @classmethod
    def of(cls, what: Announced | Promoted) -> "VersionRecord":
        """What tells of an announcement or a promotion."""
        return cls(_key(what), _encode(what))

    @classmethod
    def retraction(cls, version: str, model: str = EMBEDDING) -> "VersionRecord":
        """What takes an announcement back, before the snapshot is removed."""
        return cls(f"announced/{model}/{version}".encode(), None)


class Versions:
    """Folds records as they come. Writes nothing itself: what is to be told is returned."""

    def __init__(self, model: str = EMBEDDING) -> None:
        self.model = model
        self.announced: dict[str, Announced] = {}
        """By version."""
        self.promoted: Promoted | None = None
        """What serves."""
        self.n_foreign = 0
        """Records that were no such thing."""

    def hear(self, key: bytes | None, value: bytes | None) -> None:
        """Fold one record; those of other models are passed over."""
        kind, model, version = _parsed(key)
        if model != self.model:
            self.n_foreign += not model
        elif value is None:
            self._drop(kind, version)
        else:
            self._fold(key, value)

    def newest_first(self) -> list[Announced]:
        """All that can be served."""
        return sorted(self.announced.values(), key=lambda each: each.version, reverse=True)

    @property
    def protected(self) -> set[str]:
        """What pruning must leave: the version that serves and the one before."""
        return {self.promoted.version, *self.promoted.previous[:1]} if self.promoted else set()

    def announcement(self, version: str) -> Announced:
        """What was told of ``version``.

        Raises:
            InputError: nothing was.
        """
        if version not in self.announced:
            raise InputError(
                f"No version {version!r} of {self.model} was announced, there are: {self._there()}.",
                fix="`rillet models list` shows them with their metrics.",
            )
        return self.announced[version]

    @property
    def is_pinned(self) -> bool:
        """Whether a person wants what serves to go on, whatever is announced: nothing is to be promoted by itself."""
        return self.promoted is not None and self.promoted.pinned

    def promotion(
        self, version: str, *, actor: str, detail: str, time_ms: int, pinned: bool = False
    ) -> Promoted:
        """That ``version`` serves from now on.

        Raises:
            InputError: it was not announced.
        """
        before = [self.promoted.version, *self.promoted.previous] if self.promoted else []
        return self._promoted(version, before, actor, detail, time_ms, pinned)

    def rollback(self, *, actor: str, detail: str, time_ms: int, pinned: bool = False) -> Promoted:
        """That the version promoted before the one that serves does so again, the latest that is still there.

        What is rolled back is not remembered as one that served before, so that rolling back again leads further back.

        Raises:
            InputError: there is none.
        """
        previous = self.promoted.previous if self.promoted else []
        for at, version in enumerate(previous):
            if version in self.announced:
                return self._promoted(version, previous[at + 1 :], actor, detail, time_ms, pinned)
        gone = f"{', '.join(previous)} went" if previous else "none was promoted before the one that serves"
        raise InputError(
            f"There is no version of {self.model} to go back to: {gone}.",
            fix=f"Promote another one with `rillet models promote`; there are: {self._there()}.",
        )

    def _promoted(
        self, version: str, before: list[str], actor: str, detail: str, time_ms: int, pinned: bool
    ) -> Promoted:
        previous = [each for each in dict.fromkeys(before) if each != version]
        return Promoted(
            model=self.model,
            version=version,
            checksum=self.announcement(version).checksum,
            time_ms=time_ms,
            actor=actor,
            detail=detail,
            previous=previous[:MAX_PREVIOUS],
            pinned=pinned,
        )

    def _fold(self, key: bytes | None, value: bytes) -> None:
        try:
            what = _decoder.decode(value)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            self.n_foreign += 1
            return
        if _key(what) != key:
            self.n_foreign += 1
        elif isinstance(what, Promoted):
            self.promoted = what
        else:
            self.announced[what.version] = what
            if len(self.announced) > MAX_ANNOUNCED:
                del self.announced[min(self.announced)]

    def _drop(self, kind: str, version: str) -> None:
        if kind == "announced":
            self.announced.pop(version, None)
        else:
            self.promoted = None

    def _there(self) -> str:
        return ", ".join(each.version for each in self.newest_first()[:10]) or "none"


def _key(what: Announced | Promoted) -> bytes:
    if isinstance(what, Promoted):
        return f"promoted/{what.model}".encode()
    return f"announced/{what.model}/{what.version}".encode()


def _parsed(key: bytes | None) -> tuple[str, str, str]:
    """Kind, model and version, each empty where the key is of another form."""
    match (key or b"").decode(errors="replace").split("/"):
        case ["announced", model, version]:
            return "announced", model, version
        case ["promoted", model]:
            return "promoted", model, ""
    return "", "", ""
