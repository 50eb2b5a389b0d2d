"""What the simulated shop sells: a category tree, brands with price levels, names, stock and hidden appeal.

Items are dense indexes sorted by category, so that a category is one block of neighbouring indexes. The
hidden columns (latent vectors, appeal) are the simulation's truth and never leave it. Who likes what is not
decided here."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from models.simulate.settings import SimulateSettings
from models.simulate.words import ADJECTIVES, BRANDS, COLOURS, LEAVES, MODIFIERS, ORIGINS, Leaf

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
I32 = NDArray[np.int32]
Bools = NDArray[np.bool_]

LATENT_DIM: Final = 12
GROUP_SIZE: Final = 10
"""Items of a category fall into groups of about this size whose latent vectors are close."""
SAME_AISLE, SAME_DEPARTMENT, COMPLEMENT = 0.5, 0.3, 0.2
"""Where a shopper turns who leaves a category for a related one."""


@dataclass(slots=True)
class Catalogue:
    """Columns by item (N,), category (C,) and brand (B,). D is the latent dimension."""

    item_ids: list[str]
    titles: list[str]
    queries: list[tuple[str, str, str]]
    """What a shopper types who wants this item: noun, adjective and noun, brand and noun."""
    origins: list[str]
    category_labels: list[str]
    brand_labels: list[str]
    category: I32
    """(N,) ascending."""
    block: I32
    """(C + 1,) category c holds the items block[c] to block[c + 1] - 1."""
    group: I32
    brand: I32
    price: F32
    price_level: F32
    """(N,) log price within the category, in standard deviations."""
    latent: F32
    """(N, D) about unit length, centred on the item's group."""
    appeal: F32
    """(N,) log of the popularity that has nothing to do with anyone's taste."""
    category_latent: F32
    """(C, D)"""
    related: F32
    """(C, C) rows sum to 1."""
    stock: I32
    launch_s: F64
    """(N,) when the item enters the catalogue; 0 from the start, inf for those still to come."""

    @property
    def n_items(self) -> int:
        """Items, those launched later included."""
        return len(self.item_ids)

    @property
    def n_categories(self) -> int:
        """Leaves of the category tree."""
        return len(self.category_labels)

    def features(self) -> F32:
        """(N, D + 2) what linear preferences see: latent vector, price level and its square."""
        level = self.price_level[:, None]
        return np.concatenate([self.latent, level, level**2], axis=1)


def make_catalogue(settings: SimulateSettings, rng: Generator) -> Catalogue:
    """A catalogue drawn from ``rng``; the same generator state gives the same catalogue."""
    leaves = _leaves(settings.n_categories, rng)
    n = settings.n_items
    category = _categories(n, len(leaves), rng)
    block = np.searchsorted(category, np.arange(len(leaves) + 1)).astype(np.int32)
    group, latent = _latents(category, rng)
    brand = rng.integers(0, settings.n_brands, n).astype(np.int32)
    price, price_level = _prices(category, brand, len(leaves), settings.n_brands, rng)
    adjective = _adjectives(latent, rng)
    colour = rng.integers(0, len(COLOURS), n)
    nouns = [leaves[c].noun for c in category.tolist()]
    brands = [BRANDS[b] for b in brand.tolist()]
    adjectives = [ADJECTIVES[a] for a in adjective.tolist()]
    return Catalogue(
        item_ids=[f"i{number:05d}" for number in rng.permutation(n).tolist()],
        titles=[
            f"{b} {a} {noun}, {COLOURS[c]}"
            for b, a, noun, c in zip(brands, adjectives, nouns, colour.tolist(), strict=True)
        ],
        queries=[
            (noun, f"{a} {noun}", f"{b.lower()} {noun}")
            for b, a, noun in zip(brands, adjectives, nouns, strict=True)
        ],
        origins=[ORIGINS[o] for o in rng.integers(0, len(ORIGINS), n).tolist()],
        category_labels=[f"{leaf.department}/{leaf.aisle}/{leaf.name}" for leaf in leaves],
        brand_labels=[b.lower() for b in BRANDS[: settings.n_brands]],
        category=category,
        block=block,
        group=group,
        brand=brand,
        price=price,
        price_level=price_level,
        latent=latent,
        appeal=rng.normal(0.0, 0.9, n).astype(np.float32),
        category_latent=_category_latents(leaves, rng),
        related=_related(leaves, rng),
        stock=rng.poisson(settings.stock, n).astype(np.int32) + 1,
        launch_s=_launches(n, settings.new_item_share, rng),
    )


def _leaves(n: int, rng: Generator) -> list[Leaf]:
    """The first leaves are plain nouns in shuffled order, further ones carry a modifier."""
    every = [
        leaf if not word else leaf._replace(name=f"{word}-{leaf.name}", noun=f"{word} {leaf.noun}")
        for word in MODIFIERS
        for leaf in LEAVES
    ]
    plain = rng.permutation(len(LEAVES)).tolist()
    return [every[i] for i in [*plain, *range(len(LEAVES), len(every))][:n]]


def _categories(n: int, n_categories: int, rng: Generator) -> I32:
    """Uneven sizes, none below 2."""
    weight = rng.lognormal(0.0, 0.5, n_categories)
    drawn = rng.choice(n_categories, n - 2 * n_categories, p=weight / weight.sum())
    return np.sort(np.concatenate([np.repeat(np.arange(n_categories), 2), drawn])).astype(np.int32)


def _latents(category: I32, rng: Generator) -> tuple[I32, F32]:
    """Groups of about ``GROUP_SIZE`` items in a category, each around its own direction."""
    sizes = np.bincount(category)
    groups_of = np.maximum(1, sizes // GROUP_SIZE)
    first = np.concatenate([[0], np.cumsum(groups_of)[:-1]])
    group = first[category] + (rng.random(len(category)) * groups_of[category]).astype(np.int64)
    centre = _unit(rng.normal(size=(int(groups_of.sum()), LATENT_DIM)))
    noise = rng.normal(size=(len(category), LATENT_DIM)) * (0.4 / np.sqrt(LATENT_DIM))
    return group.astype(np.int32), (centre[group] + noise).astype(np.float32)


def _prices(category: I32, brand: I32, n_categories: int, n_brands: int, rng: Generator) -> tuple[F32, F32]:
    """Log-normal in the category, shifted by the level of the brand; and the standardised log price."""
    typical = rng.normal(3.2, 0.9, n_categories)
    brand_level = rng.normal(0.0, 0.35, n_brands)
    offset = brand_level[brand] + rng.normal(0.0, 0.4, len(category))
    price = np.round(np.exp(typical[category] + offset), 2)
    return price.astype(np.float32), (offset / np.hypot(0.35, 0.4)).astype(np.float32)


def _adjectives(latent: F32, rng: Generator) -> I32:
    """Each adjective stands for a direction, so that words tell something of the latent vector."""
    directions = _unit(rng.normal(size=(len(ADJECTIVES), LATENT_DIM)))
    nearest: I32 = np.argmax(latent @ directions.T, axis=1).astype(np.int32)
    return nearest


def _category_latents(leaves: list[Leaf], rng: Generator) -> F32:
    """Near each other in one department, nearer in one aisle."""
    centre: dict[str, F64] = {}
    for leaf in leaves:
        for name in (leaf.department, leaf.department + leaf.aisle):
            centre.setdefault(name, rng.normal(size=LATENT_DIM))
    own = rng.normal(size=(len(leaves), LATENT_DIM))
    mixed = [
        centre[leaf.department] + 0.7 * centre[leaf.department + leaf.aisle] + 0.7 * own[i]
        for i, leaf in enumerate(leaves)
    ]
    return _unit(np.array(mixed)).astype(np.float32)


def _related(leaves: list[Leaf], rng: Generator) -> F32:
    """Where a shopper turns from each category: same aisle, same department, one fixed complement."""
    n = len(leaves)
    out = np.zeros((n, n))
    for i, leaf in enumerate(leaves):
        aisle = [j for j in range(n) if j != i and leaves[j][:2] == leaf[:2]]
        department = [j for j in range(n) if j != i and leaves[j].department == leaf.department]
        complement = [int((i + rng.integers(1, n)) % n)]
        for share, members in ((SAME_AISLE, aisle), (SAME_DEPARTMENT, department), (COMPLEMENT, complement)):
            out[i, members] += share / max(1, len(members))
    return np.asarray(out / out.sum(axis=1, keepdims=True), np.float32)


def _launches(n: int, share: float, rng: Generator) -> F64:
    launch_s = np.zeros(n)
    launch_s[rng.permutation(n)[: int(n * share)]] = np.inf
    return launch_s


def _unit(rows: F64) -> F64:
    return np.asarray(rows / np.linalg.norm(rows, axis=-1, keepdims=True))
