"""Micro-batches in which no user comes twice, as test-then-learn needs them."""

from collections.abc import Iterable, Iterator

from schemas.events import AnyEvent


def apart(events: Iterable[AnyEvent], size: int) -> Iterator[list[AnyEvent]]:
    """Batches of up to ``size`` events of different users, in the order of the log."""
    batch: list[AnyEvent] = []
    users: set[str] = set()
    for event in events:
        if len(batch) == size or event.user_id in users:
            yield batch
            batch, users = [], set()
        batch.append(event)
        users.add(event.user_id)
    if batch:
        yield batch
