"""Publishes how well the ranking does to ``metrics.model``, and sets the gauges. What is counted is ``progress``.

The window under way is kept in memory only: a worker that starts again begins another one.
"""

import asyncio
from collections.abc import Iterable
from math import log2
from typing import Final

import msgspec
import numpy as np
from prometheus_client import Gauge

from models.kinds import Kind
from models.knowledge.base import KnowledgeBase
from models.learn.judge import judge
from models.learn.learning import Learned, Learning
from models.learn.offered import USUAL
from models.learn.progress import Progress
from models.rank.slate import Ranked
from schemas import topics
from schemas.metrics import ModelReport
from streams import metrics
from streams.engine.outbox import Outbox

_encode = msgspec.json.Encoder().encode

GAUGES: Final[dict[str, Gauge]] = {
    "log_loss": metrics.MODEL_LOG_LOSS,
    "auc": metrics.MODEL_AUC,
    "kept_hit_rate": metrics.MODEL_KEPT_HIT_RATE,
    "kept_ndcg": metrics.MODEL_KEPT_NDCG,
}
"""By metric; every scorer has these."""

GAUGES_OF_CHAMPION: Final[dict[str, Gauge]] = {
    "hit_rate": metrics.MODEL_HIT_RATE,
    "ndcg": metrics.MODEL_NDCG,
    "mrr": metrics.MODEL_MRR,
    "calibration_error": metrics.MODEL_CALIBRATION_ERROR,
    "calibration_ratio": metrics.MODEL_CALIBRATION,
    "click_rate": metrics.MODEL_CLICK_RATE,
    "coverage": metrics.MODEL_COVERAGE,
    "gini": metrics.MODEL_GINI,
    "diversity": metrics.MODEL_DIVERSITY,
    "novelty": metrics.MODEL_NOVELTY,
}


NO_OUTCOMES: Final = {"dismissals": Kind.DISMISS, "seen": Kind.IMPRESSION}
"""Counts of a report with the kind that they are of."""


class ModelMetrics:
    """The window of one worker, over the slates that it serves and their outcomes."""

    def __init__(
        self,
        learning: Learning,
        knowledge: KnowledgeBase,
        outbox: Outbox,
        worker: str,
        slate_length: int,
    ) -> None:
        self._learning = learning
        self._knowledge = knowledge
        self._outbox = outbox
        self._worker = worker
        self._progress = Progress(
            learning.names, learning.scorer.sources, knowledge.vocabularies.items.capacity, slate_length
        )
        self._began_ms: int | None = None
        self._served_by = learning.champion
        self._warm_up()

    def add(self, learned: Learned | None) -> None:
        """Take what a micro-batch of outcomes showed, before further slates are remembered."""
        if learned is None:
            return
        self._begin()
        self._progress.learned(learned, self._learning.pending.slots, self._learning.scorer.weights)
        for happening in learned.happenings:
            metrics.MODEL_HAPPENINGS.labels(happening.kind, happening.estimator).inc()

    def add_slates(self, ranked: Ranked) -> None:
        """Take slates as they are served."""
        self._begin()
        knowledge = self._knowledge
        counts, totals = knowledge.popularity.shares()
        self._progress.served(
            self._learning.champion,
            ranked,
            knowledge.attributes.category,
            counts,
            float(totals[USUAL]),
            log2(knowledge.n_interactions + len(knowledge.vocabularies.items) + 1.0),
        )

    async def run(self) -> None:
        """Publish for ever."""
        while True:
            await asyncio.sleep(self._learning.settings.report_s)
            await self.publish()

    async def publish(self) -> None:
        """Close the window; one in which nothing happened is not told of."""
        reports = self._close()
        if not reports:
            return
        self._set_gauges(reports)
        _count_outcomes(reports)
        parcel = self._outbox.parcel()
        for report in reports:
            parcel.add(topics.MODEL, report.model.encode(), _encode(report))
        parcel.seal()
        await parcel.delivered

    def _warm_up(self) -> None:
        """Compile every kernel, or load it compiled, by no outcomes of no slates."""
        learning, n_sources = self._learning, len(self._learning.scorer.sources)
        joined = learning.join([])
        judged = judge(joined.groups, learning.scorer.weights)
        self.add(Learned(joined, {learning.champion: judged}, learning.champion, []))
        no_places, no_shares = np.empty((0, 0), np.float32), np.empty((0, 0, n_sources), np.float32)
        no_items, no_reasons = np.empty((0, 0), np.int32), np.empty((0, 0, n_sources), np.int32)
        none_explored = np.empty((0, 0), np.bool_)
        self.add_slates(Ranked(no_items, no_places, no_shares, no_reasons, no_places, none_explored))
        self._close()

    def _begin(self) -> None:
        if self._began_ms is None:
            self._began_ms = self._now_ms()

    def _now_ms(self) -> int:
        """Event time as far as it is known."""
        return int(self._knowledge.latest_s * 1000.0)

    def _close(self) -> list[ModelReport]:
        if self._began_ms is None:
            return []
        reports = self._progress.report(
            self._began_ms,
            max(self._now_ms(), self._began_ms) + 1,
            self._versions(),
            len(self._knowledge.vocabularies.items),
            self._worker,
        )
        self._progress.next_window()
        self._began_ms = None
        return reports

    def _versions(self) -> dict[str, str]:
        learning = self._learning
        suffix = learning.model.removeprefix(learning.champion)
        return {name: f"{name}{suffix}+{learning.ledger.n_learned(name)}" for name in learning.estimators}

    def _set_gauges(self, reports: Iterable[ModelReport]) -> None:
        if self._served_by != self._learning.champion:
            self._served_by = self._learning.champion
            for gauge in GAUGES_OF_CHAMPION.values():
                gauge.clear()
        for report in reports:
            gauges = GAUGES | (GAUGES_OF_CHAMPION if report.model == self._served_by else {})
            for figure in report.measurements:
                if figure.segment is None and figure.metric in gauges:
                    at = (report.model,) if figure.k is None else (report.model, str(figure.k))
                    gauges[figure.metric].labels(*at).set(figure.value)


def _count_outcomes(reports: Iterable[ModelReport]) -> None:
    """By kind, from the reports, which is cheaper than label by label."""
    for figure in (figure for report in reports for figure in report.measurements):
        name, _, kind = (figure.segment or "").partition("=")
        if figure.metric == "outcomes" and name == "kind":
            metrics.OUTCOMES.labels(kind).inc(figure.value)
        elif figure.metric in NO_OUTCOMES:
            metrics.OUTCOMES.labels(NO_OUTCOMES[figure.metric].name.lower()).inc(figure.value)
