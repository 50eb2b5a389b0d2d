"""Sums of figures by segment, and how sums become measurements. What is summed is up to ``progress``."""

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np

from models.kinds import Kind
from models.retrieve.compiled import compiled
from models.retrieve.contract import F32, F64, I32
from schemas.metrics import ModelMeasurement

MEASURES: Final = ("hit_rate", "ndcg", "mrr")
N_BINS: Final = 10
DIGITS: Final = 6
BIN: Final = "confidence="
"""Of the chance given to the best candidate: bins by their lower edge."""


MEANINGS: Final = {
    "outcomes": "interactions that are the outcome of a slate, dismissals aside",
    "dismissals": "candidates that were dismissed",
    "seen": "slates known to have been shown",
    "clicks": "clicks and views at items of a slate that was seen; one an item",
    "click_rate": "clicks by seen slate",
    "hit_rate": "share of the outcomes whose item was among the first k of the slate as shown",
    "ndcg": "mean of 1 / log2(1 + place) of the item in the slate as shown, 0 beyond k",
    "mrr": "mean of 1 / place, 0 beyond k",
    "log_loss": "mean of -log of the chance given to what was wanted, nats, of the lists judged",
    "auc": "mean share of the other candidates of a list that score lower, ties half",
    "kept_hit_rate": "`hit_rate` by the scorer's own order of the lists judged",
    "kept_ndcg": "`ndcg` by the scorer's own order of the lists judged",
    "predicted": "mean chance given to the best candidate",
    "observed": "how often the best candidate was what was wanted",
    "calibration_error": "mean distance of `predicted` and `observed` over bins of the chance",
    "calibration_ratio": "`predicted` over `observed`",
    "slates": "slates served",
    "coverage": "share of the known items that were offered, over the last 60 to 120 windows",
    "gini": "inequality of how often known items were offered, over the same: 0 all alike, 1 one item only",
    "diversity": "share of the pairs in a slate that are of different category",
    "novelty": "mean of -log2 of the offered items' share of all interactions, bits",
    "explored_share": "share of the places whose item was there to be tried out",
    "offered_share": "share of the places by the source that brought their item most",
}
"""What a report tells, by metric."""


class Segments:
    """Rows of the sums: all, then one for each source, kind and sort of user, and one for what is in none."""

    def __init__(self, sources: Sequence[str]) -> None:
        kinds = [kind.name.lower() for kind in Kind]
        self.names: list[str | None] = [
            None,
            *(f"source={source}" for source in sources),
            *(f"kind={kind}" for kind in kinds),
            "user=new",
            "user=returning",
        ]
        self.first_source = 1
        self.first_kind = 1 + len(sources) - min(Kind)
        self.first_user = 1 + len(sources) + len(kinds)
        self.nowhere = len(self.names)


class Sums:
    """Of lists with one wanted item each, by segment: how many, and what ``MEASURES`` at each of ``ks`` (K,), log loss
    and AUC add up to.
    """

    def __init__(self, segments: Segments, ks: F32) -> None:
        n_rows = segments.nowhere + 1
        self._ks = ks
        self.n = np.zeros(n_rows)
        self.gained = np.zeros((n_rows, len(MEASURES), len(ks)))
        self.lost = np.zeros((n_rows, 2))

    def add(self, segments: I32, rank: F32, loss: F32, auc: F32) -> None:
        """Lists (m,) in segments (m, 4); those whose rank is NaN are passed over."""
        _add(segments, rank, loss, auc, self._ks, self.n, self.gained, self.lost)


class Calibration:
    """Chances given to best candidates against how often these were right, in bins of the chance."""

    def __init__(self) -> None:
        self.bins = np.zeros((N_BINS, 3))
        """How many, sum of the chances, how many were right."""

    def add(self, chance: F32, right: F32) -> None:
        """Lists (m,); those whose chance is NaN are passed over."""
        _bin(chance, right, self.bins)

    def measurements(self) -> Iterator[ModelMeasurement]:
        """Overall and by bin."""
        n, predicted, observed = self.bins.sum(axis=0).tolist()
        yield from mean("predicted", predicted, n)
        yield from mean("observed", observed, n)
        yield from mean("calibration_error", error(self.bins) * n, n)
        if observed:
            yield from mean("calibration_ratio", predicted / observed * n, n)
        for b, (in_bin, chance, right) in enumerate(self.bins.tolist()):
            segment = f"{BIN}{b / N_BINS:g}"
            yield from mean("predicted", chance, in_bin, segment=segment)
            yield from mean("observed", right, in_bin, segment=segment)


def error(bins: F64) -> float:
    """Expected calibration error of (B, 3) bins: mean distance of chance and share, by how many are in a bin.

    Naeini, Cooper and Hauskrecht, "Obtaining well calibrated probabilities using Bayesian binning" (AAAI 2015).
    """
    return float(np.abs(bins[:, 1] - bins[:, 2]).sum() / max(bins[:, 0].sum(), 1.0))


def count(metric: str, n: float, segment: str | None = None) -> Iterator[ModelMeasurement]:
    """A figure that adds up, left out when there is none."""
    if n:
        yield ModelMeasurement(metric=metric, value=float(n), segment=segment)


def mean(
    metric: str, total: float, n: float, k: int | None = None, segment: str | None = None
) -> Iterator[ModelMeasurement]:
    """``total / n``, left out when that is of nothing."""
    if n:
        value = float(f"{total / n:.{DIGITS}g}")
        yield ModelMeasurement(metric=metric, value=value, n=int(n), k=k, segment=segment)


@compiled
def _add(segments: I32, rank: F32, loss: F32, auc: F32, ks: F32, n: F64, gained: F64, lost: F64) -> None:
    for row in range(len(rank)):
        if np.isnan(rank[row]):
            continue
        for column in range(segments.shape[1]):
            s = segments[row, column]
            n[s] += 1.0
            lost[s, 0] += loss[row]
            lost[s, 1] += auc[row]
            for k in range(len(ks)):
                if rank[row] <= ks[k]:
                    gained[s, 0, k] += 1.0
                    gained[s, 1, k] += 1.0 / np.log2(1.0 + rank[row])
                    gained[s, 2, k] += 1.0 / rank[row]


@compiled
def _bin(chance: F32, right: F32, bins: F64) -> None:
    for row in range(len(chance)):
        if not np.isnan(chance[row]):
            b = min(int(chance[row] * len(bins)), len(bins) - 1)
            bins[b, 0] += 1.0
            bins[b, 1] += chance[row]
            bins[b, 2] += right[row]
