"""Loads the snapshot that is promoted, in a thread, and hands it over on the event loop. The store is never polled."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final

from schemas.snapshots import EMBEDDING, Manifest, Promoted
from streams.follow import FollowedRecord
from streams.snapshots.errors import SnapshotError, StoreUnreachableError
from streams.snapshots.store import Snapshot, SnapshotStore
from streams.snapshots.versions import Versions

log = logging.getLogger(__name__)

RETRIES_S: Final = (1.0, 5.0, 30.0)
"""Pauses before a place that does not answer is asked again; after the last the promotion is given up."""

Serve = Callable[[Manifest, Snapshot], None]


class PromotedModel:
    """Follows ``models.versions``: ``apply`` is what a ``Follower`` calls, ``serve`` is called with what is to serve.

    Each promotion of another version than the one that serves is handed over once; of several in a row that come while
    one is being loaded only the last. A snapshot that is missing, broken, or refused by ``serve`` with a
    ``SnapshotError``, is logged and counted, and what serves goes on. All but the loading happens on the event loop.
    """

    def __init__(
        self,
        store: SnapshotStore,
        serve: Serve,
        on_failure: Callable[[BaseException], None],
        model: str = EMBEDDING,
        retries_s: Sequence[float] = RETRIES_S,
    ) -> None:
        """``on_failure`` is told of any other error of ``serve``."""
        self.versions = Versions(model)
        self.serving: str | None = None
        """Version that was handed over last."""
        self.n_broken = 0
        """Promotions that could not be followed."""
        self._store = store
        self._serve = serve
        self._on_failure = on_failure
        self._retries_s = tuple(retries_s)
        self._given_up: Promoted | None = None
        self._task: asyncio.Task[None] | None = None
        self._news = asyncio.Event()

    @property
    def loading(self) -> bool:
        """Whether something is on its way; a worker that starts may wait for it."""
        return self._task is not None

    @property
    def gave_up(self) -> bool:
        """Whether the promotion that holds now could not be followed."""
        return self._given_up is not None and self._given_up == self.versions.promoted

    def apply(self, records: Sequence[FollowedRecord]) -> None:
        """Take records of ``models.versions``."""
        for record in records:
            self.versions.hear(record.key, record.value)
        self._news.set()
        if self._wanted() and self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._follow())
            self._task.add_done_callback(self._ended)

    async def stop(self) -> None:
        """End; what is being loaded is dropped."""
        task, self._task = self._task, None
        if task is not None:
            task.remove_done_callback(self._ended)
            task.cancel()
            await asyncio.wait([task])

    def _wanted(self) -> Promoted | None:
        """The promotion that is still to be followed."""
        promoted = self.versions.promoted
        if promoted is None or promoted.version == self.serving or promoted == self._given_up:
            return None
        return promoted

    async def _follow(self) -> None:
        while promoted := self._wanted():
            snapshot = await self._load(promoted)
            if snapshot is not None and promoted == self._wanted():
                self._hand_over(promoted, snapshot)

    def _hand_over(self, promoted: Promoted, snapshot: Snapshot) -> None:
        try:
            self._serve(snapshot.manifest, snapshot)
        except SnapshotError as error:
            self._give_up(promoted, error)
        else:
            self.serving = promoted.version
            log.info("snapshot_serves version=%s metrics=%s", promoted.version, snapshot.manifest.metrics)

    async def _load(self, promoted: Promoted) -> Snapshot | None:
        """None when it cannot be had, or another is wanted by now."""
        for pause_s in (*self._retries_s, None):
            try:
                return await asyncio.to_thread(self._store.read, promoted.version, promoted.checksum)
            except StoreUnreachableError as error:
                if pause_s is None:
                    self._give_up(promoted, error)
                else:
                    log.warning("snapshot_delayed version=%s error=%s", promoted.version, error.problem)
                    await self._pause(pause_s)
            except SnapshotError as error:
                self._give_up(promoted, error)
                return None
            if promoted != self._wanted():
                return None
        return None

    async def _pause(self, pause_s: float) -> None:
        """Until then, or until there is news."""
        self._news.clear()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._news.wait(), pause_s)

    def _give_up(self, promoted: Promoted, error: SnapshotError) -> None:
        self._given_up = promoted
        self.n_broken += 1
        log.error("snapshot_refused version=%s serving=%s error=%s", promoted.version, self.serving, error)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._task = None
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self._on_failure(error)
