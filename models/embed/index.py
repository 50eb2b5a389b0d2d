"""Items nearest to users by inner product of unit vectors: every item, or a graph of neighbours above a size.

Not thread safe: one caller at a time. What may not be shown (seen, not available) is the caller's to leave out:
ask for as many more.
"""

from typing import TYPE_CHECKING, Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from models.embed.quantise import I64, PANEL, Panels, Precision, of_fixed_scale, score_four, score_one
from models.embed.settings import IndexSettings
from models.retrieve.compiled import compiled
from models.retrieve.contract import F32, I32
from models.retrieve.top_k import empty_lists

if TYPE_CHECKING:
    from torch import Tensor

USERS: Final = 128
"""Users whose scores are kept at a time: with more, what is found so far leaves the cache."""
BLOCK: Final = 1 << 17
"""Items scored at a time on a GPU: 128 MiB of keys for 128 users."""
LAST: Final = np.int32(0x7FFFFFFF)
UNIT: Final = 1.001


class Index(Protocol):
    """Items by index, each with a unit vector of D components."""

    def search(self, vectors: F32, k: int) -> tuple[I32, F32]:
        """(N, k) items best first, -1 padded, and (N, k) inner products with ``vectors`` (N, D), 0 where padded.

        Ties by the lower index where the search is exact. Raises ValueError for what is not finite.
        """

    def put(self, items: I32, vectors: F32) -> None:
        """Add ``items`` (n,) with ``vectors`` (n, D), or replace theirs; of an item named twice the last holds.

        Raises ValueError, and changes nothing, for a vector that is not finite or longer than one, or an item
        below 0.
        """

    def remove(self, items: I32) -> None:
        """Drop ``items``; unknown ones are passed over."""

    def compacted(self) -> "Index":
        """Itself, or without what removed items still take where that is more than half of it. May take minutes."""

    def __len__(self) -> int: ...

    @property
    def size_bytes(self) -> int:
        """Memory held, for the gauge."""


def made(dimension: int, n_items: int, settings: IndexSettings, device: str = "cpu") -> Index:
    """An empty index with room for about ``n_items``; it may take more.

    On a GPU (``device`` as in torch) it is exact for any number.
    """
    if device != "cpu":
        return ExactTorch(dimension, device, half=settings.precision != "f32")
    if settings.layout == "exact" or (settings.layout == "auto" and n_items <= settings.exact_up_to):
        return Exact(dimension, settings.precision, n_items)
    return Hnsw(dimension, settings)


class Exact:
    """Scores every item on one thread, without a BLAS, whose threads wake on cores that other workers need.

    Every panel of 512 items is scored for all users while it is in the cache, and what beats a user's k-th best
    so far is set aside. Memory is bounded by the items put, and 4 bytes for each index up to the highest.
    """

    def __init__(self, dimension: int, precision: Precision = "f32", n_items: int = 0) -> None:
        self._panels = Panels(dimension, precision)
        self._panels.reserve(n_items)
        self._rows = Rows()

    def search(self, vectors: F32, k: int) -> tuple[I32, F32]:
        """See ``Index``."""
        _refuse_users(vectors, self._panels.dimension)
        items, scores, _ = empty_lists(len(vectors), k)
        width = min(k, len(self))
        if width == 0:
            return items, scores
        queries = np.zeros((len(vectors), self._panels.values.shape[1]), np.float32)
        queries[:, : vectors.shape[1]] = vectors
        for n in range(0, len(vectors), USERS):
            some = slice(n, n + USERS)
            found = _best(
                self._panels.values, self._panels.scale, self._rows.items, len(self), queries[some], width
            )
            items[some, :width], scores[some, :width] = found
        return items, scores

    def put(self, items: I32, vectors: F32) -> None:
        """See ``Index``."""
        items, vectors = _distinct(items, vectors, self._panels.dimension)
        rows = self._rows.take(items)
        self._panels.reserve(len(self))
        self._panels.write(rows, vectors)

    def remove(self, items: I32) -> None:
        """See ``Index``."""
        self._panels.move(*self._rows.drop(items))

    def compacted(self) -> "Exact":
        """See ``Index``."""
        if 2 * len(self) < PANEL * len(self._panels.values):
            self._panels.shrink(len(self))
        return self

    def __len__(self) -> int:
        return self._rows.n

    @property
    def size_bytes(self) -> int:
        """See ``Index``."""
        return self._panels.size_bytes + self._rows.size_bytes


class ExactTorch:
    """Scores every item by matrix products of torch: what a GPU is for. Same answers as ``Exact``."""

    def __init__(self, dimension: int, device: str, half: bool = False, block: int = BLOCK) -> None:
        import torch

        self._torch, self._block = torch, block
        kind = torch.float16 if half else torch.float32
        self._table = torch.zeros((0, dimension), dtype=kind, device=device)
        self._items = torch.zeros(0, dtype=torch.int64, device=device)
        self._rows = Rows()

    def search(self, vectors: F32, k: int) -> tuple[I32, F32]:
        """See ``Index``."""
        _refuse_users(vectors, self._table.shape[1])
        items, scores, _ = empty_lists(len(vectors), k)
        width = min(k, len(self))
        if width == 0:
            return items, scores
        for n in range(0, len(vectors), USERS):
            some = slice(n, n + USERS)
            keys = (
                self._best(self._torch.tensor(vectors[some], device=self._table.device), width).cpu().numpy()
            )
            items[some, :width] = LAST - (keys & LAST)
            scores[some, :width] = _of_order((keys >> 32).astype(np.int32)).view(np.float32)
        return items, scores

    def put(self, items: I32, vectors: F32) -> None:
        """See ``Index``."""
        items, vectors = _distinct(items, vectors, self._table.shape[1])
        rows = self._on(self._rows.take(items))
        if len(self) > len(self._table):
            self._resize(max(len(self), len(self._table) * 5 // 4))
        self._table[rows] = self._on(vectors).to(self._table.dtype)
        self._items[rows] = self._on(items.astype(np.int64))

    def remove(self, items: I32) -> None:
        """See ``Index``."""
        sources, targets = map(self._on, self._rows.drop(items))
        self._table[targets], self._items[targets] = self._table[sources], self._items[sources]

    def compacted(self) -> "ExactTorch":
        """See ``Index``."""
        if 2 * len(self) < len(self._table):
            self._resize(len(self))
        return self

    def __len__(self) -> int:
        return self._rows.n

    @property
    def size_bytes(self) -> int:
        """See ``Index``."""
        return self._table.nbytes + self._items.nbytes + self._rows.size_bytes

    def _best(self, queries: "Tensor", k: int) -> "Tensor":
        torch = self._torch
        best: Tensor = torch.zeros((len(queries), 0), dtype=torch.int64, device=queries.device)
        for start in range(0, len(self), self._block):
            stop = min(start + self._block, len(self))
            scores = queries @ self._table[start:stop].float().T  # (N, D) @ (D, I) -> (N, I)
            bits = (scores + 0.0).view(torch.int32)
            keys = ((bits ^ ((bits >> 31) & int(LAST))).long() << 32) + (int(LAST) - self._items[start:stop])
            keys = torch.cat([best, keys], dim=1)
            best = torch.topk(keys, min(k, keys.shape[1]), dim=1).values
        return best

    def _on(self, array: NDArray[np.generic]) -> "Tensor":
        return self._torch.tensor(array, device=self._table.device)

    def _resize(self, n: int) -> None:
        kept = min(n, len(self._table))
        table = self._table.new_zeros((n, self._table.shape[1]))
        items = self._items.new_zeros(n)
        table[:kept], items[:kept] = self._table[:kept], self._items[:kept]
        self._table, self._items = table, items


class Hnsw:
    """Hierarchical navigable small worlds (Malkov and Yashunin, IEEE TPAMI 2020), kept by usearch.

    A removed item stays in the graph as a way to others and is never answered; the next one added takes its place,
    so memory is that of the most items held at once. Searches pass what is removed: ``compacted`` links afresh.
    After a removal or a replacement the next ``put`` sorts the library's table of keys, some 20 ns for each item
    held: put many at a time.
    """

    def __init__(self, dimension: int, settings: IndexSettings) -> None:
        self._dimension, self._settings = dimension, settings
        self._graph = self._empty()
        self._held: NDArray[np.bool_] = np.zeros(0, np.bool_)
        self._n = self._most = 0

    def search(self, vectors: F32, k: int) -> tuple[I32, F32]:
        """See ``Index``; approximate, ties in any order."""
        _refuse_users(vectors, self._dimension)
        items, scores, _ = empty_lists(len(vectors), k)
        width = min(k, self._n)
        if width == 0 or len(vectors) == 0:
            return items, scores
        queries, unit = self._kept(vectors)
        found = self._graph.search(queries, width, threads=self._settings.threads)
        keys = np.atleast_2d(found.keys)
        # Of one user the library answers without padding, of several with a count of each.
        counts = found.counts if len(vectors) > 1 else [keys.shape[1]]
        there = np.arange(keys.shape[1]) < np.reshape(counts, (-1, 1))
        items[:, : keys.shape[1]][there] = keys[there]
        scores[:, : keys.shape[1]][there] = (1.0 - np.atleast_2d(found.distances)[there]) * unit
        return items, scores

    def put(self, items: I32, vectors: F32) -> None:
        """See ``Index``."""
        items, vectors = _distinct(items, vectors, self._dimension)
        self.remove(items)
        self._reach(items)
        self._graph.add(items.astype(np.uint64), self._kept(vectors)[0], threads=self._settings.threads)
        self._held[items] = True
        self._n += len(items)
        self._most = max(self._most, self._n)

    def remove(self, items: I32) -> None:
        """See ``Index``."""
        items = np.unique(items)
        known = items[(items >= 0) & (items < len(self._held))]
        known = known[self._held[known]]
        if len(known):
            self._graph.remove(known.astype(np.uint64), threads=self._settings.threads)
        self._held[known] = False
        self._n -= len(known)

    def compacted(self) -> "Hnsw":
        """See ``Index``; itself is left as it was, and may be searched on meanwhile by another thread."""
        if 2 * self._n >= self._most:
            return self
        fresh = Hnsw(self._dimension, self._settings)
        held = np.flatnonzero(self._held)
        fresh._reach(held)
        if len(held):
            keys = held.astype(np.uint64)
            fresh._graph.add(keys, np.stack(self._graph.get(keys)), threads=self._settings.threads)
        fresh._held[held] = True
        fresh._n = fresh._most = self._n
        return fresh

    def __len__(self) -> int:
        return self._n

    @property
    def size_bytes(self) -> int:
        """See ``Index``; of the graph as the library counts it."""
        return int(self._graph.memory_usage) + self._held.nbytes

    def _empty(self) -> Any:  # untyped in part
        from usearch.index import Index as Graph

        settings = self._settings
        return Graph(
            ndim=self._dimension,
            metric="ip",
            dtype=settings.precision,
            connectivity=settings.connectivity,
            expansion_add=settings.expansion_add,
            expansion_search=settings.expansion_search,
        )

    def _kept(self, vectors: F32) -> tuple[NDArray[Any], float]:
        """What the graph is given, and the unit of its products."""
        if self._settings.precision != "i8":
            return np.ascontiguousarray(vectors, np.float32), 1.0
        values, step = of_fixed_scale(vectors)
        return values, step * step

    def _reach(self, items: NDArray[np.integer]) -> None:
        if len(items) and (need := int(items.max()) + 1) > len(self._held):
            more = max(need, len(self._held) * 5 // 4) - len(self._held)
            self._held = np.concatenate([self._held, np.zeros(more, np.bool_)])


class Rows:
    """Which row of a table is which item's; rows 0 to n - 1 are taken, without gaps."""

    def __init__(self) -> None:
        self.n = 0
        self.items: I32 = np.full(0, -1, np.int32)
        """(capacity,) the item of each row."""
        self._row: I32 = np.full(0, -1, np.int32)

    def take(self, items: I32) -> I64:
        """(n,) the rows of distinct ``items``, new ones behind the others."""
        if len(items):
            self._row = _longer(self._row, int(items.max()) + 1)
        new = items[self._row[items] < 0]
        stop = self.n + len(new)
        self.items = _longer(self.items, stop)
        self.items[self.n : stop] = new
        self._row[new] = np.arange(self.n, stop)
        self.n = stop
        return self._row[items].astype(np.int64)

    def drop(self, items: I32) -> tuple[I64, I64]:
        """Free the rows of ``items``: the rows (m,) to be moved, and the rows (m,) they are moved to."""
        items = items[(items >= 0) & (items < len(self._row))]
        gone = np.unique(self._row[items])
        gone = gone[gone >= 0]
        stop = self.n - len(gone)
        targets = gone[gone < stop]
        sources = np.setdiff1d(np.arange(stop, self.n), gone)
        self._row[self.items[gone]] = -1
        self.items[targets] = self.items[sources]
        self._row[self.items[targets]] = targets
        self.items[stop : self.n] = -1
        self.n = stop
        return sources.astype(np.int64), targets.astype(np.int64)

    @property
    def size_bytes(self) -> int:
        """Memory held."""
        return self.items.nbytes + self._row.nbytes


def _longer(array: I32, n: int) -> I32:
    if n <= len(array):
        return array
    more = max(n, len(array) * 5 // 4) - len(array)
    return np.concatenate([array, np.full(more, -1, np.int32)])


def _refuse_users(vectors: F32, dimension: int) -> None:
    _refuse_shape(vectors, dimension)
    if not np.isfinite(vectors).all():
        row = int(np.flatnonzero(~np.isfinite(vectors).all(axis=1))[0])
        raise ValueError(f"vector {row} of the users has a component that is not finite")


def _distinct(items: I32, vectors: F32, dimension: int) -> tuple[I32, F32]:
    """What is to be put, checked, each item once with its last vector."""
    _refuse_shape(vectors, dimension)
    if items.shape != vectors.shape[:1]:
        raise ValueError(f"{len(items)} items with {len(vectors)} vectors")
    if len(items) == 0:
        return items, vectors
    if items.min() < 0:
        raise ValueError(f"item {items.min()} is no index, they begin at 0")
    if not np.abs(vectors).max(initial=0.0) <= UNIT:
        row = int(np.flatnonzero(~(np.abs(vectors).max(axis=1) <= UNIT))[0])
        raise ValueError(f"the vector of item {items[row]} is not finite or longer than one: {vectors[row]}")
    _, first = np.unique(items[::-1], return_index=True)
    last = len(items) - 1 - first
    return (items, vectors) if len(last) == len(items) else (items[last], vectors[last])


def _refuse_shape(vectors: F32, dimension: int) -> None:
    if vectors.ndim != 2 or vectors.shape[1] != dimension:
        raise ValueError(f"vectors are {vectors.shape}, this index wants (n, {dimension})")


@compiled
def _of_order(bits: I32) -> I32:
    """Bits of floats as integers of the same order, and back again."""
    ordered: I32 = bits ^ ((bits >> np.int32(31)) & LAST)
    return ordered


@compiled
def _best(
    values: NDArray[np.generic], scale: F32, items: I32, n: int, queries: F32, k: int
) -> tuple[I32, F32]:
    """(N, k) the best of the first ``n`` rows, k at most n.

    A row is one number: its score above, its item below, so that no two are equal and ties are decided. Those at
    or above the floor are set aside; when a user's place for them is full, the best k stay and the k-th is the floor.
    """
    n_users = queries.shape[0]
    room = 2 * k + 64
    keys = np.empty((n_users, room + PANEL + 1), np.int64)
    size = np.zeros(n_users, np.int64)
    floor = np.full(n_users, -LAST - 1, np.int32)
    scores = np.empty((4, PANEL), np.float32)
    bits = scores.view(np.int32)
    for p in range(-(-n // PANEL)):
        of_panel = items[p * PANEL : min(n, (p + 1) * PANEL)]
        for u in range(0, n_users, 4):
            group = min(4, n_users - u)
            if group == 4:
                score_four(values[p], scale[p], queries[u : u + 4], scores)
            for g in range(group):
                user = u + g
                if group < 4:
                    score_one(values[p], scale[p], queries[user], scores[g])
                size[user] = _set_aside(bits[g], of_panel, floor[user], keys[user], size[user])
                if size[user] >= room:
                    _select(keys[user], size[user], k)
                    size[user] = k
                    floor[user] = np.int32(keys[user, k - 1] >> 32)
    return _listed(keys, size, k)


@compiled
def _set_aside(bits: I32, items: I32, floor: int, keys: I64, size: int) -> int:
    """Append the keys of scores at or above the floor, returns how many there are now."""
    blocks = bits.reshape(-1, 32)
    for c in range(-(-items.shape[0] // 32)):
        block = blocks[c]
        if floor >= 0:
            # Bits of floats above 0 are in their order, those below are negative.
            highest = block[0]
            for j in range(32):
                highest = max(highest, block[j])
            if highest < floor:
                continue
        of_block = items[32 * c : 32 * c + 32]
        for j in range(of_block.shape[0]):
            order = block[j] ^ ((block[j] >> np.int32(31)) & LAST)
            keys[size] = (np.int64(order) << 32) | np.int64(LAST - of_block[j])
            size += order >= floor
    return size


@compiled
def _select(keys: I64, n: int, k: int) -> None:
    """Bring the k largest of the first n to the front, the least of them at k - 1 (Hoare's Find, 1961)."""
    low, high = 0, n - 1
    while low < high:
        first, middle, last = keys[low], keys[(low + high) >> 1], keys[high]
        pivot = max(min(first, middle), min(max(first, middle), last))
        i, j = low, high
        while i <= j:
            while keys[i] > pivot:
                i += 1
            while keys[j] < pivot:
                j -= 1
            if i <= j:
                keys[i], keys[j] = keys[j], keys[i]
                i += 1
                j -= 1
        if k - 1 <= j:
            high = j
        elif k - 1 >= i:
            low = i
        else:
            return


@compiled
def _listed(keys: I64, size: I64, k: int) -> tuple[I32, F32]:
    best = np.empty((keys.shape[0], k), np.int32)
    orders = np.empty((keys.shape[0], k), np.int32)
    for user in range(keys.shape[0]):
        _select(keys[user], size[user], k)
        ascending = np.sort(keys[user, :k])
        for i in range(k):
            key = ascending[k - 1 - i]
            orders[user, i] = np.int32(key >> 32)
            best[user, i] = LAST - np.int32(key & np.int64(LAST))
    return best, _of_order(orders).view(np.float32)
