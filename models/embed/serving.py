"""A version of the embedding model as the retrieval source asks it: users by their past, items by nearness."""

import numpy as np
import torch

from models.embed.exported import Exported
from models.embed.index import made
from models.embed.inference import Inference
from models.embed.model import seeded
from models.embed.sequences import Sequences, of_queries
from models.embed.settings import EmbedSettings
from models.retrieve.contract import F32, I32, Queries


class Serving:
    """It never changes but by ``forget``."""

    def __init__(self, version: str, exported: Exported, settings: EmbedSettings) -> None:
        self.version = version
        self._inference = Inference(exported, settings)
        self._length = settings.length
        self._index = made(settings.dim, len(exported.items), settings.index, self._inference.device)
        self._index.put(exported.items, exported.vectors)
        self._items = np.zeros((int(exported.items.max(initial=-1)) + 1, settings.dim), np.float32)
        self._items[exported.items] = exported.vectors

    @property
    def items(self) -> F32:
        """(I, D) unit vectors by item index, zeros where unknown."""
        return self._items

    @property
    def usual(self) -> F32:
        """(2,) log odds of a purchase and log(1 + seconds) of a stay, before user and item are known."""
        return self._inference.usual

    def users(self, queries: Queries) -> F32:
        """(N, 3, D) unit vectors, and those of the tasks; zeros for users of whom no item is known."""
        vectors = self._inference.users_and_tasks(of_queries(queries, self._length))
        vectors[queries.history[:, 0] < 0] = 0.0
        return vectors

    def nearest(self, users: F32, k: int) -> tuple[I32, F32]:
        """(N, k) items, best first, -1 padded, and their cosines."""
        return self._index.search(users, k)

    def forget(self, items: I32) -> None:
        """These indexes are about to be given to other items."""
        known = items[items < len(self._items)]
        self._items[known] = 0.0
        self._inference.forget(known)
        self._index.remove(known)

    @property
    def size_bytes(self) -> int:
        """Memory held for items: as they came, to read users by, to rank by, to search."""
        return 3 * self._items.nbytes + self._index.size_bytes


def warm_up(settings: EmbedSettings) -> None:
    """Import and compile what the first version would need, so that no user waits for that."""
    n = 5  # the fifth user is scored alone, four are together
    ids, none, nothing = (
        np.arange(n, dtype=np.int32),
        np.zeros(0, np.int32),
        np.zeros((0, settings.dim), np.float32),
    )
    vectors = np.eye(n, settings.dim, dtype=np.float32)
    weights = {name: p.numpy() for name, p in seeded(settings, torch.Generator()).state_dict().items()}
    exported = Exported(ids, vectors, none, nothing, none, nothing, weights)
    serving = Serving("", exported, settings)
    histories = np.zeros((n, settings.length), np.int32)
    unknown = np.full(n, -1, np.int32)
    sequences = Sequences(
        histories, histories.astype(np.float32), histories.astype(np.uint8), unknown, unknown
    )
    serving.nearest(serving._inference.users(sequences), 1)
