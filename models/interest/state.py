"""One user's rolling state: what is kept, how it is laid out, how it is read.

What grows with use lies in columns: the strings in a list, the numbers packed in one ``bytearray``. A state
then decodes in microseconds, and the rows of many users join into one array. Writing is in ``fold``, bytes in
``codec``, the view of the sources in ``queries``.
"""

from collections.abc import Iterator
from math import expm1, nan
from struct import Struct as Layout
from typing import Final, NamedTuple

import numpy as np
from msgspec import Struct, field

from models.interest.settings import InterestSettings
from models.kinds import Kind
from models.retrieve.contract import F64

INTERACTION: Final = Layout("<qQBB2xIfIf4x")
"""time_ms, event hash, line, kind, session hash (0 none), price (NaN unknown), dwell_ms (0 none), weight."""
INTERACTION_DTYPE: Final = np.dtype(
    {
        "names": ["time_ms", "event", "line", "kind", "session", "price", "dwell_ms", "weight"],
        "formats": ["<i8", "<u8", "u1", "u1", "<u4", "<f4", "<u4", "<f4"],
        "offsets": [0, 8, 16, 17, 20, 24, 28, 32],
        "itemsize": INTERACTION.size,
    }
)
EVENT: Final = Layout("<qQI")
"""time_ms, event hash, origin hash."""
AFFINITY: Final = Layout("<dddd")
"""time_ms of the key's last event, then its weight decayed to that time at each of the three half-lives."""


class Recents(Struct, array_like=True):
    """The latest interactions with their item, in the order of (event time, event hash, line)."""

    items: list[str] = field(default_factory=list)
    categories: list[str | None] = field(default_factory=list)
    rows: bytearray = field(default_factory=bytearray)
    """(n,) ``INTERACTION``"""


class Affinity(Struct, array_like=True):
    """Decayed weights of the keys of one family, in the order in which the keys came."""

    keys: list[str] = field(default_factory=list)
    rows: bytearray = field(default_factory=bytearray)
    """(n,) ``AFFINITY``"""


class Mean(Struct, array_like=True):
    """A decayed mean: ``total / weight``, both decayed to ``time_ms``, so that the decay cancels out."""

    time_ms: int = 0
    total: float = 0.0
    weight: float = 0.0


class Search(Struct, array_like=True, frozen=True, order=True):
    """A query as its terms, joined by one space."""

    time_ms: int
    event: int
    text: str


class Platform(Struct, array_like=True, frozen=True, order=True):
    """Where the latest event that said so came from."""

    time_ms: int
    name: str


class State(Struct, array_like=True):
    """One user; every part is bounded by the cap of its name in ``InterestSettings``.

    ``vector`` holds the user vector of the model ``vector_version`` as little-endian float32, None without
    one.
    """

    n_events: int = 0
    n_impressions: int = 0
    latest_ms: int = 0
    stamps: dict[str, int] = field(default_factory=dict)
    """``topic-partition`` to the last offset folded in, least recently advanced first."""
    events: bytearray = field(default_factory=bytearray)
    """(n,) ``EVENT`` in the order of (event time, event hash): what duplicates are recognised by."""
    recents: Recents = field(default_factory=Recents)
    categories: Affinity = field(default_factory=Affinity)
    brands: Affinity = field(default_factory=Affinity)
    bands: Affinity = field(default_factory=Affinity)
    terms: Affinity = field(default_factory=Affinity)
    stores: Affinity = field(default_factory=Affinity)
    bought: dict[str, int] = field(default_factory=dict)
    """Item to the event time of its last purchase."""
    dismissed: dict[str, int] = field(default_factory=dict)
    """Item to the event time of its last dismissal."""
    searches: list[Search] = field(default_factory=list)
    """Oldest first."""
    platform: Platform | None = None
    log_price: Mean = field(default_factory=Mean)
    """Mean of log(1 + price) of what the user looked at, by the weight of the interaction."""
    promoted: Mean = field(default_factory=Mean)
    """Share of bought lines that a promotion was on."""
    vector: bytes | None = None
    vector_version: str | None = None


class Interaction(NamedTuple):
    """One interaction, unpacked for reading."""

    item: str
    category: str | None
    time_ms: int
    event: int
    line: int
    kind: Kind
    session: int
    price: float
    dwell_ms: int
    weight: float


class Traits(NamedTuple):
    """NaN where nothing is known yet."""

    spending: float
    """Price around which the user's interest lies: exp of the decayed mean of log(1 + price), less 1."""
    promotion: float
    """Share of what was bought that a promotion was on, 0 to 1."""
    novelty: float
    """Share of the recent interactions that were the first with their item, 0 to 1."""


def interactions(recents: Recents) -> Iterator[Interaction]:
    """Oldest first."""
    rows = INTERACTION.iter_unpack(recents.rows)
    for item, category, row in zip(recents.items, recents.categories, rows, strict=True):
        time_ms, event, line, kind, session, price, dwell_ms, weight = row
        yield Interaction(item, category, time_ms, event, line, Kind(kind), session, price, dwell_ms, weight)


def decayed(affinity: Affinity, now_ms: float, settings: InterestSettings) -> F64:
    """(n, 3) weights of the keys of ``affinity`` at each half-life, decayed to ``now_ms`` (never grown)."""
    rows = np.frombuffer(affinity.rows, "<f8").reshape(-1, 4)
    age_s = np.maximum(now_ms - rows[:, :1], 0.0) / 1000.0  # (n, 1)
    weights: F64 = rows[:, 1:] * np.exp2(-age_s / np.array(settings.half_lives_s))  # (n, 3)
    return weights


def traits(state: State) -> Traits:
    """Derived when read, so that they do not depend on the order of arrival."""
    n = len(state.recents.items)
    price, promoted = state.log_price, state.promoted
    return Traits(
        spending=expm1(price.total / price.weight) if price.weight else nan,
        promotion=promoted.total / promoted.weight if promoted.weight else nan,
        novelty=len(set(state.recents.items)) / n if n else nan,
    )


def last_query(state: State, time_ms: float, settings: InterestSettings) -> str | None:
    """Terms of the newest query up to ``time_ms``, joined by one space, None when none came just before."""
    for search in reversed(state.searches):
        if search.time_ms <= time_ms:
            return search.text if time_ms - search.time_ms <= settings.query_s * 1000.0 else None
    return None
