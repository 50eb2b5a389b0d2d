"""Who the value of a ranking is shared among: sources of data, or signals made of them, and the features they bring."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from models.rank.features import feature_names
from models.retrieve.contract import I32, U8


class Game(NamedTuple):
    """At most eight players: its cost doubles with each."""

    name: str
    players: Mapping[str, str]
    """What each is, in words."""
    needs: Mapping[str, tuple[str, ...]]
    """By recommendation source or feature, all players that it takes. What is not named takes none: it is of the
    moment.
    """

    def takes(self, name: str) -> set[str]:
        """All players that a feature takes: a source's product with another feature takes those of both."""
        return {player for part in name.split(".") for player in self.needs.get(part, ())}

    @property
    def everyone(self) -> int:
        """The coalition of all."""
        return (1 << len(self.players)) - 1


_HISTORY: Final = (
    "in_session",
    "current",
    "again",
    "again_late",
    "in_history",
    "history_age",
    "history_times",
)
_COUNTS: Final = ("popularity", "popularity_now", "trend")
_LIKENESS: Final = ("category", "brand", "same_category", "same_brand")
_PRICES: Final = ("price_gap", "price_above", "price_step")
_MODEL: Final = ("embedding", "embedded", "purchase", "dwell")


def _all(names: Iterable[str], *players: str) -> dict[str, tuple[str, ...]]:
    return dict.fromkeys(names, players)


SOURCES: Final = Game(
    "source",
    {
        "browse": "what shoppers look at, click and put into carts, in sessions and histories",
        "search": "what they search for",
        "purchase": "what they buy, and buy again",
        "feedback": "what they dismiss",
        "attributes": "categories, brands and prices",
        "text": "words of items",
        "promotions": "prices that are reduced for a while",
    },
    {
        **_all(["session_knn", "covisitation", "trending", "cold_start", "recent", "embedding"], "browse"),
        **_all([*_HISTORY, *_COUNTS, *_MODEL], "browse"),
        **_all([*_LIKENESS, *_PRICES], "browse", "attributes"),
        "content": ("browse", "text"),
        "search": ("search",),
        "rebought": ("purchase",),
        "purchase": ("browse", "purchase"),
        "near_dismissed": ("feedback", "attributes"),
        "discount": ("promotions",),
    },
)
SIGNALS: Final = Game(
    "signal",
    {
        "neighbours": "sessions alike",
        "covisitation": "items looked at together",
        "popularity": "what many look at, now and of late",
        "history": "the shopper's own past",
        "search": "what was searched for",
        "likeness": "category, brand and words",
        "price": "prices and promotions",
        "model": "the embedding model",
    },
    {
        "session_knn": ("neighbours",),
        "covisitation": ("covisitation",),
        **_all(["trending", "cold_start", *_COUNTS], "popularity"),
        **_all(["recent", "rebought", *_HISTORY], "history"),
        "search": ("search",),
        **_all(["content", "near_dismissed", *_LIKENESS], "likeness"),
        **_all([*_PRICES, "discount"], "price"),
        **_all(_MODEL, "model"),
    },
)
GAMES: Final = {game.name: game for game in (SOURCES, SIGNALS)}
CARRIED: Final = ("browse", "search", "purchase", "feedback", "attributes")
"""Sources that events carry; words and promotions come with the catalogue."""
SHADOWS: Final = Game("shadow", {name: SOURCES.players[name] for name in CARRIED}, {})
"""Sources that shadow learners do without. Nothing is shared: each alone is left out of all learning."""
TOLD: Final = {**GAMES, SHADOWS.name: SHADOWS}
"""What reports are of."""


def fed(game: Game, present: Collection[str]) -> Game:
    """As it is where the sources ``present`` are: without a look, what is made of interactions is made of orders."""
    if game is not SOURCES or "browse" in present or "purchase" not in present:
        return game
    needs = {
        name: tuple(dict.fromkeys("purchase" if player == "browse" else player for player in players))
        for name, players in game.needs.items()
    }
    return game._replace(needs=needs)


AGREEMENT: Final = "agreement"
"""Is made of what sources say, and follows from those that may speak."""


class Layout(NamedTuple):
    """How F columns of S recommendation sources fall into B blocks that come and go together, among P players."""

    block: I32
    """(F,) block of each column."""
    needs: U8
    """(B,) players that a block takes, one bit each."""
    named: I32
    """(S,) column that says whether a recommendation source names the item."""
    agreement: int
    """Its column."""


def layout_of(game: Game, recommenders: Sequence[str]) -> Layout:
    """Of the features over recommendation sources ``recommenders`` (S,)."""
    names, bits = feature_names(recommenders), {player: 1 << i for i, player in enumerate(game.players)}
    masks = [sum(bits[player] for player in game.takes(name)) for name in names]
    needs, block = np.unique(masks, return_inverse=True)
    named = [names.index(f"{recommender}.named") for recommender in recommenders]
    return Layout(
        cast(I32, block.astype(np.int32)),
        needs.astype(np.uint8),
        np.array(named, np.int32),
        names.index(AGREEMENT),
    )


def open_blocks(game: Game, layout: Layout) -> NDArray[np.bool_]:
    """(2^P, B) whether each coalition opens each block."""
    coalitions = np.arange(1 << len(game.players))[:, None]
    return np.asarray((coalitions & layout.needs) == layout.needs, np.bool_)
