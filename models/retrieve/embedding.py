"""Items near the user in the space of an embedding model. Silent until there is a model."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from models.retrieve.contract import F32, I32, Candidates, Interactions, Queries
from models.retrieve.settings import EmbeddingSettings
from models.retrieve.top_k import empty_lists

NO_VECTORS = np.zeros((0, 0), np.float32)
N_VECTORS = 3
"""Of a user: what is near, and what says more of a purchase and of a stay."""
NO_USERS = np.zeros((0, N_VECTORS, 0), np.float32)
NOTHING_USUAL = np.zeros(2, np.float32)


class Model(Protocol):
    """One version of an embedding model: it never changes but by ``forget``."""

    version: str

    def users(self, queries: Queries) -> F32:
        """(N, 3, D) as features read them; zeros for users of whom nothing is known."""

    @property
    def usual(self) -> F32:
        """(2,) as features read them."""

    def nearest(self, users: F32, k: int) -> tuple[I32, F32]:
        """(N, k) items, best first, -1 padded, and their cosines."""

    @property
    def items(self) -> F32:
        """(I, D) unit vectors by item index, zeros where unknown; later items than these are unknown as well."""

    def forget(self, items: I32) -> None:
        """These indexes are about to be given to other items."""

    @property
    def size_bytes(self) -> int:
        """Memory held."""


class Pupil(Protocol):
    """A model that learns in this process, as in an evaluation."""

    def update(self, batch: Interactions) -> Model | None:
        """Learn; a new version where one is due."""

    def fit(self) -> Model | None:
        """Learn all that was kept in several passes, where that is done."""

    def describe(self, item: int, terms: I32) -> None:
        """These words describe the item."""

    def give(self, item: int, vector: Sequence[float] | None) -> None:
        """An encoder of images or of text says this of the item, None nothing."""

    def forget(self, items: I32) -> None:
        """These indexes are about to be given to other items."""


class Embedding:
    """score = exp(sharpness * (cosine - the best one's)): what a softmax makes of cosines."""

    name = "embedding"

    def __init__(self, settings: EmbeddingSettings) -> None:
        self._sharpness = np.float32(settings.sharpness)
        self.model: Model | None = None
        """What serves; may be replaced between two micro-batches."""
        self.pupil: Pupil | None = None
        self.n_forgotten = 0
        """Times that items were forgotten: what was made of indexes before may be of others by now."""
        self._encoded: tuple[Queries, Model, F32] | None = None

    @property
    def version(self) -> str | None:
        """Of what serves."""
        return self.model.version if self.model else None

    def vectors(self, queries: Queries) -> F32:
        """(N, 3, D) of the users; they are worked out once for a micro-batch. D is 0 without a model."""
        if self.model is None:
            return np.zeros((len(queries.user), N_VECTORS, 0), np.float32)
        kept = self._encoded
        if kept is None or kept[0] is not queries or kept[1] is not self.model:
            kept = self._encoded = queries, self.model, self.model.users(queries)
        return kept[2]

    @property
    def items(self) -> F32:
        """(I, D) of the items; none without a model."""
        return self.model.items if self.model else NO_VECTORS

    @property
    def usual(self) -> F32:
        """(2,) as features read them."""
        return self.model.usual if self.model else NOTHING_USUAL

    def update(self, batch: Interactions) -> None:
        """Learn, where a model learns in this process."""
        if self.pupil:
            self.model = self.pupil.update(batch) or self.model

    def candidates(self, queries: Queries, k: int) -> Candidates:
        """The nearest items; what brought them is the user's last item."""
        items, scores, because = empty_lists(len(queries.user), k)
        if self.model is None:
            return Candidates(items, scores, because)
        vectors = np.ascontiguousarray(self.vectors(queries)[:, 0])
        items, cosines = self.model.nearest(vectors, k)
        items[~vectors.any(axis=1)] = -1
        found = items >= 0
        best = np.where(found, cosines, np.float32(-1.0)).max(axis=1, keepdims=True, initial=-1.0)
        scores = np.where(found, np.exp(self._sharpness * (cosines - best)), np.float32(0.0))
        because = np.where(found, queries.history[:, :1], np.int32(-1))
        return Candidates(items, scores.astype(np.float32), because)

    def index(self, item: int, terms: I32) -> None:
        """See ``TextSource``."""
        if self.pupil:
            self.pupil.describe(item, terms)

    def give(self, item: int, vector: Sequence[float] | None) -> None:
        """Take what an encoder says of ``item``, in place of what it said before."""
        if self.pupil:
            self.pupil.give(item, vector)

    def forget(self, items: I32) -> None:
        """Drop all trace of these items."""
        self.n_forgotten += 1
        if self.model:
            self.model.forget(items)
        if self.pupil:
            self.pupil.forget(items)

    @property
    def size_bytes(self) -> int:
        """Of the model that serves."""
        return self.model.size_bytes if self.model else 0
