"""The protocol of the session literature: learn the training sessions, predict within the test sessions.

Every prefix of a test session predicts its next item, over all items, repeated views kept (Ludewig and Jannach, UMUAI
2018). A session is all that one ``user_id`` did.
"""

from collections.abc import Iterable, Iterator
from itertools import islice

from models.evaluate.prequential import Prequential
from schemas.events import AnyEvent

TRAIN_BATCH = 1_000
SIDE_BY_SIDE = 256


def train(
    prequential: Prequential, events: Iterable[AnyEvent], settle_after: int | None = None
) -> Iterator[int]:
    """Learn the training part; yields how many events are done.

    What learns in several passes does so after some ``settle_after`` events and at the end: in between its answers are
    to sessions that it has not learned, which is what those who learn from the answers need.
    """
    done, rest = 0, iter(events)
    while batch := list(islice(rest, TRAIN_BATCH)):
        prequential.train(batch)
        if settle_after is not None and done < settle_after <= done + len(batch):
            prequential.settle()
        done += len(batch)
        yield done
    prequential.settle()


def test(prequential: Prequential, events: Iterable[AnyEvent], *, online: bool) -> Iterator[int]:
    """Try the test part; with ``online`` everyone learns from a session once it is over, else from none.

    ``prequential`` must not learn by itself. Without ``online`` sessions are followed side by side: nothing is learned,
    so none can tell.
    """
    sessions = list(_sessions(events))
    if online:
        for session in sessions:
            for event in session:
                prequential.take([event])
            for recommender in prequential.recommenders:
                recommender.catch_up()
            yield prequential.n_events
        return
    for start in range(0, len(sessions), SIDE_BY_SIDE):
        beside = sessions[start : start + SIDE_BY_SIDE]
        for place in range(max(map(len, beside))):
            prequential.take([session[place] for session in beside if place < len(session)])
        yield prequential.n_events


def _sessions(events: Iterable[AnyEvent]) -> Iterator[list[AnyEvent]]:
    """By the time of their first event."""
    sessions: dict[str, list[AnyEvent]] = {}
    for event in events:
        sessions.setdefault(event.user_id, []).append(event)
    yield from sessions.values()
