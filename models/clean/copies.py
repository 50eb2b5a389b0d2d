"""Which events of a log ``merge`` drops, told before anyone hears of them.

Workers need it not: there the user's state knows, by the id that copies share.
"""

from collections import OrderedDict
from typing import Final

from models.clean.cleaner import Cleaner
from schemas import topics
from schemas.events import AnyEvent

MAX_EVENTS: Final = 1_000_000
"""Events whose copies are told, those that came last."""


class Copies:
    """Of one log, each event asked for once and in order. Without a step that merges nothing is a copy."""

    def __init__(self, cleaner: Cleaner, max_events: int = MAX_EVENTS) -> None:
        self._cleaner, self._max_events = cleaner, max_events
        self._came: OrderedDict[str, None] = OrderedDict()

    def __call__(self, event: AnyEvent) -> bool:
        """Whether it says what another said that came before, in one window of the clock."""
        if not self._cleaner.merges:
            return False
        (clean,) = self._cleaner.tidy([topics.of_event(event)], [event], self._cleaner.marking(1))
        if clean.event_id == event.event_id:
            return False
        is_copy = clean.event_id in self._came
        self._came[clean.event_id] = None
        if len(self._came) > self._max_events:
            self._came.popitem(last=False)
        return is_copy
