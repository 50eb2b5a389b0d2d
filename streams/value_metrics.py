"""Publishes what sources of data are worth to ``metrics.value``, and sets the gauges. What is valued is ``valuing``.

The window under way, and what the judging scorer has learned, are kept in memory only.
"""

import asyncio
import time
from collections.abc import Sequence

import msgspec

from models.absorb import Absorbed
from models.ingest.record import Record
from models.knowledge.base import KnowledgeBase
from models.learn.learning import Learned, Learning
from models.rank.score import FixedWeights
from models.rank.settings import RankSettings
from models.value.games import GAMES, SOURCES, Game, fed
from models.value.report import report
from models.value.settings import ValueSettings
from models.value.valuing import Valuing
from schemas import topics
from schemas.value import ValueReport
from streams import metrics
from streams.engine.outbox import Outbox
from streams.value_costs import Costs

_encode = msgspec.json.Encoder().encode
SHOWN = "ndcg"
"""The measure of the gauges."""


class ValueMetrics:
    """Of one worker's lists."""

    def __init__(
        self,
        settings: ValueSettings,
        rank: RankSettings,
        learning: Learning,
        knowledge: KnowledgeBase,
        outbox: Outbox,
        worker: str,
    ) -> None:
        self._settings, self._knowledge, self._outbox, self._worker = settings, knowledge, outbox, worker
        self._learning, self._first = learning, FixedWeights(rank).weights_of(learning.names)
        self._valuings = {name: self._valuing(game) for name, game in GAMES.items()}
        self._began_ms: int | None = None
        self._costs = Costs(knowledge, metrics.stage_seconds)
        self._present = set[str]()

    def count(self, batches: Sequence[Sequence[Record]], absorbed: Absorbed) -> None:
        """Take what a micro-batch brought, once its slates are made."""
        for records, quality in zip(batches, absorbed.quality, strict=True):
            events = [accepted.event for accepted in quality.ingested.accepted]
            self._costs.tally.take(
                events, sum(len(each.key or b"") + len(each.value or b"") for each in records)
            )
        now_ms = time.time() * 1000.0
        for cause in absorbed.causes:
            self._costs.tally.serve(cause.event, now_ms - cause.timestamp_ms)

    def _valuing(self, game: Game) -> Valuing:
        learning = self._learning
        valuing = Valuing(
            game, self._settings, tuple(learning.scorer.sources), self._first, learning.settings.rate
        )
        valuing.warm_up(learning.join([]).groups)
        return valuing

    def _follow_sources(self) -> None:
        """Begin anew where what interactions are made of has changed: where looks come, or only orders did."""
        before = fed(SOURCES, self._present)
        self._present |= set(self._costs.tally.events)
        now = fed(SOURCES, self._present)
        if now != before:
            self._valuings[now.name] = self._valuing(now)

    def add(self, learned: Learned) -> None:
        """Take what a micro-batch of outcomes showed."""
        if self._began_ms is None:
            self._began_ms = self._now_ms()
        for valuing in self._valuings.values():
            valuing.add(learned.joined.groups)

    async def run(self) -> None:
        """Publish for ever."""
        while True:
            await asyncio.sleep(self._settings.report_s)
            await self.publish()

    async def publish(self) -> None:
        """Close the window; one without outcomes goes on."""
        if self._began_ms is None:
            return
        self._follow_sources()
        if not all(valuing.tells for valuing in self._valuings.values()):
            return
        start_ms, end_ms = self._began_ms, max(self._now_ms(), self._began_ms) + 1
        self._began_ms = None
        parcel = self._outbox.parcel()
        for valuing in list(self._valuings.values()):
            sums = valuing.taken()
            costs = self._costs.taken() if valuing.game.name == SOURCES.name else []
            told = report(valuing.game, sums, self._settings.k, start_ms, end_ms, self._worker, costs)
            _set_gauges(told)
            parcel.add(topics.VALUE, told.of.encode(), _encode(told))
        parcel.seal()
        await parcel.delivered

    def _now_ms(self) -> int:
        """Event time as far as it is known."""
        return int(self._knowledge.latest_s * 1000.0)


def _set_gauges(told: ValueReport) -> None:
    for each in told.values:
        if each.metric == SHOWN:
            metrics.VALUE.labels(told.of, each.player).set(each.value)
            metrics.LEFT_OUT.labels(told.of, each.player).set(each.left_out)
