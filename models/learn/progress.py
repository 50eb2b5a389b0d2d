"""How well the ranking does, window by window: judged before it learned, and as it was served.

``hit_rate``, ``ndcg`` and ``mrr`` look up what was wanted in the slate as it was shown, so that an item that was no
candidate is a miss; only what served has them. ``log_loss``, ``auc``, ``kept_hit_rate`` and ``kept_ndcg`` are of the
lists that scorers learn from, and all scorers have them: the slate where it was seen and the item chosen from it, else
all candidates kept. It publishes nothing and reads no clock.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from operator import attrgetter
from typing import Final, NamedTuple

import numpy as np

from models.kinds import Kind
from models.learn.figures import MEASURES, Calibration, Segments, Sums, count, mean
from models.learn.groups import I16
from models.learn.join import Label
from models.learn.learning import Happening, Learned
from models.learn.offered import Offered
from models.learn.pending import Slots
from models.rank.features import OF_SOURCE
from models.rank.merge import I64
from models.rank.slate import Ranked
from models.retrieve.compiled import compiled
from models.retrieve.contract import F32, F64, I32
from schemas.metrics import ModelHappening, ModelMeasurement, ModelReport

KS: Final = (5, 10, 20)
MAX_HAPPENINGS: Final = 50
"""Of one scorer in one window; what comes after is only counted elsewhere."""

SEEN: Final = int(Kind.IMPRESSION)
DISMISSED: Final = int(Kind.DISMISS)
CLICKED: Final = int(Kind.CLICK)
VIEWED: Final = int(Kind.VIEW)
"""A click on an item of a seen slate, or its view without one; the joiner passes over the view after a click."""

_columns = attrgetter("slot", "place", "kind", "attributed")


class _Layout(NamedTuple):
    """Where the features of a candidate are, and the rows of the sums."""

    n_sources: int
    width: int
    named: int
    returning: int
    first_source: int
    first_kind: int
    first_user: int
    nowhere: int


class _Figures:
    """One scorer in one window."""

    def __init__(self, segments: Segments, ks: F32) -> None:
        self.outcomes = Sums(segments, ks)
        self.lists = Sums(segments, ks)
        self.calibration = Calibration()
        self.counts = np.zeros(3, np.int64)
        """Of slates seen, dismissals, clicks."""
        self.happenings: list[ModelHappening] = []


class Progress:
    """The window under way, over features ``names`` (F,) of ``sources``. Bounded by scorers, segments and items.

    ``slate_length`` caps the list lengths that are told.
    """

    def __init__(self, names: Sequence[str], sources: Sequence[str], n_items: int, slate_length: int) -> None:
        self.ks = [k for k in KS if k <= slate_length] or [slate_length]
        self._at = np.array(self.ks, np.float32)
        self._sources = list(sources)
        self._segments = Segments(self._sources)
        self._layout = _Layout(
            len(self._sources),
            len(OF_SOURCE),
            list(OF_SOURCE).index("named"),
            list(names).index("returning"),
            self._segments.first_source,
            self._segments.first_kind,
            self._segments.first_user,
            self._segments.nowhere,
        )
        self._scorers: dict[str, _Figures] = {}
        self._offered = Offered(self._sources, n_items)
        self._serves = ""

    def learned(self, learned: Learned, slots: Slots, weights: F32) -> None:
        """Take outcomes with the slates they are of; ``weights`` (F,) tell what brought an item."""
        labels = learned.joined.labels
        champion = self._figures(learned.champion)
        segments = self._add_outcomes(champion, labels, slots, weights)
        segments = segments[np.array(learned.joined.of, np.int64)]
        for name, judged in learned.judged.items():
            self._figures(name).lists.add(segments, judged.rank, judged.loss, judged.auc)
        judged = learned.judged[learned.champion]
        champion.calibration.add(judged.best, judged.is_best)
        if learned.happenings:
            self._add_happenings(learned.happenings, max(label.time_ms for label in labels))

    def served(
        self, champion: str, ranked: Ranked, category: I32, counts: F64, total: float, most_bits: float
    ) -> None:
        """Take slates; see ``Offered.add``."""
        if champion != self._serves:
            self._offered.forget()
            self._serves = champion
        self._offered.add(ranked, category, counts, total, most_bits)

    def report(
        self,
        window_start_ms: int,
        window_end_ms: int,
        versions: Mapping[str, str],
        n_known: int,
        worker: str | None = None,
    ) -> list[ModelReport]:
        """One report for each scorer of which there is anything to tell, of a shop with ``n_known`` items.

        ``versions`` are of every scorer.
        """
        reports = []
        for name, version in versions.items():
            figures = self._figures(name)
            measurements = list(self._measurements(name, figures, n_known))
            if measurements or figures.happenings:
                reports.append(
                    ModelReport(
                        model=name,
                        model_version=version,
                        window_start_ms=window_start_ms,
                        window_end_ms=window_end_ms,
                        n_events=int(max(figures.outcomes.n[0], figures.lists.n[0])),
                        measurements=measurements,
                        worker=worker,
                        happenings=figures.happenings,
                    )
                )
        return reports

    def next_window(self) -> None:
        """Begin another one."""
        self._scorers = {}
        self._offered.next_window()

    def _figures(self, name: str) -> _Figures:
        if name not in self._scorers:
            self._scorers[name] = _Figures(self._segments, self._at)
        return self._scorers[name]

    def _add_outcomes(self, figures: _Figures, labels: Sequence[Label], slots: Slots, weights: F32) -> I32:
        """(L, 4) segments of the labels."""
        flat = chain.from_iterable(map(_columns, labels))
        columns = np.fromiter(flat, np.int32, 4 * len(labels)).reshape(-1, 4)
        rank, nothing = np.empty(len(labels), np.float32), np.zeros(len(labels), np.float32)
        segments = np.empty((len(labels), 4), np.int32)
        _look_up(
            columns, slots.x, slots.n, slots.shown, weights, self._layout, rank, segments, figures.counts
        )
        figures.outcomes.add(segments, rank, nothing, nothing)
        return segments

    def _add_happenings(self, happenings: Sequence[Happening], time_ms: int) -> None:
        for kind, estimator, detail in happenings:
            told = self._figures(estimator).happenings
            if len(told) < MAX_HAPPENINGS:
                told.append(ModelHappening(kind=kind, estimator=estimator, detail=detail, time_ms=time_ms))

    def _measurements(self, name: str, figures: _Figures, n_known: int) -> Iterator[ModelMeasurement]:
        yield from _counts(figures)
        yield from self._of_lists(figures.lists)
        yield from figures.calibration.measurements()
        yield from self._at_each_k("", MEASURES, figures.outcomes)
        yield from self._by_segment(figures.outcomes, figures.lists)
        if name == self._serves and len(self._offered):
            yield from self._offered.measurements(n_known)

    def _of_lists(self, lists: Sums) -> Iterator[ModelMeasurement]:
        yield from mean("log_loss", lists.lost[0, 0], lists.n[0])
        yield from mean("auc", lists.lost[0, 1], lists.n[0])
        yield from self._at_each_k("kept_", MEASURES[:2], lists)

    def _at_each_k(self, prefix: str, measures: Sequence[str], sums: Sums) -> Iterator[ModelMeasurement]:
        for measure, gained in zip(measures, sums.gained[0], strict=False):
            for k, total in zip(self.ks, gained.tolist(), strict=True):
                yield from mean(prefix + measure, total, sums.n[0], k)

    def _by_segment(self, outcomes: Sums, lists: Sums) -> Iterator[ModelMeasurement]:
        """At the largest k."""
        for s, segment in enumerate(self._segments.names):
            if segment is None or not outcomes.n[s]:
                continue
            yield from count("outcomes", outcomes.n[s], segment)
            for name, gained in zip(MEASURES, outcomes.gained[s, :, -1].tolist(), strict=True):
                yield from mean(name, gained, outcomes.n[s], self.ks[-1], segment)
            yield from mean("log_loss", lists.lost[s, 0], lists.n[s], segment=segment)
            yield from mean("auc", lists.lost[s, 1], lists.n[s], segment=segment)


def _counts(figures: _Figures) -> Iterator[ModelMeasurement]:
    n_seen, n_dismissed, n_clicked = figures.counts.tolist()
    yield from count("outcomes", figures.outcomes.n[0])
    yield from count("dismissals", n_dismissed)
    yield from count("seen", n_seen)
    yield from count("clicks", n_clicked)
    yield from mean("click_rate", n_clicked, n_seen)


@compiled
def _look_up(
    labels: I32,
    x: I16,
    n: I32,
    shown: I32,
    weights: F32,
    layout: _Layout,
    rank: F32,
    segments: I32,
    counts: I64,
) -> None:
    """Fill (L,) ranks in the slates as shown, infinite for a miss, NaN where nothing was wanted, and (L, 4) segments.

    A label's source is the one that adds most to ``w·x`` of those that name the item.
    """
    for row in range(len(labels)):
        slot, place, kind, attributed = labels[row]
        rank[row] = place + 1 if 0 <= place < shown[slot] else np.inf
        if kind in (SEEN, DISMISSED):
            rank[row] = np.nan
        counts[0] += kind == SEEN
        counts[1] += kind == DISMISSED
        counts[2] += attributed and kind in (CLICKED, VIEWED)
        segments[row, 0] = 0
        segments[row, 1] = segments[row, 3] = layout.nowhere
        segments[row, 2] = layout.first_kind + kind
        most = -np.inf
        for s in range(layout.n_sources if place >= 0 else 0):
            first = s * layout.width
            if x[slot, place, first + layout.named] > 0:
                added = 0.0
                for f in range(first, first + layout.width):
                    added += weights[f] * x[slot, place, f]
                if added > most:
                    most = added
                    segments[row, 1] = layout.first_source + s
        if n[slot] > 0:
            segments[row, 3] = layout.first_user + (x[slot, 0, layout.returning] > 0)
