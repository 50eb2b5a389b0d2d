"""What simulated shoppers did, before it becomes bytes: one row an event, in a structured array."""

from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from models.kinds import Kind

Acts = NDArray[np.void]

ACT: Final = np.dtype(
    [
        ("t_s", np.float64),
        ("kind", np.uint8),
        ("user", np.int32),
        ("item", np.int32),
        ("session", np.int64),
        ("amount", np.int32),
        ("price", np.float32),
        ("position", np.int16),
        ("oracle", np.int8),
        ("note", np.object_),
    ]
)
"""Row of an event: the shop's time; ``models.kinds.Kind``; indexes of shopper and item (-1 none); number of
the session; ``amount`` is dwell in ms (0 none), quantity or rating in percent; ``price`` of one piece, after
discount; ``position`` in the slate (-1 none); ``oracle`` is 1 for a hit, 0 for a miss, -1 when it was not
asked; ``note`` is the slate id, the query, (slate id, item ids) of an impression or the ``Bought`` of a
purchase."""


class Bought(NamedTuple):
    """The lines of a purchase, as lists."""

    items: list[int]
    quantities: list[int]
    prices: list[float]
    promotion_ids: list[str | None]


def make_acts(
    t_s: ArrayLike,
    kind: Kind,
    user: ArrayLike,
    session: ArrayLike,
    *,
    item: ArrayLike = -1,
    amount: ArrayLike = 0,
    price: ArrayLike = 0.0,
    position: ArrayLike = -1,
    oracle: ArrayLike = -1,
    notes: list[Any] | None = None,
) -> Acts:
    """Rows of one kind; single values are repeated."""
    t = np.asarray(t_s, np.float64)
    out = np.empty(len(t), ACT)
    out["t_s"], out["kind"], out["user"], out["session"] = t, int(kind), user, session
    out["item"], out["amount"], out["price"] = item, amount, price
    out["position"], out["oracle"] = position, oracle
    if notes is not None:
        for i, note in enumerate(notes):
            out["note"][i] = note
    else:
        out["note"] = None
    return out
