"""The listwise scorer without what one player brings: the challenger of a feature selection.

Named ``without-<game>-<player>``, so that every worker can make it from the name alone. It reads none of the player's
columns, neither to learn nor to serve; how many recommendation sources agree is counted over all of them.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np

from models.learn.estimator import Parameters
from models.learn.groups import Groups
from models.learn.listwise import Listwise
from models.retrieve.contract import F32
from models.value.games import GAMES

PREFIX: Final = "without-"


def name_of(game: str, player: str) -> str:
    """Of the scorer that does without."""
    return f"{PREFIX}{game}-{player}"


def columns_kept(name: str, features: Sequence[str]) -> F32 | None:
    """(F,) 1 for each feature that the scorer of this name reads, else 0; None where it is none of these scorers."""
    game_name, _, player = name.removeprefix(PREFIX).partition("-")
    game = GAMES.get(game_name)
    if not name.startswith(PREFIX) or game is None or player not in game.players:
        return None
    lost = [player in game.takes(feature) for feature in features]
    return np.where(lost, np.float32(0.0), np.float32(1.0))


class Without:
    """See ``Estimator``; ``kept`` (F,) is of ``columns_kept``, ``first`` (F,) what all scorers start from."""

    samples = False

    def __init__(self, name: str, kept: F32, first: F32, rate: float, l2: float) -> None:
        self.name = name
        self._kept = kept
        self._scorer = Listwise(first * kept, rate, l2)

    @property
    def weights(self) -> F32:
        """See ``Estimator``: 0 for what it does without."""
        return self._scorer.weights

    def learn(self, groups: Groups) -> None:
        """See ``Estimator``."""
        self._scorer.learn(groups._replace(x=groups.x * self._kept.astype(np.int16)))

    def parameters(self) -> Parameters:
        """See ``Estimator``: as of the listwise scorer."""
        return self._scorer.parameters()

    def load(self, parameters: Parameters) -> None:
        """See ``Estimator``; weights of what it does without are passed over."""
        self._scorer.load({**parameters, "weights": parameters["weights"] * self._kept})

    def spread(self) -> F32:
        """See ``Estimator``."""
        return self._scorer.spread() * self._kept
