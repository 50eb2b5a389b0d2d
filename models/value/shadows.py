"""Shadow learners: a cross-check of masked values, on the stream. Each learns a slice of the users without one source.

What they say is what is lost where a source is left out of all learning, tried on the same events. That a slice teaches
less than the whole stream they all have in common, so that it is not in the differences. Of trials they keep no more
than the differences need; ``models.evaluate.prequential`` describes them.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from xxhash import xxh3_64_intdigest

from models.evaluate.measures import MEASURES, measured
from models.evaluate.of_path import OfPath
from models.evaluate.prequential import wanted
from models.evaluate.recommender import NOTHING, Offer
from models.retrieve.contract import F64
from models.value.games import SHADOWS
from models.value.latest import Latest
from models.value.masked import RANKED
from models.value.report import report
from models.value.valuing import Sums, no_sums
from models.value.weaker import HASHES
from models.value.withheld import WITHHELD
from schemas.events import AnyEvent
from schemas.value import ValueReport

ALL: Final = "all sources"
COLUMNS: Final = [MEASURES.index({"hit_rate": "hr"}.get(name, name)) for name in RANKED]
"""Those of ``measured`` that are told."""
Offers = dict[str, Offer]
"""By learner."""


class Trial(NamedTuple):
    """An event of a user who had been offered something."""

    user_id: str
    time_ms: int
    n_items: int
    ranks: dict[str, tuple[int, ...]]
    """By learner, where in its offer the items were."""


def in_slice(user_id: bytes, share: float) -> bool:
    """Whether a user is followed; a smaller share is part of a larger."""
    return bool(xxh3_64_intdigest(user_id) < share * HASHES)


class Shadows:
    """Begins as one learner, ``whole``. ``k`` places count.

    A shadow splits off as a copy of it when the first event of its source comes: until then it would have been the
    same, and a source that never comes costs nothing. Bounded: offers and sums of ``max_users`` users, those seen last;
    whoever calls takes the trials away by ``taken``.
    """

    def __init__(self, whole: OfPath, k: int, max_users: int) -> None:
        self._learners, self._k = {ALL: whole}, k
        self._offers: Latest[str, Offers] = Latest(max_users)
        self._sums = _ByUser(max_users)
        self._trials: list[Trial] = []

    @property
    def sources(self) -> list[str]:
        """That have a shadow, in the order in which they came."""
        return [name for name in self._learners if name != ALL]

    def take(self, batch: Sequence[AnyEvent], *, counts: bool = True) -> None:
        """Try events of different users, where that ``counts``, then let everyone learn them."""
        if counts:
            self._trials += [trial for event in batch if (trial := self._tried(event))]
        self._split(batch)
        made = {name: learner.follow(batch, learn=True) for name, learner in self._learners.items()}
        for at, event in enumerate(batch):
            before = self._offers.get(event.user_id, {})
            self._offers[event.user_id] = {
                name: offers[at] or _of(before, name) for name, offers in made.items()
            }

    def taken(self, worker: str | None = None) -> ValueReport | None:
        """What was lost over the trials since the last call; None where nothing was tried."""
        trials, self._trials = self._trials, []
        if not trials:
            return None
        times_ms = [trial.time_ms for trial in trials]
        return report(SHADOWS, self._summed(trials), self._k, min(times_ms), max(times_ms) + 1, worker)

    def _tried(self, event: AnyEvent) -> Trial | None:
        offers, items = self._offers.get(event.user_id), wanted(event)
        if offers is None or not items:
            return None
        ranks = {
            name: _of(offers, name).ranks(learner.wanted(event)) for name, learner in self._learners.items()
        }
        return Trial(event.user_id, event.time_ms, len(items), ranks)

    def _split(self, batch: Sequence[AnyEvent]) -> None:
        whole = self._learners[ALL]
        for source, take in WITHHELD.items():
            if source not in self._learners and any(take(event) != event for event in batch):
                self._learners[source] = whole.split(f"without {source}", take)

    def _summed(self, trials: Sequence[Trial]) -> Sums:
        """Squares are such that errors are those of users, not of trials, taken as independent."""
        whole = self._measured(trials, ALL)
        lost = np.stack([whole - self._measured(trials, source) for source in SHADOWS.players], axis=2)
        self._sums.add([trial.user_id for trial in trials], lost)
        mean, design = self._sums.moments(lost.shape[1:])
        sums, n = no_sums(len(SHADOWS.players))._replace(n=len(trials)), len(RANKED)
        sums.all_in[:n], sums.total[1, :n] = whole.sum(axis=0), lost.sum(axis=0)
        spread = np.square(lost - mean).sum(axis=0)
        sums.squares[1, :n] = np.square(lost).sum(axis=0) + (design - 1.0) * spread
        return sums

    def _measured(self, trials: Sequence[Trial], learner: str) -> F64:
        """(n, M) ``RANKED`` measures; a learner that had not split off yet has those of the whole."""
        ranks = [trial.ranks.get(learner, trial.ranks[ALL]) for trial in trials]
        return measured(ranks, np.array([trial.n_items for trial in trials]), self._k)[:, COLUMNS]


class _ByUser:
    """What trials lost, summed by user: those of one user are no independent draws."""

    def __init__(self, max_users: int) -> None:
        self._rows: Latest[str, F64] = Latest(max_users)
        """(1 + 2 L,) how many trials, sums and sums of squares of L figures."""

    def add(self, users: Sequence[str], lost: F64) -> None:
        """``lost`` (n, …) by trial."""
        flat = lost.reshape(len(lost), -1)
        rows = np.concatenate([np.ones((len(flat), 1)), flat, np.square(flat)], axis=1)
        for user, row in zip(users, rows, strict=True):
            self._rows[user] = row + self._rows.get(user, 0.0)

    def moments(self, shape: Sequence[int]) -> tuple[F64, F64]:
        """Means, and by how much the variance of a mean is above that of independent trials: the design effect.

        It is at least 1 here (Kish, *Survey Sampling*, 1965), of all users remembered.
        """
        rows = np.stack(list(self._rows.values()))
        n, (sums, squares) = rows[:, :1], np.split(rows[:, 1:], 2, axis=1)
        mean = sums.sum(axis=0) / n.sum()
        by_trial = squares.sum(axis=0) - n.sum() * np.square(mean)
        by_user = np.square(sums - n * mean).sum(axis=0)
        design = np.divide(by_user, by_trial, out=np.ones_like(mean), where=by_trial > 1e-9)
        return mean.reshape(shape), np.maximum(design, 1.0).reshape(shape)


def _of(offers: Offers, learner: str) -> Offer:
    """One that has not been made since the learner split off is that of the whole."""
    return offers.get(learner, offers.get(ALL, NOTHING))
