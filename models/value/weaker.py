"""A source of data that is missing, late or thinned, to learn everything anew from what is left of it.

Of a thinned source those events are kept whose hash is below the share, so that a smaller share is part of a larger.
"""

from collections.abc import MutableMapping
from typing import Final, Literal, NamedTuple

from msgspec import Struct
from xxhash import xxh3_64_intdigest

from models.evaluate.of_path import OfPath, Take
from models.evaluate.recommender import Recommender
from models.evaluate.result import Difference
from models.path import Path
from models.value.late import Late
from models.value.withheld import WITHHELD
from schemas.events import AnyEvent

LATER: Final = ("browse", "search", "purchase", "feedback")
"""Sources whose events come of their own, so that they can come late: attributes come with other sources' events."""
HASHES: Final = float(1 << 64)

Change = Literal["withheld", "late", "thinned"]


class Weaker(NamedTuple):
    """``at`` is seconds late, or the share that is kept; 0 where the source is withheld."""

    source: str
    change: Change
    at: float = 0.0

    @property
    def name(self) -> str:
        """Unlike every other."""
        if self.change == "withheld":
            return f"without {self.source}"
        return f"{self.source} {f'{self.at:g} s late' if self.change == 'late' else f'{self.at:.3%} kept'}"

    def recommender(self, path: Path, states: MutableMapping[bytes, bytes]) -> Recommender:
        """One that learns from the rest; ``states`` keeps the users'."""
        take = WITHHELD[self.source]
        if self.change == "late":
            of_late = OfPath(path, self.name, states)
            return Late(of_late, lambda event: take(event) is None, round(1000 * self.at))
        return OfPath(path, self.name, states, take=thinned(take, self.at) if self.at else take)


class Marginal(Struct, frozen=True):
    """What is lost where a source is weaker: all data less those, paired."""

    source: str
    change: Change
    at: float
    lost: Difference


def thinned(take: Take, share: float) -> Take:
    """All of the events whose hash falls into the share, of the others what ``take`` leaves."""

    def kept(event: AnyEvent) -> AnyEvent | None:
        return event if xxh3_64_intdigest(event.event_id.encode()) < share * HASHES else take(event)

    return kept


def marginals(weaker: list[Weaker], differences: list[Difference]) -> list[Marginal]:
    """By source and change, the weakest last."""
    return [
        Marginal(*each, lost)
        for each in sorted(weaker, key=lambda each: (each.source, each.change, -_strength(each)))
        for lost in differences
        if lost.b == each.name
    ]


def _strength(weaker: Weaker) -> float:
    return -weaker.at if weaker.change == "late" else weaker.at
