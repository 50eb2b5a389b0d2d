"""The value of sources of data, or of signals, on the stream: lists are judged under every coalition, then learned.

Masked progressive validation. The scorer that judges is one of its own, which learns half of its lists with some
sources hidden: else a source would be worth the shock of missing it. What is hidden is what the ranking reads of a
source; that the shared knowledge would be poorer without it shows in ``withheld`` alone, which learns everything anew.
"""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.learn.groups import Groups
from models.learn.listwise import Listwise
from models.retrieve.contract import F32, F64
from models.value.games import Game, layout_of, open_blocks
from models.value.masked import MEASURES, RANKED, masked, shared, worth
from models.value.seen import Seen, bought, clicked, shown
from models.value.settings import ValueSettings
from models.value.shapley import left_out_matrix, shapley_matrix

STATISTICS: Final = ("shapley", "left_out")
CLICKS: Final = MEASURES.index("click_through")
N_STRATA: Final = 4
"""Lists that were clicked, bought from, both and neither."""
LIMIT: Final = 1.0 - 1e-6
"""Chances have single precision."""
I64 = NDArray[np.int64]


class Sums(NamedTuple):
    """Of M measures, P players, statistics as in ``STATISTICS``."""

    n: int
    """Lists, of which those of ``RANKED`` are."""
    seen: Seen
    """Slates, of which those of ``OFF_POLICY`` are."""
    total: F64
    """(2, M, P)"""
    squares: F64
    """(2, M, P)"""
    all_in: F64
    """(M,) worth of all together."""
    none_in: F64
    """(M,) of none."""

    @property
    def counts(self) -> F64:
        """(M,) what the means of the measures are over."""
        return np.array(
            [self.n if measure in RANKED else self.seen.valued for measure in MEASURES], np.float64
        )


def no_sums(n_players: int) -> Sums:
    """Of no lists."""
    shape = len(STATISTICS), len(MEASURES), n_players
    return Sums(0, Seen(), np.zeros(shape), np.zeros(shape), np.zeros(len(MEASURES)), np.zeros(len(MEASURES)))


class Valuing:
    """Over features of recommendation sources ``recommenders``; ``first`` (F,) are the weights to begin with."""

    def __init__(
        self, game: Game, settings: ValueSettings, recommenders: tuple[str, ...], first: F32, rate: float
    ) -> None:
        self.game, self._settings = game, settings
        self._layout = layout_of(game, recommenders)
        self._opened = open_blocks(game, self._layout)
        n_players = len(game.players)
        self._matrix = np.concatenate([shapley_matrix(n_players), left_out_matrix(n_players)])  # (2 P, 2^P)
        self._scorer = Listwise(first, rate)
        self._rng = np.random.default_rng(settings.seed)
        self._n_told = [0] * N_STRATA
        self.sums = no_sums(n_players)

    def add(self, groups: Groups) -> None:
        """Take lists with their outcomes: judge some, then learn these."""
        self._count(groups)
        mine = self._drawn(groups)
        if mine.size:
            some = groups.of(mine)
            self._judge(some)
            self._scorer.learn(masked(some, self._layout, self._opened[self._hidden(len(mine))]))

    def warm_up(self, groups: Groups) -> None:
        """Compile every kernel, or load it compiled, by no lists at all."""
        none = groups.of(slice(0, 0))
        self._judge(none)
        self._scorer.learn(masked(none, self._layout, self._opened[:0]))

    def taken(self) -> Sums:
        """What was summed since the last call."""
        sums, self.sums = self.sums, no_sums(len(self.game.players))
        return sums

    @property
    def tells(self) -> bool:
        """Whether the window may be closed: a list is in it, and where there are clicks, a slate that was seen."""
        seen = self.sums.seen
        return self.sums.n > 0 and (seen.n > 0 or seen.clicks + seen.purchases == 0)

    @property
    def _step(self) -> int:
        return max(round(1.0 / self._settings.share), 1)

    def _count(self, groups: Groups) -> None:
        n = int(shown(groups).sum())
        new = Seen(n, int(clicked(groups).sum()), int(bought(groups).sum()), n / self._step)
        self.sums = self.sums._replace(seen=self.sums.seen.plus(new))

    def _drawn(self, groups: Groups) -> I64:
        """Every so many of the lists, whatever batches they come in; clicks and purchases apart from the rest."""
        told = (groups.target >= 0) & (groups.weight > 0.0) & ((groups.n > 1) | (groups.seen > 0))
        stratum = clicked(groups) + 2 * bought(groups)
        drawn = []
        for each, n_before in enumerate(self._n_told):
            of = np.flatnonzero(told & (stratum == each))
            drawn.append(of[-n_before % self._step :: self._step])
            self._n_told[each] += len(of)
        return np.sort(np.concatenate(drawn))

    def _judge(self, groups: Groups) -> None:
        worths = worth(
            groups,
            self._scorer.weights,
            self._layout,
            self._opened,
            self._settings.k,
            self._settings.max_weight,
        )  # (G, C, M)
        shape = len(MEASURES), len(STATISTICS), len(self.game.players)
        total, squares = (
            of.reshape(shape).swapaxes(0, 1) for of in shared(worths, self._matrix)
        )  # (2, M, P)
        clicks, sums = worths[:, :, CLICKS], self.sums
        new = Seen(
            squares=float(np.square(clicks[:, self.game.everyone]).sum()),
            limited=float((clicks >= LIMIT * self._settings.max_weight).mean(axis=1).sum()),
        )
        self.sums = Sums(
            sums.n + int((groups.n > 1).sum()),
            sums.seen.plus(new),
            sums.total + total,
            sums.squares + squares,
            sums.all_in + worths[:, self.game.everyone].sum(axis=0),
            sums.none_in + worths[:, 0].sum(axis=0),
        )

    def _hidden(self, n: int) -> np.ndarray:
        """(n,) coalitions that remain."""
        drawn = self._rng.integers(0, self.game.everyone + 1, n)
        return np.where(self._rng.random(n) < self._settings.dropout, drawn, self.game.everyone)
