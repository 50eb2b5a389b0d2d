"""The embedding model in a worker: what is promoted is read and made ready in a thread, and swapped between fetches."""

import asyncio
import logging
from collections.abc import Callable
from typing import Final

import torch

from models.embed.portable import at_home
from models.embed.serving import Serving, warm_up
from models.knowledge.base import KnowledgeBase
from models.rank.features import VERSION
from schemas.snapshots import Manifest
from streams.settings import Settings
from streams.snapshots.errors import SnapshotBrokenError
from streams.snapshots.follow import PromotedModel
from streams.snapshots.store import Snapshot, SnapshotStore

log = logging.getLogger(__name__)

UNFIT: Final = (KeyError, RuntimeError, TypeError, ValueError)
"""What torch and numpy raise where arrays are missing or of other shapes than the settings tell."""
THREADS: Final = 1
"""Of torch: a worker computes on one core."""


class EmbeddingSwap:
    """``promoted.apply`` takes the records of ``models.versions``; a new model serves from one fetch on."""

    def __init__(
        self, settings: Settings, knowledge: KnowledgeBase, on_failure: Callable[[BaseException], None]
    ) -> None:
        """Takes some seconds: what torch and the kernels do once, they do before anyone waits for a slate."""
        torch.set_num_threads(THREADS)
        warm_up(settings.embed)
        self._settings, self._knowledge, self._on_failure = settings, knowledge, on_failure
        self.promoted = PromotedModel(SnapshotStore(settings.snapshots), self._serve, on_failure)
        self._unfit = ""
        """Version of a snapshot that was whole, and not of such a model."""
        self._task: asyncio.Task[None] | None = None

    @property
    def refuses(self) -> bool:
        """Whether the version promoted last could not be taken up."""
        return self.promoted.gave_up or bool(self._unfit)

    def _serve(self, manifest: Manifest, snapshot: Snapshot) -> None:
        if manifest.features != VERSION:
            raise SnapshotBrokenError.of(
                f"snapshot {manifest.version}", f"version {VERSION} of the features", str(manifest.features)
            )
        if self._task:
            self._task.cancel()
        self._task = asyncio.get_running_loop().create_task(self._swap(manifest, snapshot))

    async def _swap(self, manifest: Manifest, snapshot: Snapshot) -> None:
        source = self._knowledge.embedding
        if source is None:
            return
        try:
            while True:
                n_forgotten = source.n_forgotten
                serving = await asyncio.to_thread(self._made, manifest, snapshot)
                if n_forgotten == source.n_forgotten:
                    break
            source.model, self._unfit = serving, ""
            log.info("embedding_swapped version=%s items=%d", manifest.version, len(snapshot.names["items"]))
        except UNFIT as error:
            self._unfit = manifest.version
            log.error(
                "snapshot_unfit version=%s serving=%s error=%s", manifest.version, source.version, error
            )
        except Exception as error:  # a task has no one to raise to
            self._on_failure(error)

    def _made(self, manifest: Manifest, snapshot: Snapshot) -> Serving:
        settings = self._settings.embed.model_copy(update=manifest.settings)
        exported = at_home(snapshot.arrays, snapshot.names, self._knowledge.vocabularies)
        return Serving(manifest.version, exported, settings)
