"""What is evaluated: anything that follows events and answers each with a list of items."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple, Protocol

from schemas.events import AnyEvent


class Offer(NamedTuple):
    """A list of items as it was shown, best first."""

    items: list[str]
    sources: list[str]
    """What brought each item most; empty where the recommender has no sources."""

    def ranks(self, items: Iterable[str]) -> tuple[int, ...]:
        """Ranks, from 1, of those of ``items`` that are in it, ascending."""
        return tuple(sorted(self.items.index(item) + 1 for item in items if item in self.items))


NOTHING = Offer([], [])


class Recommender(Protocol):
    """Users are told apart by ``user_id``; item knowledge is shared."""

    name: str
    cleans: bool
    """Whether it drops by itself what its recipe drops; who does not is told of nothing that anyone drops."""

    def drops(self, event: AnyEvent) -> bool:
        """Whether cleaning takes it for a copy, by which nobody wanted anything; asked of every event, in order."""

    def meanwhile(self, now_ms: int) -> Iterable[tuple[str, Offer]]:
        """Users and offers that came about by ``now_ms`` though nothing was followed: of what is heard late."""

    def follow(self, events: Sequence[AnyEvent], *, learn: bool) -> list[Offer | None]:
        """Take events of *different* users, and answer each with the user's next offer; None where none is due.

        Without ``learn`` shared knowledge stays as it is until ``catch_up``; what is known of the users does not.
        """

    def wanted(self, event: AnyEvent) -> list[str]:
        """Distinct items that the event says its user wanted, by the names under which they are offered."""

    def catch_up(self) -> None:
        """Learn what was only followed since the last call, in its order."""

    def train(self, events: Sequence[AnyEvent]) -> None:
        """Learn events of any users at once and answer nothing."""

    def settle(self) -> None:
        """Learn what takes several passes over all that was trained so far."""
