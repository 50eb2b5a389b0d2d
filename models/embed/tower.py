"""The item tower: what an item is made of. An item never seen before is still made of what the catalogue says."""

from collections.abc import Iterator
from math import log, sqrt
from typing import Final, NamedTuple, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.embed.given import GivenVectors
from models.embed.settings import EmbedSettings
from models.embed.table import NONE, Arrays, DynamicTable, Gathered
from models.knowledge.attributes import Attributes
from models.retrieve.contract import F32, I32

BANDS_PER_DOUBLING: Final = 2
MAX_BAND: Final = 63
ATTRIBUTE_SPREAD: Final = 0.5
"""First deviation of what attributes add, as a share of that of an item's own row."""


class Parts(NamedTuple):
    """What U items are made of."""

    given: Tensor
    """(U, G) vectors given of them, zeros where there is none."""
    own: Gathered
    """(U,) the item's own row."""
    category: Gathered
    brand: Gathered
    band: Gathered
    term: Gathered
    """(U, T) T is the most words of any of them."""

    @property
    def gathered(self) -> tuple[Gathered, ...]:
        """All that is rows of tables, in the order of the tables."""
        return self.own, self.category, self.brand, self.band, self.term


class Tower:
    """Tables of items, categories, brands, price bands and words, and what vectors were given; attributes are read
    where they live, by item."""

    def __init__(
        self,
        settings: EmbedSettings,
        n_items: int,
        attributes: Attributes,
        rng: np.random.Generator,
        device: str,
    ) -> None:
        spread = 1.0 / sqrt(settings.dim)
        max_rows = min(settings.max_rows, n_items)

        def table(max_rows: int, min_count: int, share: float) -> DynamicTable:
            return DynamicTable(settings.dim, max_rows, min_count, share * spread, rng, device)

        self._attributes, self._device = attributes, device
        self.given = GivenVectors(settings.given_dim, n_items)
        self._n_described = 0
        self._terms = np.full((n_items, settings.n_terms), -1, np.int32)
        self.items = table(max_rows, settings.min_count, 1.0)
        self._sides = {
            name: table(settings.max_rows, 1, ATTRIBUTE_SPREAD)
            for name in ("categories", "brands", "bands", "terms")
        }

    @property
    def tables(self) -> dict[str, DynamicTable]:
        """By name: ``items``, ``categories``, ``brands``, ``bands``, ``terms``."""
        return {"items": self.items, **self._sides}

    def describe(self, item: int, terms: I32) -> None:
        """Take ``terms`` (t,), indexes in the token vocabulary, as the words of ``item``, in place of earlier ones."""
        self._n_described += 1
        kept = terms[: self._terms.shape[1]]
        self._terms[item] = -1
        self._terms[item, : len(kept)] = kept

    @property
    def n_changes(self) -> int:
        """Rows there are and descriptions that came: how many more items may be known than when it was less."""
        return sum(map(len, self.tables.values())) + self._n_described

    def see(self, items: I32) -> None:
        """Items (n,) were interacted with: they and what they have in common with others may now be learned."""
        items = items[items >= 0]
        self.items.see(items)
        for table, indexes in zip(self._sides.values(), self._indexes(np.unique(items)), strict=True):
            table.see(cast(I32, np.unique(indexes)))

    def gather(self, items: I32) -> Parts:
        """What ``items`` (U,) are made of, to learn."""
        sides = zip(self._sides.values(), self._indexes(items), strict=True)
        given = torch.from_numpy(self.given.gather(items)).to(self._device)
        return Parts(given, self.items.gather(items), *(table.gather(indexes) for table, indexes in sides))

    def knows(self, items: I32) -> NDArray[np.bool_]:
        """(n,) whether a vector can be made of each of ``items``."""
        known: NDArray[np.bool_] = (self.items.rows(items) != NONE) | self.given.has(items)
        for table, indexes in zip(self._sides.values(), self._indexes(items), strict=True):
            rows = table.rows(indexes) != NONE
            known |= rows.any(axis=1) if rows.ndim == 2 else rows
        return known

    def known(self) -> I32:
        """Items of which a vector can be made, ascending."""
        return cast(
            I32, np.flatnonzero(self.knows(np.arange(len(self._terms), dtype=np.int32))).astype(np.int32)
        )

    def forget(self, items: I32) -> None:
        """These items' indexes are about to be given to others."""
        self.items.forget(items)
        self.given.forget(items)
        self._terms[items] = -1

    def state(self) -> Arrays:
        """State of all tables, with the table's name before each."""
        return {f"{table}.{name}": a for table, t in self.tables.items() for name, a in t.state().items()}

    def load(self, state: Arrays) -> None:
        """Go on from ``state``."""
        for name, table in self.tables.items():
            mine = name + "."
            table.load({key.removeprefix(mine): a for key, a in state.items() if key.startswith(mine)})

    @property
    def size_bytes(self) -> int:
        """Memory held."""
        of_tables = sum(table.size_bytes for table in self.tables.values())
        return self._terms.nbytes + self.given.size_bytes + of_tables

    def _indexes(self, items: I32) -> Iterator[I32]:
        """Categories, brands, bands (U,) and words (U, T) of the items, -1 for none."""
        yield self._attributes.category[items]
        yield self._attributes.brand[items]
        yield bands(self._attributes.log_price[items])
        terms = self._terms[items]
        yield terms[:, : max(int((terms >= 0).sum(axis=1).max(initial=0)), 1)]


def bands(log_price: F32) -> I32:
    """(n,) price bands, two for each doubling of 1 + price, of log(1 + price); -1 where that is NaN."""
    with np.errstate(invalid="ignore"):
        band = np.clip(log_price * (BANDS_PER_DOUBLING / log(2.0)), 0.0, MAX_BAND).astype(np.int32)
    return cast(I32, np.where(np.isnan(log_price), -1, band))
