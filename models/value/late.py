"""A recommender that hears of one source of data late, as by a slow feed; all else is as it would be.

What is held back comes in its order once its delay is over, and causes then what it would have caused: no event is
heard before its time plus the delay, so that nothing of the future reaches the past.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from models.evaluate.apart import apart
from models.evaluate.of_path import OfPath
from models.evaluate.recommender import Offer
from schemas.events import AnyEvent

MAX_HELD: Final = 2_000_000
"""Events held back at a time."""
TOGETHER: Final = 64
"""Events that are followed at once when their delay is over."""


class Late:
    """``of`` hears of the events that ``is_late`` names ``delay_ms`` of event time after they happened.

    Raises:
        ValueError: more than ``MAX_HELD`` events are held back.
    """

    cleans = True

    def __init__(self, of: OfPath, is_late: Callable[[AnyEvent], bool], delay_ms: int) -> None:
        self.name = of.name
        self._of, self._is_late, self._delay_ms = of, is_late, delay_ms
        self._held: deque[AnyEvent] = deque()

    def drops(self, event: AnyEvent) -> bool:
        """See ``Recommender``."""
        return self._of.drops(event)

    def meanwhile(self, now_ms: int) -> Iterator[tuple[str, Offer]]:
        """See ``Recommender``: what came late, and the slates that it caused."""
        for batch in apart(self._due(now_ms - self._delay_ms), TOGETHER):
            for event, offer in zip(batch, self._of.follow(batch, learn=True), strict=True):
                if offer is not None:
                    yield event.user_id, offer

    def follow(self, events: Sequence[AnyEvent], *, learn: bool) -> list[Offer | None]:
        """See ``Recommender``; what is held back causes nothing yet."""
        self._held.extend(event for event in events if self._is_late(event))
        if len(self._held) > MAX_HELD:
            raise ValueError(f"more than {MAX_HELD:,} events are held back: take a shorter delay or log")
        on_time = [event for event in events if not self._is_late(event)]
        offers = iter(self._of.follow(on_time, learn=learn) if on_time else [])
        return [None if self._is_late(event) else next(offers) for event in events]

    def wanted(self, event: AnyEvent) -> list[str]:
        """See ``Recommender``."""
        return self._of.wanted(event)

    def catch_up(self) -> None:
        """See ``Recommender``."""
        self._of.catch_up()

    def train(self, events: Sequence[AnyEvent]) -> None:
        """See ``Recommender``; what is only trained is not held back."""
        self._of.train(events)

    def settle(self) -> None:
        """See ``Recommender``."""
        self._of.settle()

    def _due(self, until_ms: int) -> Iterator[AnyEvent]:
        while self._held and self._held[0].time_ms <= until_ms:
            yield self._held.popleft()
